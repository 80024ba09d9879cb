/* SPDX-License-Identifier: MIT
 *
 * Giving free pages back to the system. Each case has arenas of its own in a child.
 */
#include "arena_model.h"

#include "fake_os.h"
#include "os/os.h"
#include "superslab/registry.h"

static struct model model;

/* `count` free runs of `pages` dirty pages each, with a live page between two. */
static void make_holes(char **hole, unsigned count, size_t pages)
{
    bool zero;
    for (unsigned i = 0; i < count; i++) {
        hole[i] = hk_arena_take(pages, HK_PAGE, &zero);
        EXPECT(hole[i] != NULL && hk_arena_take(1, HK_PAGE, &zero) != NULL);
        memset(hole[i], 7, pages * HK_PAGE);
    }
    for (unsigned i = 0; i < count; i++)
        EXPECT(hk_arena_give(hole[i]));
}

static size_t purge(uint32_t delay_ms, size_t keep)
{
    size_t dirty = hk_arena_dirty();
    size_t given = purge_runs(hk_os_now_ms(), delay_ms, keep);
    EXPECT(hk_arena_dirty() == dirty - given);
    EXPECT(hk_arena_check());
    return given;
}

static void purge_all(void *arg)
{
    (void)arg;
    char *hole[100];
    bool zero;
    make_holes(hole, 100, 3);
    EXPECT(hk_arena_dirty() == 300 * HK_PAGE);
    EXPECT(purge(0, 0) == 300 * HK_PAGE);
    for (unsigned i = 0; i < 100; i++) {
        EXPECT(fake_os_was_purged(hole[i]) && fake_os_was_purged(hole[i] + 3 * HK_PAGE - 1));
        EXPECT(!fake_os_was_purged(hole[i] + 3 * HK_PAGE));
        EXPECT(hk_os_resident(hole[i], 3 * HK_PAGE) == 0);
    }
    EXPECT(purge(0, 0) == 0 && fake_os_count(FAKE_PURGE) == 100);
    char *p = hk_arena_take(3, HK_PAGE, &zero);
    EXPECT(p != NULL && zero && unit_is_zero(p, 3 * HK_PAGE));
}

static void purged_runs_are_zero(void **state)
{
    (void)state;
    unit_passes(purge_all, NULL);
}

static void purge_in_time(void *arg)
{
    (void)arg;
    char *old[10], *young[10];
    make_holes(old, 10, 4);
    fake_os_travel(300);
    make_holes(young, 10, 2); /* smaller: none merges with an old one */
    EXPECT(purge(500, 0) == 0);
    fake_os_travel(199);
    EXPECT(purge(500, 0) == 0);
    fake_os_travel(1);
    size_t given = purge(500, 0);
    EXPECT(given > 0 && given <= 40 * HK_PAGE); /* some of the old were used for the young */
    for (size_t i = 0; i < fake_os_purges(); i++) {
        for (unsigned j = 0; j < 10; j++)
            EXPECT(!fake_os_was_purged(young[j]));
    }
    fake_os_travel(300);
    EXPECT(purge(500, 0) >= 20 * HK_PAGE);
    EXPECT(hk_arena_dirty() == 0);
}

static void only_what_was_free_long_enough_is_purged(void **state)
{
    (void)state;
    unit_passes(purge_in_time, NULL);
}

/* The clock wraps after 49 days. */
static void purge_at_wrap(void *arg)
{
    (void)arg;
    char *hole[4];
    fake_os_travel(UINT32_MAX - hk_os_now_ms() - 100);
    make_holes(hole, 4, 4);
    fake_os_travel(400);
    EXPECT(hk_os_now_ms() < 1000);
    EXPECT(purge(500, 0) == 0);
    fake_os_travel(100);
    EXPECT(purge(500, 0) == 16 * HK_PAGE);
}

static void the_clock_may_wrap(void **state)
{
    (void)state;
    unit_passes(purge_at_wrap, NULL);
}

