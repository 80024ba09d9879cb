/* SPDX-License-Identifier: MIT
 *
 * What was live at most, of page runs, huge blocks and slabs, when somebody looks afterwards. Each case runs in a
 * child.
 */
#include "unit.h"

#include "base/options.h"
#include "box/peak.h"
#include "box/pool.h"
#include "fake_os.h"
#include "large/huge.h"
#include "pages/ss_arena.h"

/* What is taken for live, and may have been free before. */
#define ERROR (2 * HK_MIB + HK_SLAB_SIZE)

/* Is it that much, not less and hardly more? */
static bool is_about(size_t peak, size_t bytes)
{
    return peak >= bytes && peak <= bytes + ERROR;
}

/* As statistics ask, when all slabs are touched. */
static size_t peak(size_t live)
{
    return hk_peak_live(live, *&hk_pool_owned * HK_SLAB_SIZE, hk_pool_empty_bytes() + hk_arena_dirty());
}

static char *take_run(size_t size)
{
    bool zero;
    char *run = hk_arena_take(size / HK_PAGE, HK_PAGE, &zero);
    EXPECT(run != NULL);
    return run;
}

static void nothing(void *arg)
{
    (void)arg;
    EXPECT(peak(0) <= ERROR);
    EXPECT(peak(50 * HK_MIB) == 50 * HK_MIB); /* what is seen counts, whoever has it */
    EXPECT(peak(HK_MIB) == 50 * HK_MIB);
}

/* A few blocks in a slab are not 64 KiB. */
static void few(void *arg)
{
    static int owner;
    (void)arg;
    EXPECT(hk_pool_acquire(HK_TINY_LAST, (void *)&owner, false) != NULL);
    EXPECT(hk_peak_live(3000, 4096, 0) == 4096);
    EXPECT(hk_peak_live(5000, 4096, 8192) == 12288);
}

static void a_small_program_has_a_small_peak(void **state)
{
    (void)state;
    unit_passes(few, NULL);
}

static void what_was_seen_is_remembered(void **state)
{
    (void)state;
    unit_passes(nothing, NULL);
}

static void runs(void *arg)
{
    (void)arg;
    char *run[10];
    for (unsigned i = 0; i < 10; i++)
        run[i] = take_run(8 * HK_MIB);
    for (unsigned i = 0; i < 10; i++) {
        EXPECT(hk_arena_give(run[i]));
        hk_peak_look(8 * HK_MIB); /* as purge does */
    }
    EXPECT(is_about(peak(0), 80 * HK_MIB));
    run[0] = take_run(8 * HK_MIB);
    EXPECT(is_about(peak(0), 80 * HK_MIB));
}

static void freed_runs_were_live(void **state)
{
    (void)state;
    unit_passes(runs, NULL);
}

static struct hk_slab *slab[1000];

static void slabs(void *arg)
{
    static int owner;
    (void)arg;
    for (unsigned i = 0; i < 1000; i++) {
        slab[i] = hk_pool_acquire(HK_TINY_LAST, (void *)&owner, false);
        EXPECT(slab[i] != NULL);
    }
    for (unsigned i = 0; i < 1000; i++) {
        hk_pool_release(slab[i]);
        hk_peak_look(0);
    }
    EXPECT(is_about(peak(0), 1000 * HK_SLAB_SIZE));
}

static void freed_slabs_were_live(void **state)
{
    (void)state;
    unit_passes(slabs, NULL);
}

/* As the front does: they leave no free memory. */
static bool look_and_free(void *block)
{
    hk_peak_look(0);
    return hk_huge_free(block);
}

static void huge(void *arg)
{
    (void)arg;
    char *run = take_run(10 * HK_MIB);
    void *first = hk_huge_alloc(100 * HK_MIB, HK_PAGE), *second = hk_huge_alloc(200 * HK_MIB, HK_PAGE);
    EXPECT(first != NULL && second != NULL);
    EXPECT(look_and_free(first) && look_and_free(second));
    EXPECT(is_about(peak(0), 310 * HK_MIB));
    EXPECT(hk_arena_give(run));
    first = hk_huge_alloc(100 * HK_MIB, HK_PAGE);
    EXPECT(is_about(peak(0), 310 * HK_MIB)); /* never less, and not the same again */
    first = hk_huge_resize(first, 500 * HK_MIB);
    EXPECT(first != NULL && look_and_free(first));
    EXPECT(is_about(peak(0), 500 * HK_MIB));
}

static void huge_blocks_that_are_gone_were_live(void **state)
{
    (void)state;
    unit_passes(huge, NULL);
}

/* A huge block and what the arena has by then count together; free units are nobody's. */
static void together(void *arg)
{
    (void)arg;
    char *run = take_run(20 * HK_MIB);
    EXPECT(hk_arena_give(run));
    hk_peak_look(20 * HK_MIB);
    void *block = hk_huge_alloc(100 * HK_MIB, HK_PAGE);
    run = take_run(4 * HK_MIB);
    EXPECT(block != NULL);
    hk_peak_look(0);
    EXPECT(is_about(peak(0), 104 * HK_MIB));
    EXPECT(hk_huge_free(block));
    EXPECT(is_about(peak(0), 104 * HK_MIB));
}

static void free_units_do_not_count(void **state)
{
    (void)state;
    unit_passes(together, NULL);
}

/* What may stay free may all have been live. */
static void keep(void *arg)
{
    (void)arg;
    EXPECT(hk_option_store(HK_OPT_MIN_KEEP, (int64_t)(64 * HK_MIB)));
    char *run = take_run(32 * HK_MIB);
    memset(run, 1, 32 * HK_MIB);
    EXPECT(hk_arena_give(run));
    EXPECT(is_about(peak(0), 32 * HK_MIB));
}

static void free_memory_that_is_kept_may_have_been_live(void **state)
{
    (void)state;
    unit_passes(keep, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_seen_is_remembered),
        cmocka_unit_test(a_small_program_has_a_small_peak),
        cmocka_unit_test(freed_runs_were_live),
        cmocka_unit_test(freed_slabs_were_live),
        cmocka_unit_test(huge_blocks_that_are_gone_were_live),
        cmocka_unit_test(free_units_do_not_count),
        cmocka_unit_test(free_memory_that_is_kept_may_have_been_live),
    };
    return cmocka_run_group_tests_name("peak", tests, NULL, NULL);
}
