/* SPDX-License-Identifier: MIT
 *
 * Life after the system refused memory: free units are unmapped, and mapped again where nobody else is meanwhile. Each
 * case has units of its own in a child.
 */
#include "arena_model.h"

#include "fake_os.h"
#include "needs.h"
#include "os/os.h"
#include "pages/space.h"

#include <sys/mman.h>

#define UNIT_PAGES (HK_UNIT_SIZE / HK_PAGE)

static struct model model;

/* Something of somebody else, if nobody is there. */
static bool put(char *where, size_t size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    return mmap(where, size, PROT_NONE, flags, -1, 0) == where;
}

static void be_refused(void)
{
    bool zero;
    fake_os_fail_from(FAKE_MAP_AT, 1);
    EXPECT(hk_arena_take(HK_RUN_PAGES_MAX, HK_PAGE, &zero) == NULL);
    fake_os_recover();
}

/* The same, and no unit is left that is mapped and free. */
static void use_up(void)
{
    bool zero;
    fake_os_fail_from(FAKE_MAP_AT, 1);
    while (hk_arena_take(UNIT_PAGES, HK_PAGE, &zero) != NULL) {
    }
    fake_os_recover();
}

/* A run of so many units, dirty all over, and a page behind it that stays. */
static char *make_units(size_t units)
{
    bool zero;
    char *run = hk_arena_take(units * UNIT_PAGES, HK_UNIT_SIZE, &zero);
    EXPECT(run != NULL && hk_arena_take(1, HK_PAGE, &zero) != NULL);
    memset(run, 7, units * HK_UNIT_SIZE);
    return run;
}

static void give_units(char *run)
{
    EXPECT(hk_arena_give(run));
    purge_runs(hk_os_now_ms(), 0, 0);
    EXPECT(hk_arena_check());
}

/* ---- unmapping ---- */

static void leave_and_return(void *arg)
{
    (void)arg;
    bool zero;
    char *run = make_units(5);
    use_up();
    size_t mapped = hk_arena_mapped();
    uint64_t unmaps = fake_os_count(FAKE_UNMAP), purges = fake_os_count(FAKE_PURGE);
    give_units(run);
    EXPECT(hk_arena_mapped() == mapped - 5 * HK_UNIT_SIZE && hk_arena_dirty() == 0);
    EXPECT(fake_os_count(FAKE_UNMAP) == unmaps + 5 && fake_os_count(FAKE_PURGE) == purges);
    EXPECT(put(run, 5 * HK_UNIT_SIZE) && munmap(run, 5 * HK_UNIT_SIZE) == 0); /* anybody could have it */
    EXPECT(hk_arena_find(run + HK_UNIT_SIZE).kind == HK_RUN_FREED);
    EXPECT(!hk_arena_give(run) && !hk_arena_resize(run, 3, 3));

    char *part = hk_arena_take(UNIT_PAGES, HK_PAGE, &zero);
    EXPECT(part >= run && part < run + 5 * HK_UNIT_SIZE && zero && unit_is_zero(part, HK_UNIT_SIZE)); /* before new */
    EXPECT(hk_arena_mapped() == mapped - 4 * HK_UNIT_SIZE && hk_arena_check());
    char *rest = hk_arena_take(4 * UNIT_PAGES, HK_PAGE, &zero);
    EXPECT(rest >= run && rest < run + 5 * HK_UNIT_SIZE && zero && unit_is_zero(rest, 4 * HK_UNIT_SIZE));
    EXPECT(hk_arena_mapped() == mapped && hk_arena_check());
}

static void free_units_go_and_come_again(void **state)
{
    (void)state;
    unit_passes(leave_and_return, NULL);
}

static void go_on_in_plenty(void *arg)
{
    (void)arg;
    size_t before = fake_os_count(FAKE_UNMAP);
    give_units(make_units(5));
    hk_arena_lacks(HK_GIB); /* what is free here would not have helped */
    give_units(make_units(5));
    hk_arena_unmap_clean();
    EXPECT(fake_os_count(FAKE_UNMAP) == before && hk_arena_dirty() == 0);
    hk_arena_lacks(4 * HK_MIB);
    hk_arena_unmap_clean();
    EXPECT(fake_os_count(FAKE_UNMAP) > before && hk_arena_check());
}

static void only_who_was_refused_unmaps(void **state)
{
    (void)state;
    unit_passes(go_on_in_plenty, NULL);
}

