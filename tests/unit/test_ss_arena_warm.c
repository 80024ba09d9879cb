/* SPDX-License-Identifier: MIT
 *
 * Which units become huge pages, and when they stop being ones. Each case has arenas of its own in a child; without hot
 * spans nothing ever becomes one.
 */
#include "unit.h"

#include "base/options.h"
#include "fake_os.h"
#include "os/os.h"
#include "superslab/registry.h"
#include "superslab/ss_arena.h"

#include <pthread.h>
#include <unistd.h>

#define SLOTS 64

struct use {
    size_t least, more; /* pages of a run: least ... least + more, in steps of `step` */
    size_t step;
    size_t touched; /* from its start; 0: the first page and the last */
    size_t share;   /* of the memory's pages, in %, that are ever touched; 0: all */
};

/* Each thread has its own. */
static _Thread_local char *slot[SLOTS];
static _Thread_local size_t length[SLOTS];
static _Thread_local uint64_t seed = 5;

/* Pages that are touched lie anywhere, and always the same are; in every unit the same, so that it does not depend on
 * where units lie. */
static void write_page(char *page, size_t value, const struct use *use)
{
    if (use->share == 0 || (uintptr_t)page % HK_SUPERSLAB_SIZE / HK_PAGE * 61 % 100 < use->share)
        *page = (char)value;
}

static void write_run(char *run, size_t pages, const struct use *use)
{
    for (size_t page = 0; page < hk_min(use->touched, pages); page++)
        write_page(run + page * HK_PAGE, page, use);
    if (use->touched == 0) {
        write_page(run, pages, use);
        write_page(run + pages * HK_PAGE - 1, pages, use);
    }
}

static void turn_over(unsigned turns, const struct use *use)
{
    for (unsigned i = 0; i < turns; i++) {
        size_t at = unit_random(&seed, SLOTS);
        size_t pages = use->least + unit_random(&seed, use->more / use->step + 1) * use->step;
        bool zero;
        if (slot[at] != NULL) {
            EXPECT(use->touched != 0 || use->share != 0 || slot[at][length[at] * HK_PAGE - 1] == (char)length[at]);
            EXPECT(hk_arena_give(slot[at]));
            slot[at] = NULL;
        }
        slot[at] = hk_arena_take(pages, HK_PAGE, &zero);
        EXPECT(slot[at] != NULL);
        EXPECT(!zero || use->share != 0 || /* reading makes pages count as resident */
               (slot[at][0] == 0 && slot[at][pages * HK_PAGE - 1] == 0));
        length[at] = pages;
        write_run(slot[at], pages, use);
    }
    EXPECT(hk_arena_check());
}

static void give_all(void)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        EXPECT(slot[i] == NULL || hk_arena_give(slot[i]));
        slot[i] = NULL;
    }
}

static const struct use ends = {16, 400, 1, 0, 0};

static void all_is_touched(void *arg)
{
    (void)arg;
    turn_over(6000, &ends);
    uint64_t huge = fake_os_count(FAKE_COLLAPSE);
    EXPECT(HK_HOT_SPAN ? huge >= 20 : huge == 0);
    turn_over(6000, &ends);
    EXPECT(fake_os_count(FAKE_COLLAPSE) <= huge + huge / 2); /* none is made twice */
    size_t dirty = hk_arena_dirty();
    EXPECT(hk_arena_purge(hk_os_now_ms(), 0, 0) == dirty); /* none was begun and not ended */
}

static void where_reuse_touches_new_pages_units_become_huge(void **state)
{
    (void)state;
    unit_passes(all_is_touched, NULL);
}

static void none(void *arg)
{
    turn_over(12000, arg);
    EXPECT(fake_os_count(FAKE_COLLAPSE) == 0);
}

static void where_the_same_pages_are_used_again_none_does(void **state)
{
    (void)state;
    struct use same = {64, 0, 1, 16, 0}, coarse = {64, 256, 64, 10, 0}, full = {16, 400, 1, 416, 0};
    unit_passes(none, &same);   /* one length: a quarter of each */
    unit_passes(none, &coarse); /* lengths of which each is a multiple: ten pages of each 64 */
    unit_passes(none, &full);   /* all of it at once: there is nothing to gain */
}