static void keep_some(void *arg)
{
    (void)arg;
    char *hole[60];
    make_holes(hole, 60, 8);
    EXPECT(purge(0, 480 * HK_PAGE) == 0);
    EXPECT(purge(0, SIZE_MAX) == 0);
    size_t given = purge(0, 400 * HK_PAGE);
    EXPECT(given >= 80 * HK_PAGE && given < 88 * HK_PAGE); /* whole runs, and no more of them than needed */
    EXPECT(hk_arena_dirty() <= 400 * HK_PAGE);
}

static void what_is_kept_stays(void **state)
{
    (void)state;
    unit_passes(keep_some, NULL);
}

static void be_refused(void *arg)
{
    (void)arg;
    char *hole[5];
    bool zero;
    make_holes(hole, 5, 6);
    fake_os_fail_from(FAKE_PURGE, 1);
    EXPECT(purge(500, 0) == 0 && fake_os_count(FAKE_PURGE) == 0);
    fake_os_travel(500);
    EXPECT(purge(500, 0) == 0);
    uint64_t asked = fake_os_count(FAKE_PURGE);
    EXPECT(asked == 5);
    fake_os_recover();
    EXPECT(purge(500, 0) == 0); /* not asked again and again */
    EXPECT(fake_os_count(FAKE_PURGE) == asked);
    char *p = hk_arena_take(6, HK_PAGE, &zero);
    EXPECT(p != NULL && !zero && p[0] == 7); /* never taken for zero */
    EXPECT(hk_arena_give(p));
    fake_os_travel(500);
    EXPECT(purge(500, 0) == 30 * HK_PAGE);
}

static void refused_ranges_stay_dirty_and_wait(void **state)
{
    (void)state;
    unit_passes(be_refused, NULL);
}

/* One refusal among many ranges: the others go back all the same. */
static void be_refused_once(void *arg)
{
    unsigned n = *(unsigned *)arg;
    char *hole[40];
    make_holes(hole, 40, 2);
    fake_os_fail_nth(FAKE_PURGE, n);
    size_t given = purge(0, 0);
    EXPECT(fake_os_failures() == 1);
    EXPECT(given >= 78 * HK_PAGE);
    for (unsigned i = 0; i < 40; i++) {
        bool zero;
        char *p = hk_arena_take(2, HK_PAGE, &zero);
        EXPECT(p != NULL && (!zero || unit_is_zero(p, 2 * HK_PAGE)));
    }
    EXPECT(hk_arena_check());
}

static void one_refusal_harms_no_other_run(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 40; n += 3)
        unit_passes(be_refused_once, &n);
}

/* Random work with purges in between, on kernels with larger pages too. */
static void purge_at_random(void *arg)
{
    fake_os_set_page_size(*(size_t *)arg);
    model.seed = 23;
    for (unsigned i = 0; i < 1500; i++) {
        model_step(&model, 400, false);
        if (unit_random(&model.seed, 8) == 0) {
            fake_os_travel((uint32_t)unit_random(&model.seed, 50));
            purge((uint32_t)unit_random(&model.seed, 100), unit_random(&model.seed, 4) ? 0 : HK_MIB);
        }
        if (i % 32 == 0)
            model_check(&model);
    }
    model_check(&model);
    EXPECT(fake_os_misaligned() == 0);
    EXPECT(fake_os_purges() > 100);
}

static void purges_follow_the_model(void **state)
{
    (void)state;
    size_t pages[] = {4096, 16384, 65536};
    for (unsigned i = 0; i < 3; i++)
        unit_passes(purge_at_random, &pages[i]);
}

/* ---- pieces ---- */

/* A run of `bytes`, dirty all over, between two live pages. */
static char *make_run(size_t bytes)
{
    bool zero;
    EXPECT(hk_arena_take(1, HK_SUPERSLAB_SIZE, &zero) != NULL);
    char *run = hk_arena_take(bytes / HK_PAGE, HK_PAGE, &zero);
    EXPECT(run != NULL && hk_arena_take(1, HK_PAGE, &zero) != NULL);
    memset(run, 7, bytes);
    EXPECT(hk_arena_give(run));
    return run;
}