/* What is purged already goes too, but for units in which something lives. */
static void unmap_the_clean(void *arg)
{
    (void)arg;
    bool zero;
    char *a = make_units(3), *b = make_units(4), *last = make_units(1);
    EXPECT(hk_arena_resize(b, 1, 1));
    give_units(a);
    EXPECT(fake_os_count(FAKE_UNMAP) == 0);
    be_refused();
    size_t mapped = hk_arena_mapped();
    hk_arena_unmap_clean();
    EXPECT(hk_arena_check() && hk_arena_mapped() <= mapped - 6 * HK_UNIT_SIZE);
    EXPECT(put(a, 3 * HK_UNIT_SIZE) && put(b + HK_UNIT_SIZE, 3 * HK_UNIT_SIZE));
    EXPECT(b[0] == 7 && last[HK_UNIT_SIZE - 1] == 7 && hk_arena_find(b).pages == 1);
    char *c = hk_arena_take(100, HK_PAGE, &zero); /* from the unit that has stayed */
    EXPECT(c > b && c < b + HK_UNIT_SIZE);
}

static void clean_units_go_when_all_is_wanted(void **state)
{
    (void)state;
    unit_passes(unmap_the_clean, NULL);
}

/* Where the system refuses to unmap (too many mappings) pages go at least. */
static void stay_mapped(void *arg)
{
    (void)arg;
    bool zero;
    char *run = make_units(3);
    be_refused();
    size_t mapped = hk_arena_mapped();
    fake_os_fail_from(FAKE_UNMAP, 1);
    give_units(run);
    EXPECT(hk_os_resident(run, 3 * HK_UNIT_SIZE) == 0 && hk_arena_mapped() == mapped);
    hk_arena_unmap_clean(); /* comes to an end */
    EXPECT(hk_arena_mapped() == mapped && hk_arena_check());
    EXPECT(hk_arena_take(3 * UNIT_PAGES, HK_PAGE, &zero) == run && zero && unit_is_zero(run, 3 * HK_UNIT_SIZE));
}

static void a_refused_unmap_purges(void **state)
{
    (void)state;
    unit_passes(stay_mapped, NULL);
}

/* Both refused, too: then nothing is known about the contents. */
static void keep_all(void *arg)
{
    (void)arg;
    bool zero;
    char *run = make_units(3);
    be_refused();
    fake_os_fail_from(FAKE_ANY, 1);
    give_units(run);
    hk_arena_unmap_clean();
    EXPECT(hk_arena_dirty() == 3 * HK_UNIT_SIZE && hk_arena_check());
    EXPECT(hk_arena_take(3 * UNIT_PAGES, HK_PAGE, &zero) == run && !zero && run[0] == 7);
}

static void what_cannot_go_stays_dirty(void **state)
{
    (void)state;
    unit_passes(keep_all, NULL);
}

/* ---- coming back ---- */

static void find_others_there(void *arg)
{
    (void)arg;
    bool zero;
    char *run = make_units(6);
    use_up();
    give_units(run);
    EXPECT(put(run + HK_UNIT_SIZE + HK_PAGE, HK_PAGE) && put(run + 4 * HK_UNIT_SIZE, 2 * HK_UNIT_SIZE));
    for (unsigned i = 0; i < 6; i++) {
        char *p = hk_arena_take(UNIT_PAGES, HK_UNIT_SIZE, &zero);
        EXPECT(p != NULL && zero && hk_arena_check());
        memset(p, 1, HK_UNIT_SIZE);
        EXPECT(p < run + HK_UNIT_SIZE || p >= run + 2 * HK_UNIT_SIZE);
        EXPECT(p < run + 4 * HK_UNIT_SIZE || p >= run + 6 * HK_UNIT_SIZE);
    }
    EXPECT(hk_arena_find(run + 4 * HK_UNIT_SIZE + 5).kind == HK_RUN_NONE); /* not ours any more */
}

static void where_others_are_nothing_is_mapped(void **state)
{
    (void)state;
    unit_needs(lacks_exact_places());
    unit_passes(find_others_there, NULL);
}

static void be_refused_again(void *arg)
{
    (void)arg;
    bool zero;
    char *run = make_units(4);
    use_up();
    give_units(run);
    fake_os_fail_from(FAKE_MAP_AT, 1);
    EXPECT(hk_arena_take(2 * UNIT_PAGES, HK_PAGE, &zero) == NULL && hk_arena_check());
    fake_os_recover();
    char *p = hk_arena_take(2 * UNIT_PAGES, HK_PAGE, &zero);
    EXPECT(p >= run && p < run + 4 * HK_UNIT_SIZE && zero && hk_arena_check());
}