/* It is guessed from samples, but what comes of it must not depend on chance. */
static void little_is_touched(void *arg)
{
    struct use quarter = {16, 400, 1, 0, 25};
    seed = (uintptr_t)arg;
    turn_over(12000, &quarter);
    EXPECT(fake_os_count(FAKE_COLLAPSE) == 0);
}

static void all_is_touched_later(void *arg)
{
    struct use twentieth = {16, 400, 1, 0, 5};
    seed = (uintptr_t)arg;
    turn_over(2000, &twentieth);
    EXPECT(fake_os_count(FAKE_COLLAPSE) == 0);
    give_all();
    turn_over(8000, &ends);
    uint64_t huge = fake_os_count(FAKE_COLLAPSE);
    EXPECT(HK_HOT_SPAN ? huge >= 20 : huge == 0);
}

/* What was learnt of one use does not stay for ever. */
static void little_is_touched_later(void *arg)
{
    struct use same = {64, 0, 1, 16, 0}, eighth = {16, 400, 1, 0, 12};
    uint64_t huge = 0;
    seed = (uintptr_t)arg;
    turn_over(6000, &ends);
    for (unsigned i = 0; i < 8; i++) {
        give_all();
        hk_arena_purge(hk_os_now_ms(), 0, 0);
        if (i == 5)
            huge = fake_os_count(FAKE_COLLAPSE);
        turn_over(4000, i % 2 == 0 ? &same : &eighth);
    }
    EXPECT(fake_os_count(FAKE_COLLAPSE) == huge);
}

static void whichever_blocks_there_are(void **state)
{
    (void)state;
    for (uintptr_t i = 1; i <= 5; i++) {
        unit_passes(little_is_touched, (void *)i);
        unit_passes(all_is_touched_later, (void *)i);
        unit_passes(little_is_touched_later, (void *)i);
    }
}

static void few_units(void *arg)
{
    seed = (uintptr_t)arg;
    struct use less = {16, 100, 1, 0, 0};
    turn_over(6000, &less);
    uint64_t huge = fake_os_count(FAKE_COLLAPSE);
    EXPECT(HK_HOT_SPAN ? huge >= 4 : huge == 0);
}

static void and_in_a_few_units(void **state)
{
    (void)state;
    for (uintptr_t i = 1; i <= 8; i++)
        unit_passes(few_units, (void *)i);
}

static void small_heap(void *arg)
{
    bool zero;
    (void)arg;
    for (unsigned i = 0; i < 3000; i++) { /* in one unit or two */
        char *run = hk_arena_take(16 + unit_random(&seed, 300), HK_PAGE, &zero);
        run[0] = 1;
        EXPECT(hk_arena_give(run));
    }
    EXPECT(fake_os_count(FAKE_COLLAPSE) == 0);
}

static void a_small_heap_stays_as_it_is(void **state)
{
    (void)state;
    unit_passes(small_heap, NULL);
}

static void switched_off(void *arg)
{
    (void)arg;
    hk_option_store(HK_OPT_HOT_SPAN_HUGE, 0);
    turn_over(6000, &ends);
    EXPECT(fake_os_count(FAKE_COLLAPSE) == 0 && fake_os_looks() == 0);
}

static void an_option_switches_it_off(void **state)
{
    (void)state;
    unit_passes(switched_off, NULL);
}

static void in_sandbox(void *arg)
{
    (void)arg;
    fake_os_sandbox();
    turn_over(6000, &ends);
    EXPECT(fake_os_count(FAKE_COLLAPSE) == 0);
    EXPECT(!HK_HOT_SPAN || (fake_os_looks() > 0 && fake_os_looks() <= 2 * SLOTS)); /* once a unit */
}

static void in_a_sandbox_nothing_is_looked_at(void **state)
{
    (void)state;
    unit_passes(in_sandbox, NULL);
}

static void refused(void *arg)
{
    (void)arg;
    fake_os_fail_from(FAKE_COLLAPSE, 1);
    turn_over(6000, &ends);
    uint64_t asked = fake_os_count(FAKE_COLLAPSE);
    EXPECT(HK_HOT_SPAN ? asked > 0 && asked <= 8 : asked == 0);
    uint64_t hints = fake_os_count(FAKE_HINT);
    size_t dirty = hk_arena_dirty();
    EXPECT(hk_arena_purge(hk_os_now_ms(), 0, 0) == dirty && hk_arena_check());
    EXPECT(fake_os_count(FAKE_HINT) == hints);
}

