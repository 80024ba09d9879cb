/* SPDX-License-Identifier: MIT
 *
 * Runs that threads keep. Each case has arenas of its own in a child.
 */
#include "unit.h"

#include "base/options.h"
#include "fake_os.h"
#include "large/run_cache.h"

#include <pthread.h>
#include <sched.h>

#define KEEP 256u /* pages: HAKMEM_MIN_KEEP, 1 MiB */

static struct hk_run_cache cache, other, many[40];

static void *take_run(size_t pages)
{
    bool zero;
    void *run = hk_arena_take(pages, HK_PAGE, &zero);
    EXPECT(run != NULL);
    return run;
}

static size_t count_of(const struct hk_run_cache *c)
{
    return hk_load_relaxed(&c->count);
}

static void check(void)
{
    EXPECT(hk_run_cache_check(&cache) && hk_run_cache_check(&other) && hk_arena_check());
}

static void put(struct hk_run_cache *c, void *run, size_t pages)
{
    EXPECT(hk_run_cache_put(c, run, pages));
    check();
}

/* Without the runs in caches nothing is live. */
static void expect_nothing_live(void)
{
    hk_run_cache_sweep_all();
    check();
    EXPECT(count_of(&cache) == 0 && count_of(&other) == 0 && hk_run_cache_bytes() == 0 && hk_arena_live() == 0);
}

/* ---- one thread ---- */

static void come_back(void *arg)
{
    (void)arg;
    unit_second_thread();
    char *one = take_run(20), *two = take_run(20), *longer = take_run(25);
    put(&cache, one, 20);
    put(&cache, two, 20);
    put(&cache, longer, 25);
    EXPECT(hk_arena_pages_of_live(one) == 0 && hk_arena_find(one).kind == HK_RUN_FREED);
    EXPECT(hk_run_cache_take(&cache, 26) == NULL &&
           hk_run_cache_take(&cache, 19) == two); /* the newest, one too long */
    EXPECT(hk_arena_pages_of_live(two) == 20 && hk_arena_find(two).kind == HK_RUN_LIVE);
    EXPECT(hk_run_cache_take(&cache, 20) == one);
    EXPECT(hk_run_cache_take(&cache, 19) == NULL); /* 25 is more than a quarter too long */
    EXPECT(hk_run_cache_take(&cache, 20) == longer && hk_arena_pages_of_live(longer) == 25);
    EXPECT(count_of(&cache) == 0 && hk_run_cache_take(&cache, 20) == NULL);
    EXPECT(hk_arena_give(one) && hk_arena_give(two) && hk_arena_give(longer));
    expect_nothing_live();
}

static void the_newest_that_fits_comes_back(void **state)
{
    (void)state;
    unit_passes(come_back, NULL);
}

/* What was put is no block, for nobody. */
static void put_twice(void *arg)
{
    (void)arg;
    unit_second_thread();
    char *run = take_run(30), *next = take_run(9);
    put(&cache, run, 30);
    EXPECT(!hk_run_cache_put(&cache, run, 30) && !hk_run_cache_put(&other, run, 30));
    EXPECT(!hk_arena_give(run) && !hk_arena_resize(run, 20, 20) && !hk_arena_resize(run, 40, 40));
    EXPECT(!hk_run_cache_put(&cache, next + HK_PAGE, 9) && !hk_run_cache_put(&cache, next, 10));
    EXPECT(hk_arena_give(next)); /* beside it: they are not one */
    check();
    hk_run_cache_sweep_all();
    EXPECT(!hk_arena_give(run) && !hk_run_cache_put(&cache, run, 30));
    expect_nothing_live();
}

static void a_second_free_is_refused(void **state)
{
    (void)state;
    unit_passes(put_twice, NULL);
}

static void every_length(void *arg)
{
    (void)arg;
    unit_second_thread();
    size_t last = HK_RUN_CACHE_FIRST + HK_RUN_CACHE_LENGTHS - 1;
    EXPECT(!hk_run_cache_may_have(HK_RUN_CACHE_FIRST - 1) && !hk_run_cache_may_have(last + 1));
    hk_option_store(HK_OPT_MIN_KEEP, HK_GIB);
    for (size_t pages = HK_RUN_CACHE_FIRST; pages <= last; pages++) {
        EXPECT(hk_run_cache_may_have(pages));
        put(&cache, take_run(pages), pages);
    }
    for (size_t pages = last; pages >= HK_RUN_CACHE_FIRST; pages--) {
        char *run = hk_run_cache_take(&cache, pages);
        EXPECT(run != NULL && hk_arena_pages_of_live(run) == pages && hk_arena_give(run));
        check();
    }
    expect_nothing_live();
}