static void a_refused_return_loses_nothing(void **state)
{
    (void)state;
    unit_passes(be_refused_again, NULL);
}

/* Mappings of others come and go where units were unmapped, and behind the last. They cannot be touched: who writes
 * there does not live. */
static void share_the_space(void *arg)
{
    char *others[300];
    size_t unmaps, n = 0, came = 0;
    uint64_t seed = 99;
    fake_os_set_page_size(*(size_t *)arg);
    model.seed = 31;
    EXPECT(hk_arena_start());
    be_refused();
    unmaps = fake_os_count(FAKE_UNMAP);
    for (unsigned i = 0; i < 3000; i++) {
        model_step(&model, 3000, true);
        if (unit_random(&seed, 8) == 0)
            purge_runs(hk_os_now_ms(), 0, unit_random(&seed, 3) ? 0 : 4 * HK_MIB);
        if (unit_random(&seed, 16) == 0)
            hk_arena_unmap_clean();
        if (unit_random(&seed, 20) == 0 && n < HK_COUNT(others)) {
            others[n] = hk_space_address(unit_random(&seed, hk_space_units + 4)) + unit_random(&seed, 32) * 65536;
            bool is_there = put(others[n], 65536);
            n += is_there;
            came += is_there;
        }
        if (n > 0 && unit_random(&seed, 25) == 0)
            EXPECT(munmap(others[--n], 65536) == 0);
        EXPECT(i % 4 != 0 || hk_arena_check());
        if (i % 64 == 0)
            model_check(&model);
    }
    EXPECT(fake_os_count(FAKE_UNMAP) > unmaps + 100 && came > 15);
    EXPECT(fake_os_misaligned() == 0);
}

static void others_may_come_between(void **state)
{
    (void)state;
    unit_needs(lacks_exact_places());
    size_t pages[] = {4096, 16384, 65536};
    for (unsigned i = 0; i < HK_COUNT(pages); i++)
        unit_passes(share_the_space, &pages[i]);
}

#define THREADS 3

static void *churn(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    char *run[6] = {0}, *other = NULL;
    for (unsigned i = 0; i < 1500; i++) {
        unsigned at = (unsigned)unit_random(&seed, 6);
        size_t pages = 1 + unit_random(&seed, 2000);
        bool zero;
        if (run[at] != NULL) {
            EXPECT(run[at][0] == (char)(uintptr_t)arg && hk_arena_give(run[at]));
            run[at] = NULL;
        } else if ((run[at] = hk_arena_take(pages, HK_PAGE, &zero)) != NULL) {
            EXPECT(!zero || (run[at][0] == 0 && run[at][pages * HK_PAGE - 1] == 0));
            run[at][0] = run[at][pages * HK_PAGE - 1] = (char)(uintptr_t)arg;
        }
        if (other == NULL) {
            char *where = hk_space_address(unit_random(&seed, 200));
            other = put(where, 65536) ? where : NULL;
        } else if (i % 5 == 0) {
            EXPECT(munmap(other, 65536) == 0);
            other = NULL;
        }
        if (i % 3 == 0)
            purge_runs(0, 0, 0);
        if (i % 50 == 0)
            hk_arena_unmap_clean();
    }
    for (unsigned at = 0; at < 6; at++)
        EXPECT(run[at] == NULL || hk_arena_give(run[at]));
    return NULL;
}

static void churn_in_threads(void *arg)
{
    (void)arg;
    EXPECT(hk_arena_start());
    be_refused();
    unit_in_threads(THREADS, churn);
    EXPECT(hk_arena_live() == 0 && hk_arena_check());
}

static void any_thread_may_unmap(void **state)
{
    (void)state;
    unit_needs(lacks_exact_places());
    unit_passes(churn_in_threads, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(free_units_go_and_come_again),
        cmocka_unit_test(only_who_was_refused_unmaps),
        cmocka_unit_test(clean_units_go_when_all_is_wanted),
        cmocka_unit_test(a_refused_unmap_purges),
        cmocka_unit_test(what_cannot_go_stays_dirty),
        cmocka_unit_test(where_others_are_nothing_is_mapped),
        cmocka_unit_test(a_refused_return_loses_nothing),
        cmocka_unit_test(others_may_come_between),
        cmocka_unit_test(any_thread_may_unmap),
    };
    return cmocka_run_group_tests_name("ss_arena_scarce", tests, NULL, NULL);
}