static void a_system_that_refuses_is_not_asked_again_and_again(void **state)
{
    (void)state;
    unit_passes(refused, NULL);
}

/* realloc: runs that are never taken anew, of whose added pages any may be touched. */
static void grow(void *arg)
{
    (void)arg;
    const size_t pages = 2048;
    for (unsigned i = 0; i < 2; i++) {
        bool zero;
        slot[i] = hk_arena_take(pages, HK_PAGE, &zero);
        EXPECT(slot[i] != NULL);
    }
    for (unsigned i = 0; i < 1000; i++) {
        char *run = slot[i % 2];
        EXPECT(hk_arena_resize(run, 1) && hk_arena_resize(run, pages));
        for (unsigned touched = 0; touched < 6; touched++)
            run[unit_random(&seed, pages) * HK_PAGE] = 1;
    }
    EXPECT(!HK_HOT_SPAN || fake_os_count(FAKE_COLLAPSE) > 3);
    EXPECT(hk_arena_check());
}

static void what_runs_grow_by_counts(void **state)
{
    (void)state;
    unit_passes(grow, NULL);
}

/* Purged pages of a huge page would come back by themselves where the system still wanted one there. */
static void purge(void *arg)
{
    (void)arg;
    turn_over(6000, &ends);
    uint64_t huge = fake_os_count(FAKE_COLLAPSE), hints = fake_os_count(FAKE_HINT);
    give_all();
    size_t dirty = hk_arena_dirty();
    EXPECT(hk_arena_purge(hk_os_now_ms(), 0, 0) == dirty && hk_arena_dirty() == 0 && hk_arena_check());
    /* the second arena's units were never hinted */
    EXPECT(!HK_HOT_SPAN || fake_os_count(FAKE_HINT) > hints + huge / 2);
    EXPECT(fake_os_count(FAKE_HINT) <= hints + huge);
    turn_over(6000, &ends); /* and again */
    EXPECT(!HK_HOT_SPAN || fake_os_count(FAKE_COLLAPSE) >= 2 * huge - huge / 4);
}

static void purged_units_start_anew(void **state)
{
    (void)state;
    unit_passes(purge, NULL);
}

static void take_superslabs(void *arg)
{
    (void)arg;
    turn_over(6000, &ends);
    uint64_t huge = fake_os_count(FAKE_COLLAPSE), hints = fake_os_count(FAKE_HINT);
    give_all();
    for (unsigned i = 0; i < 100 && hk_arena_dirty() != 0; i++) {
        uint32_t clean;
        EXPECT(hk_arena_take_superslab(0, &clean) != NULL);
    }
    EXPECT(!HK_HOT_SPAN || fake_os_count(FAKE_HINT) > hints + huge / 2);
}

static void superslabs_are_not_huge(void **state)
{
    (void)state;
    if (!HK_SS_ARENA)
        skip(); /* they are mappings of their own */
    unit_passes(take_superslabs, NULL);
}

/* Meanwhile the purge leaves this unit alone and no other. */
static size_t purged;

static void purge_beside(void)
{
    size_t dirty = hk_arena_dirty();
    purged = hk_arena_purge(hk_os_now_ms(), 0, 0);
    EXPECT(hk_arena_dirty() == dirty - purged && hk_arena_check());
    fake_os_at_collapse(NULL);
}

static void purge_while_rising(void *arg)
{
    (void)arg;
    fake_os_at_collapse(purge_beside);
    turn_over(3000, &ends);
    EXPECT(!HK_HOT_SPAN || purged > 0);
    size_t dirty = hk_arena_dirty();
    EXPECT(hk_arena_purge(hk_os_now_ms(), 0, 0) == dirty && hk_arena_check());
}

static void the_purge_passes_by_what_rises(void **state)
{
    (void)state;
    unit_passes(purge_while_rising, NULL);
}

/* A fork that the raising thread does not know of: in a handler. */
static void fork_now(void)
{
    hk_arena_fork_child();
    fake_os_at_collapse(NULL);
}