static void all_lengths_are_kept(void **state)
{
    (void)state;
    unit_passes(every_length, NULL);
}

/* ---- how much ---- */

static void fill(size_t pages, unsigned n)
{
    void *runs[300];
    for (unsigned i = 0; i < n; i++)
        runs[i] = take_run(pages);
    for (unsigned i = 0; i < n; i++)
        put(&cache, runs[i], pages);
}

static void bounded(void *arg)
{
    (void)arg;
    unit_second_thread();
    fill(16, KEEP / 16);
    EXPECT(cache.pages == KEEP && hk_arena_dirty() == 0);
    fill(16, 1); /* one of them: half goes back, the oldest */
    EXPECT(cache.pages == KEEP / 2 + 16 && hk_arena_dirty() == KEEP / 2 * HK_PAGE);
    expect_nothing_live();
    fill(9, 200);
    EXPECT(cache.pages <= KEEP);
    hk_option_store(HK_OPT_MIN_KEEP, HK_GIB);
    fill(9, 300);
    EXPECT(count_of(&cache) <= HK_RUN_CACHE_RUNS && count_of(&cache) > HK_RUN_CACHE_RUNS / 2);
    hk_option_store(HK_OPT_MIN_KEEP, 0);
    char *much = take_run(8000);
    fill(50, 100);
    EXPECT(cache.pages <= (8000 + 100 * 50) / 3 && cache.pages >= 1000); /* while there is as much */
    EXPECT(hk_arena_give(much));
    fill(9, 8);
    EXPECT(cache.pages <= ((8000 + 100 * 50) / 3 + 8 * 9) / 3); /* looked at once in eight */
    hk_option_store(HK_OPT_PURGE_DELAY_MS, 0);
    fill(9, 100);
    EXPECT(cache.share == 0 && count_of(&cache) == 0);
    hk_option_store(HK_OPT_MIN_KEEP, 64 * HK_PAGE);
    fill(9, 8);
    put(&cache, take_run(70), 70);
    EXPECT(hk_run_cache_take(&cache, 70) == NULL); /* more than the share */
    expect_nothing_live();
}

static void a_cache_holds_its_share(void **state)
{
    (void)state;
    unit_passes(bounded, NULL);
}

static void shared(void *arg)
{
    (void)arg;
    unit_second_thread();
    put(&cache, take_run(9), 9);
    put(&other, take_run(9), 9);
    EXPECT(other.share == KEEP / 2);
    fill(10, 20);
    EXPECT(cache.share == KEEP / 2 && cache.pages <= KEEP / 2);
    hk_run_cache_end(&other);
    EXPECT(count_of(&other) == 0 && !other.used);
    fill(10, 30);
    EXPECT(cache.share == KEEP && cache.pages > KEEP / 2);
    put(&other, take_run(9), 9); /* the record of a thread that ended serves the next one */
    EXPECT(other.share != 0 && other.share < KEEP / 2 && count_of(&other) == 1); /* what is left by now */
    fill(10, 20);
    for (unsigned i = 0; i < 8; i++)
        put(&other, take_run(9), 9);
    EXPECT(cache.share == KEEP / 2 && other.share == KEEP / 2);
    hk_run_cache_end(&cache);
    hk_run_cache_end(&other);
    expect_nothing_live();
}

/* Threads that come one after another, fill their caches and sleep. */
static void one_by_one(void *arg)
{
    (void)arg;
    unit_second_thread();
    for (unsigned i = 0; i < HK_COUNT(many); i++) {
        for (unsigned n = 0; n < 20; n++)
            put(&many[i], take_run(16), 16);
    }
    size_t pages = 0;
    for (unsigned i = 0; i < HK_COUNT(many); i++)
        pages += many[i].pages;
    EXPECT(pages >= KEEP / 2 && pages <= KEEP + KEEP / 4);
    hk_run_cache_sweep_all();
    put(&many[1], take_run(9), 9);
    EXPECT(many[1].share != 0); /* again */
    expect_nothing_live();
}

static void what_sleepers_keep_others_may_not(void **state)
{
    (void)state;
    unit_passes(one_by_one, NULL);
}

static void alone(void *arg)
{
    (void)arg;
    char *run = take_run(20);
    if (!hk_single_threaded())
        return; /* a sanitizer's runtime has a thread */
    put(&cache, run, 20);
    EXPECT(count_of(&cache) == 0 && hk_arena_find(run).kind == HK_RUN_FREED && hk_arena_dirty() != 0);
    EXPECT(!hk_run_cache_put(&cache, run, 20));
    unit_second_thread();
    for (unsigned i = 0; i < 16; i++)
        put(&cache, take_run(20), 20);
    EXPECT(count_of(&cache) != 0);
    expect_nothing_live();
}