static void purge_pieces(void *arg)
{
    (void)arg;
    bool refused = false;
    size_t size = 9 * HK_MIB, given;
    char *run = make_run(size), *above = run + size;
    for (size_t left = size; left > 0; left -= given) {
        uint64_t calls = fake_os_count(FAKE_PURGE);
        given = hk_arena_purge(hk_os_now_ms(), 0, HK_PURGE_MOST, &refused);
        EXPECT(given > 0 && given <= HK_PURGE_MOST && fake_os_count(FAKE_PURGE) == calls + 1);
        EXPECT(hk_arena_dirty() == left - given && hk_arena_check());
        struct fake_range last = fake_os_purge(fake_os_purges() - 1);
        EXPECT(last.size == given && last.start >= run && last.start < run + size);
        /* from the high end, a little out of order where the run's ends make short pieces */
        EXPECT(last.start + last.size == above || left <= HK_PURGE_MOST ||
               last.start + last.size > above - HK_PURGE_MOST);
        above = last.start < above ? last.start : above;
    }
    EXPECT(!refused && hk_arena_purge(hk_os_now_ms(), 0, HK_PURGE_MOST, &refused) == 0);
}

static void a_long_run_goes_in_pieces_from_its_high_end(void **state)
{
    (void)state;
    unit_passes(purge_pieces, NULL);
}

static void purge_less(void *arg)
{
    (void)arg;
    bool refused = false;
    make_run(4 * HK_MIB);
    EXPECT(hk_arena_purge(hk_os_now_ms(), 0, 10 * HK_PAGE, &refused) == 10 * HK_PAGE);
    EXPECT(fake_os_purge(0).size == 10 * HK_PAGE);
    EXPECT(hk_arena_purge(hk_os_now_ms(), 0, 1, &refused) == HK_PAGE && hk_arena_check());
}

static void a_piece_is_no_longer_than_is_asked_for(void **state)
{
    (void)state;
    unit_passes(purge_less, NULL);
}

/* The rest of a run keeps its age. */
static void purge_old_pieces(void *arg)
{
    (void)arg;
    make_run(6 * HK_MIB);
    fake_os_travel(500);
    EXPECT(purge(500, 0) == 6 * HK_MIB);
    EXPECT(fake_os_purges() >= 3);
}

static void what_is_left_of_a_run_is_as_old_as_it_was(void **state)
{
    (void)state;
    unit_passes(purge_old_pieces, NULL);
}

static size_t mapped_before;
static char *taken;

static void take_meanwhile(void)
{
    bool zero;
    fake_os_during_purge(NULL);
    taken = hk_arena_take(5 * HK_MIB / HK_PAGE, HK_PAGE, &zero);
    EXPECT(taken != NULL && !zero && taken[0] == 7);
    EXPECT(hk_arena_check() && hk_arena_mapped() == mapped_before);
    memset(taken, 8, 5 * HK_MIB);
}

static void allocate_during_purge(void *arg)
{
    (void)arg;
    bool refused = false;
    char *run = make_run(9 * HK_MIB);
    mapped_before = hk_arena_mapped();
    fake_os_during_purge(take_meanwhile);
    EXPECT(hk_arena_purge(hk_os_now_ms(), 0, HK_PURGE_MOST, &refused) > 0);
    EXPECT(taken >= run && taken + 5 * HK_MIB <= run + 9 * HK_MIB); /* from what is being purged otherwise */
    for (size_t i = 0; i < 5 * HK_MIB; i++)
        EXPECT(taken[i] == 8);
    EXPECT(hk_arena_check());
}

static void others_may_take_from_the_rest_of_a_run(void **state)
{
    (void)state;
    unit_passes(allocate_during_purge, NULL);
}

