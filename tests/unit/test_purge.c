/* SPDX-License-Identifier: MIT
 *
 * When memory goes back. Time is the test's, but the helper thread sleeps for real. Each case runs in a child.
 */
#include "unit.h"

#include "box/gate.h"
#include "box/heap.h"
#include "box/purge.h"
#include "fake_os.h"
#include "os/os.h"
#include "superslab/meta.h"

#include <errno.h>
#include <unistd.h>

#define KIB HK_TINY_LAST /* the class of 1024 bytes: 64 blocks to a slab */

static struct hk_heap *heap;

/* `slabs` slabs of blocks, taken and given back, but for one in `held` (0: none is held): all that were given back are
 * EMPTY then, except the active one. */
static void work(unsigned slabs, unsigned held)
{
    static void *blocks[4096][32];
    if (heap == NULL) {
        heap = hk_meta_alloc(sizeof *heap);
        EXPECT(heap != NULL);
        hk_heap_begin(heap);
    }
    unsigned batches = slabs * 2, got[4096];
    EXPECT(batches <= 4096);
    for (unsigned i = 0; i < batches; i++) {
        got[i] = hk_heap_take(heap, KIB, &blocks[i][31], 32);
        EXPECT(got[i] == 32);
    }
    for (unsigned i = 0; i < batches; i++) {
        if (held == 0 || i / 2 % held != 0)
            hk_heap_give(heap, blocks[i], 32);
    }
}

static void make_empty(unsigned slabs)
{
    work(slabs, 0);
}

/* In SuperSlabs that stay. */
static void make_empty_between(unsigned slabs)
{
    work(slabs, 10);
}

static void make_free_run(size_t size)
{
    bool zero;
    char *p = hk_arena_take(size / HK_PAGE, HK_PAGE, &zero);
    EXPECT(p != NULL);
    memset(p, 1, size);
    EXPECT(hk_arena_give(p));
}

/* Set before the first tick: ticks are half a delay apart. */
static void options(int64_t delay_ms, int64_t keep)
{
    EXPECT(hk_option_store(HK_OPT_PURGE_DELAY_MS, delay_ms));
    EXPECT(hk_option_store(HK_OPT_MIN_KEEP, keep));
}

static void purge_everything(void *arg)
{
    (void)arg;
    make_empty(20);
    make_free_run(3 * HK_MIB);
    size_t before = hk_purge_free_bytes();
    EXPECT(before == 19 * HK_SLAB_SIZE + 3 * HK_MIB);
    EXPECT(hk_purge_now(0) == 20 * HK_SLAB_SIZE + 3 * HK_MIB); /* the active slab was EMPTY too */
    EXPECT(hk_purge_free_bytes() == 0);
    EXPECT(hk_purge_total() == 20 * HK_SLAB_SIZE + 3 * HK_MIB);
    EXPECT(hk_arena_live() == 0);
    EXPECT(hk_purge_now(0) == 0);
    make_empty(5);
    EXPECT(hk_arena_check() && hk_pool_check());
}

static void purge_now_gives_everything_back(void **state)
{
    (void)state;
    unit_passes(purge_everything, NULL);
}

static void purge_but_keep(void *arg)
{
    (void)arg;
    make_free_run(8 * HK_MIB);
    void *block;
    make_empty(30);
    EXPECT(hk_heap_take(heap, KIB, &block, 1) == 1); /* its SuperSlab cannot be given away */
    size_t before = hk_purge_free_bytes(), given = hk_purge_now(4 * HK_MIB);
    EXPECT(given == before - hk_purge_free_bytes());
    EXPECT(hk_purge_free_bytes() <= 4 * HK_MIB);
    EXPECT(hk_purge_now(SIZE_MAX) == 0);
}

static void purge_now_keeps_what_it_is_told(void **state)
{
    (void)state;
    unit_passes(purge_but_keep, NULL);
}

static void tick_in_time(void *arg)
{
    (void)arg;
    options(1000, HK_MIB);
    make_empty(33);
    make_free_run(2 * HK_MIB);
    size_t free_bytes = hk_purge_free_bytes();
    EXPECT(free_bytes == 32 * HK_SLAB_SIZE + 2 * HK_MIB);
    errno = 4321;
    hk_purge_tick(); /* nothing is due, but a run that must not stay */
    size_t after = HK_HOT_SPAN ? free_bytes : 32 * HK_SLAB_SIZE;
    EXPECT(hk_purge_free_bytes() == after && fake_os_count(FAKE_PURGE) == !HK_HOT_SPAN);
    fake_os_travel(999);
    hk_purge_tick();
    EXPECT(hk_purge_free_bytes() == after);
    fake_os_travel(1);
    hk_purge_tick(); /* due, but the last look was a moment ago */
    EXPECT(hk_purge_free_bytes() == after);
    fake_os_travel(500);
    hk_purge_tick();
    EXPECT(hk_purge_free_bytes() <= HK_MIB);
    EXPECT(hk_purge_total() == free_bytes - hk_purge_free_bytes());
    EXPECT(errno == 4321);
}

static void ticks_purge_what_was_free_for_the_delay(void **state)
{
    (void)state;
    unit_passes(tick_in_time, NULL);
}

static void tick_below_keep(void *arg)
{
    (void)arg;
    options(100, 4 * HK_MIB);
    make_empty(17);
    make_free_run(2 * HK_MIB);
    for (unsigned i = 0; i < 10; i++) {
        fake_os_travel(1000);
        hk_purge_tick();
    }
    EXPECT(fake_os_count(FAKE_PURGE) == !HK_HOT_SPAN);
    EXPECT(hk_purge_free_bytes() == 16 * HK_SLAB_SIZE + (HK_HOT_SPAN ? 2 * HK_MIB : 0));
}