static void limited(void *arg)
{
    (void)arg;
    unit_second_thread();
    fill(9, 8);
    EXPECT(count_of(&cache) == 8);
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, HK_GIB));
    fill(9, 8); /* looked at once in eight */
    put(&cache, take_run(9), 9);
    EXPECT(count_of(&cache) == 0 && hk_arena_live() == 0);
    expect_nothing_live();
}

/* What lies in caches counts as in use, and somebody else would be refused. */
static void with_a_memory_limit_none_is_kept(void **state)
{
    (void)state;
    unit_passes(limited, NULL);
}

static void one_thread_alone_keeps_none(void **state)
{
    (void)state;
    unit_passes(alone, NULL);
}

static void threads_share_evenly(void **state)
{
    (void)state;
    unit_passes(shared, NULL);
}

static void oldest_first(void *arg)
{
    (void)arg;
    unit_second_thread();
    hk_run_cache_give_oldest(&cache); /* there is none */
    char *one = take_run(12), *two = take_run(12);
    put(&cache, one, 12);
    put(&cache, two, 12);
    hk_run_cache_give_oldest(&cache);
    check();
    EXPECT(count_of(&cache) == 1 && hk_run_cache_bytes() == 12 * HK_PAGE);
    EXPECT(hk_run_cache_take(&cache, 12) == two && hk_arena_give(two));
    expect_nothing_live();
}

static void the_oldest_goes_first(void **state)
{
    (void)state;
    unit_passes(oldest_first, NULL);
}

/* ---- for others ---- */

static unsigned count_full(void)
{
    unsigned full = 0;
    for (unsigned i = 0; i < HK_COUNT(many); i++)
        full += count_of(&many[i]) != 0;
    return full;
}

static void swept(void *arg)
{
    (void)arg;
    unit_second_thread();
    hk_option_store(HK_OPT_MIN_KEEP, HK_GIB);
    for (unsigned i = 0; i < HK_COUNT(many); i++)
        put(&many[i], take_run(20), 20);
    for (unsigned left = HK_COUNT(many); left > 0; left -= 10) {
        EXPECT(count_full() == left);
        hk_run_cache_sweep(10, 0, 0);
    }
    EXPECT(count_full() == 0);
    hk_run_cache_sweep(10, 0, 0); /* the end, and from the beginning on */
    put(&many[0], take_run(20), 20);
    for (unsigned i = 0; i < 5; i++)
        hk_run_cache_sweep(10, 0, 0);
    expect_nothing_live();
}

static void a_sweep_goes_on_where_it_stopped(void **state)
{
    (void)state;
    unit_passes(swept, NULL);
}

static void aged(void *arg)
{
    (void)arg;
    unit_second_thread();
    put(&cache, take_run(20), 20);
    put(&cache, take_run(20), 20);
    put(&cache, take_run(20), 20);
    put(&other, take_run(20), 20);
    EXPECT(!hk_run_cache_sweep(9, 5000, 100) && !hk_run_cache_sweep(9, 5050, 100));
    put(&cache, hk_run_cache_take(&cache, 20), 20);
    EXPECT(hk_run_cache_sweep(9, 5101, 100)); /* of those that were not needed since, also where another was */
    EXPECT(count_of(&cache) == 1 && count_of(&other) == 0);
    EXPECT(!hk_run_cache_sweep(9, 5150, 100) && hk_run_cache_sweep(9, 5300, 100));
    EXPECT(count_of(&cache) == 0);
    expect_nothing_live();
}

static void what_nobody_used_for_long_goes(void **state)
{
    (void)state;
    unit_passes(aged, NULL);
}

static void forked(void *arg)
{
    (void)arg;
    unit_second_thread();
    struct hk_run_cache *half = &many[0];
    put(&cache, take_run(20), 20);
    put(&other, take_run(20), 20);
    put(half, take_run(20), 20);
    hk_store_relaxed(&cache.lock.word, 1); /* a handler in this thread forks */
    hk_store_relaxed(&half->lock.word, 1); /* another thread was at work and is not here */
    hk_run_cache_fork_child(&cache);
    check();
    EXPECT(cache.used && count_of(&cache) == 1 && !other.used && count_of(&other) == 1 && count_of(half) == 0);
    EXPECT(hk_run_cache_check(half));
    for (unsigned i = 0; i < 9; i++)
        put(&cache, take_run(20), 20);
    EXPECT(cache.share > KEEP / 2);
    hk_run_cache_sweep_all();
    EXPECT(hk_arena_live() == 20 * HK_PAGE && count_of(&other) == 0); /* what was half changed is lost */
    put(&other, take_run(20), 20);
    put(half, take_run(20), 20);
    EXPECT(half->share == KEEP / 3);
}