static void fork_while_rising(void *arg)
{
    (void)arg;
    fake_os_at_collapse(fork_now);
    turn_over(3000, &ends);
    size_t dirty = hk_arena_dirty();
    EXPECT(hk_arena_purge(hk_os_now_ms(), 0, 0) == dirty && hk_arena_check());
    turn_over(6000, &ends);
    dirty = hk_arena_dirty();
    EXPECT(hk_arena_purge(hk_os_now_ms(), 0, 0) == dirty && hk_arena_check());
}

static void a_fork_while_a_unit_rises_stops_nothing(void **state)
{
    (void)state;
    unit_passes(fork_while_rising, NULL);
}

/* All is free but the run that raises its unit; another thread makes SuperSlabs of what there is. */
static pthread_t taker;
static _Atomic bool ended;

static void *take_all(void *arg)
{
    (void)arg;
    uint32_t clean;
    for (unsigned i = 0; i < 100 && hk_arena_dirty() >= HK_SUPERSLAB_SIZE; i++)
        EXPECT(hk_arena_take_superslab(0, &clean) != NULL);
    ended = true;
    return NULL;
}

static void give_all_and_take_them(void)
{
    fake_os_at_collapse(NULL);
    give_all();
    EXPECT(pthread_create(&taker, NULL, take_all, NULL) == 0);
    for (unsigned i = 0; i < 100 && !ended; i++)
        usleep(1000); /* it waits for us as soon as it comes to the unit */
}

static void take_while_rising(void *arg)
{
    (void)arg;
    if (!HK_HOT_SPAN)
        return;
    fake_os_at_collapse(give_all_and_take_them);
    turn_over(3000, &ends);
    pthread_join(taker, NULL);
    EXPECT(ended && hk_arena_check());
}

static void a_superslab_waits_for_its_unit(void **state)
{
    (void)state;
    if (!HK_SS_ARENA)
        skip(); /* they are mappings of their own */
    unit_passes(take_while_rising, NULL);
}

/* Units rise while others purge. */
static void *turn_over_and_purge(void *arg)
{
    seed = (uintptr_t)arg;
    turn_over(4000, &ends);
    for (unsigned i = 0; i < 10; i++) { /* others are still at it */
        hk_arena_purge(hk_os_now_ms(), 0, 8 * HK_MIB);
        turn_over(100, &ends);
    }
    give_all();
    return NULL;
}

static void in_threads(void *arg)
{
    (void)arg;
    pthread_t threads[4];
    for (uintptr_t i = 0; i < HK_COUNT(threads); i++)
        EXPECT(pthread_create(&threads[i], NULL, turn_over_and_purge, (void *)(i + 1)) == 0);
    for (unsigned i = 0; i < HK_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    size_t dirty = hk_arena_dirty();
    EXPECT(!HK_HOT_SPAN || fake_os_count(FAKE_COLLAPSE) > 50);
    EXPECT(hk_arena_live() == 0 && hk_arena_purge(hk_os_now_ms(), 0, 0) == dirty && hk_arena_check());
}

static void any_thread_may_raise_a_unit_and_purge(void **state)
{
    (void)state;
    unit_passes(in_threads, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_reuse_touches_new_pages_units_become_huge),
        cmocka_unit_test(where_the_same_pages_are_used_again_none_does),
        cmocka_unit_test(whichever_blocks_there_are),
        cmocka_unit_test(and_in_a_few_units),
        cmocka_unit_test(a_small_heap_stays_as_it_is),
        cmocka_unit_test(an_option_switches_it_off),
        cmocka_unit_test(in_a_sandbox_nothing_is_looked_at),
        cmocka_unit_test(a_system_that_refuses_is_not_asked_again_and_again),
        cmocka_unit_test(what_runs_grow_by_counts),
        cmocka_unit_test(purged_units_start_anew),
        cmocka_unit_test(superslabs_are_not_huge),
        cmocka_unit_test(the_purge_passes_by_what_rises),
        cmocka_unit_test(a_fork_while_a_unit_rises_stops_nothing),
        cmocka_unit_test(a_superslab_waits_for_its_unit),
        cmocka_unit_test(any_thread_may_raise_a_unit_and_purge),
    };
    return cmocka_run_group_tests_name("ss_arena_warm", tests, NULL, NULL);
}