/* Of many holes the long ones go first, and clean ones are not in the way. */
static void purge_largest(void *arg)
{
    (void)arg;
    bool refused = false;
    static char *hole[600];
    make_holes(hole, 600, 4);
    EXPECT(purge(0, 0) == 2400 * HK_PAGE);
    bool zero;
    char *small = hk_arena_take(2, HK_PAGE, &zero), *large = hk_arena_take(300, HK_PAGE, &zero);
    EXPECT(small != NULL && large != NULL && hk_arena_take(1000, HK_PAGE, &zero) != NULL);
    EXPECT(hk_arena_give(small) && hk_arena_give(large));
    EXPECT(hk_arena_purge(hk_os_now_ms(), 0, HK_PURGE_MOST, &refused) == 300 * HK_PAGE);
    EXPECT(fake_os_was_purged(large));
    EXPECT(hk_arena_purge(hk_os_now_ms(), 0, HK_PURGE_MOST, &refused) == 2 * HK_PAGE);
    EXPECT(hk_arena_purge(hk_os_now_ms(), 0, HK_PURGE_MOST, &refused) == 0 && hk_arena_dirty() == 0);
}

static void long_runs_come_first(void **state)
{
    (void)state;
    unit_passes(purge_largest, NULL);
}

/* With kernel pages of 64 KiB only whole ones go back, but all of those do. */
static void purge_large_pages(void *arg)
{
    (void)arg;
    char *hole[40];
    fake_os_set_page_size(65536);
    make_holes(hole, 40, 40);
    purge(0, 0);
    for (unsigned i = 0; i < 40; i++) {
        uintptr_t first = hk_align_up((uintptr_t)hole[i], 65536);
        uintptr_t end = hk_align_down((uintptr_t)hole[i] + 40 * HK_PAGE, 65536);
        EXPECT(hk_os_resident((void *)first, end - first) == 0);
        EXPECT(hole[i][0] == ((uintptr_t)hole[i] == first ? 0 : 7)); /* an edge that could not go back is as it was */
    }
    EXPECT(fake_os_misaligned() == 0);
}

static void all_whole_large_pages_go_back(void **state)
{
    (void)state;
    unit_passes(purge_large_pages, NULL);
}

static void keep_clean_slabs(void *arg)
{
    (void)arg;
    uint32_t clean;
    char *ss = hk_arena_take_superslab(0, &clean);
    EXPECT(clean == UINT32_MAX);
    memset(ss + 3 * HK_SLAB_SIZE, 1, 2 * HK_SLAB_SIZE);
    hk_arena_give_superslab(ss, ~hk_mask32(3, 2));
    EXPECT(hk_arena_dirty() == 2 * HK_SLAB_SIZE);
    EXPECT(hk_arena_take_superslab(0, &clean) == ss);
    EXPECT(clean == ~hk_mask32(3, 2));
    hk_arena_give_superslab(ss, clean);
    EXPECT(purge(0, 0) == 2 * HK_SLAB_SIZE);
    EXPECT(fake_os_count(FAKE_PURGE) == 1);
    EXPECT(hk_arena_take_superslab(0, &clean) == ss && clean == UINT32_MAX);
    EXPECT(unit_is_zero(ss, HK_SUPERSLAB_SIZE));
}

static void superslabs_bring_their_clean_slabs_back(void **state)
{
    (void)state;
    if (!HK_SS_ARENA)
        skip(); /* they are unmapped */
    unit_passes(keep_clean_slabs, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(purged_runs_are_zero),
        cmocka_unit_test(only_what_was_free_long_enough_is_purged),
        cmocka_unit_test(the_clock_may_wrap),
        cmocka_unit_test(what_is_kept_stays),
        cmocka_unit_test(refused_ranges_stay_dirty_and_wait),
        cmocka_unit_test(one_refusal_harms_no_other_run),
        cmocka_unit_test(purges_follow_the_model),
        cmocka_unit_test(a_long_run_goes_in_pieces_from_its_high_end),
        cmocka_unit_test(a_piece_is_no_longer_than_is_asked_for),
        cmocka_unit_test(what_is_left_of_a_run_is_as_old_as_it_was),
        cmocka_unit_test(others_may_take_from_the_rest_of_a_run),
        cmocka_unit_test(long_runs_come_first),
        cmocka_unit_test(all_whole_large_pages_go_back),
        cmocka_unit_test(superslabs_bring_their_clean_slabs_back),
    };
    return cmocka_run_group_tests_name("ss_arena_purge", tests, NULL, NULL);
}