/* A handler that interrupts a sweep forks: the sweep goes on in the child, with all that it has read. */
static void forked_in_sweep(void *arg)
{
    (void)arg;
    unit_second_thread();
    struct hk_run_cache *swept = &many[0], *mine = &cache;
    for (unsigned i = 0; i < 3; i++) {
        put(swept, take_run(10), 10);
        put(mine, take_run(20), 20);
    }
    hk_store_relaxed(&swept->lock.word, 1);
    hk_store_relaxed(&swept->sweeper, hk_thread_self());
    hk_store_relaxed(&mine->lock.word, 2); /* another thread was just sweeping this one's own, and is not here */
    hk_store_relaxed(&mine->sweeper, hk_thread_self() + 1);
    size_t bytes = hk_run_cache_bytes();
    hk_run_cache_fork_child(mine);
    EXPECT(count_of(swept) == 3 && swept->pages == 30 && hk_load_relaxed(&swept->lock.word) == 0);
    EXPECT(count_of(mine) == 0 && hk_load_relaxed(&mine->sweeper) == 0 && hk_run_cache_bytes() == bytes);
    check();
    hk_store_relaxed(&swept->sweeper, 0);
    hk_run_cache_sweep_all();
    EXPECT(hk_run_cache_bytes() == 0 && hk_arena_live() == 60 * HK_PAGE);
}

static void a_sweep_goes_on_in_the_child_of_a_fork(void **state)
{
    (void)state;
    unit_passes(forked_in_sweep, NULL);
}

/* A thread that is lost in the middle had told the sum, and not noted it. */
static void told_anew(void *arg)
{
    (void)arg;
    unit_second_thread();
    put(&cache, take_run(20), 20);
    put(&other, take_run(30), 30);
    hk_store_relaxed(&cache.lock.word, 1); /* this thread is about to note what it told */
    hk_sub_relaxed(&hk_run_cache_pages, 7);
    size_t bytes = hk_run_cache_bytes();
    hk_run_cache_fork_child(&cache);
    EXPECT(hk_run_cache_bytes() == bytes);
    hk_run_cache_fork_child(&cache);
    EXPECT(hk_run_cache_bytes() == (hk_load_relaxed(&cache.told) + hk_load_relaxed(&other.told)) * HK_PAGE);
    expect_nothing_live();
}

static void the_child_of_a_fork_counts_anew(void **state)
{
    (void)state;
    unit_passes(told_anew, NULL);
}

static void the_child_of_a_fork_has_what_was_whole(void **state)
{
    (void)state;
    unit_passes(forked, NULL);
}

static void near_runs(void *arg)
{
    (void)arg;
    unit_second_thread();
    fake_os_set_nodes(3);
    EXPECT(hk_arena_start());
    if (!hk_numa_start())
        return; /* a build for one node */
#if HK_NUMA
    hk_arena_place();
#endif
    fake_os_run_on(1);
    char *far = take_run(20);
    fake_os_run_on(0);
    char *near = take_run(20);
    EXPECT(hk_arena_node_of(far) == 1 && hk_arena_node_of(near) == 0);
    put(&cache, far, 20);
    EXPECT(count_of(&cache) == 0 && hk_arena_find(far).kind == HK_RUN_FREED);
    put(&cache, near, 20);
    EXPECT(count_of(&cache) == 1);
    fake_os_run_on(1);
    EXPECT(hk_run_cache_take(&cache, 20) == NULL && count_of(&cache) == 0); /* it went home */
    expect_nothing_live();
}

static void only_near_runs_are_kept(void **state)
{
    (void)state;
    unit_passes(near_runs, NULL);
}

/* ---- threads ---- */

#define THREADS 4
#define BOXES 64
#define ROUNDS 20000

static void *_Atomic boxes[BOXES];
static pthread_barrier_t meeting;
static _Atomic unsigned at_work;

/* Who has a run is written in it. */
static void *take_any(struct hk_run_cache *c, size_t pages)
{
    size_t *run = hk_run_cache_take(c, pages);
    if (run == NULL)
        run = take_run(pages);
    size_t have = hk_arena_pages_of_live(run);
    EXPECT(have >= pages && have <= pages + pages / 4);
    run[0] = run[have * HK_PAGE / sizeof *run - 1] = (size_t)(uintptr_t)run ^ have;
    return run;
}