static void what_is_kept_is_never_purged(void **state)
{
    (void)state;
    unit_passes(tick_below_keep, NULL);
}

/* What is used again before the delay never goes back. */
static void tick_while_working(void *arg)
{
    (void)arg;
    options(500, 0);
    for (unsigned i = 0; i < 50; i++) {
        make_empty(20);
        fake_os_travel(100);
        hk_purge_tick();
    }
    EXPECT(fake_os_count(FAKE_PURGE) == 0);
    fake_os_travel(1000);
    hk_purge_tick();
    EXPECT(hk_pool_empty_bytes() == 0);
}

static void what_is_in_use_is_not_purged(void **state)
{
    (void)state;
    if (!HK_EMPTY_REUSE)
        skip(); /* no slab is used again before its purge */
    unit_passes(tick_while_working, NULL);
}

static void tick_refused(void *arg)
{
    (void)arg;
    options(100, 0);
    make_empty(10);
    fake_os_fail_from(FAKE_PURGE, 1);
    fake_os_travel(200);
    hk_purge_tick();
    EXPECT(hk_pool_empty_bytes() == 9 * HK_SLAB_SIZE && hk_purge_total() == 0);
    EXPECT(hk_purge_now(0) == (HK_SS_ARENA ? 0 : 10 * HK_SLAB_SIZE)); /* an unmap is not refused */
    fake_os_recover();
    make_empty(10);
    EXPECT(hk_arena_check() && hk_pool_check());
    EXPECT(hk_purge_now(0) == (HK_EMPTY_REUSE || !HK_SS_ARENA ? 10 : 20) * HK_SLAB_SIZE);
}

static void a_system_that_refuses_harms_nothing(void **state)
{
    (void)state;
    unit_passes(tick_refused, NULL);
}

/* ---- the helper ---- */

static bool wait_until_at_most(size_t bytes)
{
    for (unsigned i = 0; i < 1000 && hk_purge_free_bytes() > bytes; i++) {
        fake_os_travel(20);
        usleep(2000);
    }
    return hk_purge_free_bytes() <= bytes;
}

static void sleep_with_much(void *arg)
{
    (void)arg;
    options(40, HK_MIB);
    hk_purge_allow_helper(true);
    make_empty_between(300);
    EXPECT(hk_purge_free_bytes() > 13 * HK_MIB);
    EXPECT(hk_single_threaded());
    hk_purge_tick();
    EXPECT(!hk_single_threaded());
    EXPECT(wait_until_at_most(HK_MIB)); /* nobody else does anything */
    hk_purge_allow_helper(false);
    EXPECT(hk_purge_free_bytes() <= HK_MIB);
    make_empty_between(300); /* no second helper now */
    fake_os_travel(10);
    hk_purge_tick();
    usleep(100000);
    EXPECT(hk_purge_free_bytes() > 13 * HK_MIB);
}

static void a_helper_gives_back_while_the_program_sleeps(void **state)
{
    (void)state;
    unit_passes(sleep_with_much, NULL);
}

static void start_helper_twice(void *arg)
{
    (void)arg;
    options(40, HK_MIB);
    hk_purge_allow_helper(true);
    for (unsigned round = 0; round < 2; round++) {
        make_empty_between(300);
        hk_purge_tick();
        EXPECT(wait_until_at_most(HK_MIB));
        usleep(60000); /* it has nothing to do and ends */
    }
}

static void a_helper_that_ended_is_started_again(void **state)
{
    (void)state;
    unit_passes(start_helper_twice, NULL);
}

static void sleep_with_little(void *arg)
{
    (void)arg;
    options(40, HK_MIB);
    hk_purge_allow_helper(true);
    make_free_run(10 * HK_MIB);
    EXPECT(hk_purge_free_bytes() == 10 * HK_MIB);
    hk_purge_tick();
    EXPECT(hk_single_threaded());
}

static void who_frees_little_stays_single_threaded(void **state)
{
    (void)state;
    unit_passes(sleep_with_little, NULL);
}

static void tick_without_permission(void *arg)
{
    (void)arg;
    make_empty_between(400);
    hk_purge_tick();
    EXPECT(hk_single_threaded()); /* before the start of the program */
    hk_purge_allow_helper(true);
    hk_gate_close(NULL);
    hk_purge_tick();
    EXPECT(hk_single_threaded()); /* inside fork */
    hk_gate_open(NULL);
    hk_purge_fork_child();
    hk_purge_tick();
    EXPECT(!hk_single_threaded());
}

static void no_helper_before_the_start_or_inside_fork(void **state)
{
    (void)state;
    unit_passes(tick_without_permission, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(purge_now_gives_everything_back),
        cmocka_unit_test(purge_now_keeps_what_it_is_told),
        cmocka_unit_test(ticks_purge_what_was_free_for_the_delay),
        cmocka_unit_test(what_is_kept_is_never_purged),
        cmocka_unit_test(what_is_in_use_is_not_purged),
        cmocka_unit_test(a_system_that_refuses_harms_nothing),
        cmocka_unit_test(a_helper_gives_back_while_the_program_sleeps),
        cmocka_unit_test(a_helper_that_ended_is_started_again),
        cmocka_unit_test(who_frees_little_stays_single_threaded),
        cmocka_unit_test(no_helper_before_the_start_or_inside_fork),
    };
    return cmocka_run_group_tests_name("purge", tests, NULL, NULL);
}