static void give_any(struct hk_run_cache *c, size_t *run)
{
    size_t have = hk_arena_pages_of_live(run);
    size_t mark = (size_t)(uintptr_t)run ^ have;
    EXPECT(have != 0 && run[0] == mark && run[have * HK_PAGE / sizeof *run - 1] == mark);
    run[0] = 0;
    EXPECT(hk_run_cache_put(c, run, have));
}

static void *exchange(void *arg)
{
    struct hk_run_cache *c = arg;
    uint64_t random = (uint64_t)(uintptr_t)arg | 1;
    for (unsigned i = 0; i < ROUNDS; i++) {
        void *run = take_any(c, HK_RUN_CACHE_FIRST + unit_random(&random, 24));
        run = hk_swap_acq_rel(&boxes[unit_random(&random, BOXES)], run); /* pairs with itself */
        if (run != NULL)
            give_any(c, run);
        if (i % 1000 == 999)
            hk_run_cache_end(c);
    }
    hk_run_cache_end(c);
    hk_sub_relaxed(&at_work, 1);
    return NULL;
}

static void exchanges(void *arg)
{
    (void)arg;
    pthread_t threads[THREADS];
    hk_store_relaxed(&at_work, THREADS);
    for (unsigned i = 0; i < THREADS; i++)
        EXPECT(pthread_create(&threads[i], NULL, exchange, &many[i]) == 0);
    while (hk_load_relaxed(&at_work) != 0) {
        hk_run_cache_sweep(2, 0, 0);
        EXPECT(hk_arena_check());
        sched_yield();
    }
    for (unsigned i = 0; i < THREADS; i++)
        EXPECT(pthread_join(threads[i], NULL) == 0);
    for (unsigned i = 0; i < BOXES; i++) {
        if (hk_load_relaxed(&boxes[i]) != NULL)
            give_any(&cache, hk_load_relaxed(&boxes[i]));
    }
    expect_nothing_live();
}

static void threads_exchange_runs_beside_a_sweep(void **state)
{
    (void)state;
    unit_passes(exchanges, NULL);
}

static void *run_of_both;
static _Atomic unsigned given;

static void *give_at_once(void *arg)
{
    for (unsigned i = 0; i < 2000; i++) {
        pthread_barrier_wait(&meeting);
        bool mine = arg != NULL ? hk_run_cache_put(arg, run_of_both, 20) : hk_arena_give(run_of_both);
        hk_add_relaxed(&given, mine);
        pthread_barrier_wait(&meeting);
    }
    return NULL;
}

static void at_once(void *arg)
{
    (void)arg;
    pthread_t threads[3];
    struct hk_run_cache *to[] = {&cache, &other, NULL};
    EXPECT(pthread_barrier_init(&meeting, NULL, 4) == 0);
    for (unsigned i = 0; i < 3; i++)
        EXPECT(pthread_create(&threads[i], NULL, give_at_once, to[i]) == 0);
    for (unsigned i = 0; i < 2000; i++) {
        run_of_both = take_run(20);
        pthread_barrier_wait(&meeting);
        pthread_barrier_wait(&meeting);
        EXPECT(hk_load_relaxed(&given) == i + 1);
        check();
    }
    for (unsigned i = 0; i < 3; i++)
        EXPECT(pthread_join(threads[i], NULL) == 0);
    expect_nothing_live();
}

static void of_several_frees_at_once_one_wins(void **state)
{
    (void)state;
    unit_passes(at_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_that_fits_comes_back),
        cmocka_unit_test(a_second_free_is_refused),
        cmocka_unit_test(all_lengths_are_kept),
        cmocka_unit_test(a_cache_holds_its_share),
        cmocka_unit_test(what_sleepers_keep_others_may_not),
        cmocka_unit_test(one_thread_alone_keeps_none),
        cmocka_unit_test(with_a_memory_limit_none_is_kept),
        cmocka_unit_test(threads_share_evenly),
        cmocka_unit_test(the_oldest_goes_first),
        cmocka_unit_test(a_sweep_goes_on_where_it_stopped),
        cmocka_unit_test(what_nobody_used_for_long_goes),
        cmocka_unit_test(the_child_of_a_fork_has_what_was_whole),
        cmocka_unit_test(a_sweep_goes_on_in_the_child_of_a_fork),
        cmocka_unit_test(the_child_of_a_fork_counts_anew),
        cmocka_unit_test(only_near_runs_are_kept),
        cmocka_unit_test(threads_exchange_runs_beside_a_sweep),
        cmocka_unit_test(of_several_frees_at_once_one_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
