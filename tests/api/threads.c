/* SPDX-License-Identifier: MIT
 *
 * The statistics and the contents of blocks that several threads hand to each other, threads that have ended included.
 */
#include "api.h"

#include "config.h"

#include <hakmem/hakmem.h>

#include <pthread.h>

const struct entries *e;

enum { THREADS = 4, PER_THREAD = 5000 };

static unsigned char *blocks[THREADS][PER_THREAD];

static size_t size_of(size_t thread, size_t i)
{
    uint64_t random = thread * PER_THREAD + i;
    return 1 + random_below(&random, i % 50 ? 2000 : 60000);
}

static void *allocate(void *argument)
{
    size_t thread = (size_t)(uintptr_t)argument;
    for (size_t i = 0; i < PER_THREAD; i++) {
        blocks[thread][i] = e->malloc(size_of(thread, i));
        if (!blocks[thread][i])
            return argument;
        pattern_fill(blocks[thread][i], size_of(thread, i), i);
    }
    return NULL;
}

/* Frees every other block of the next thread; returns non-NULL when one is damaged. */
static void *free_neighbours(void *argument)
{
    size_t thread = ((size_t)(uintptr_t)argument + 1) % THREADS;
    for (size_t i = 0; i < PER_THREAD && blocks[thread][i]; i += 2) {
        if (pattern_check(blocks[thread][i], size_of(thread, i), i) != size_of(thread, i))
            return blocks[thread][i];
        e->free(blocks[thread][i]);
    }
    return NULL;
}

static void run_all(void *(*body)(void *))
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, body, (void *)(uintptr_t)i), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
}

/* What is asked here is not there with -Dstats=disabled. */
static struct hak_stats stats_now(void)
{
    struct hak_stats stats = {.size = sizeof(stats)};
    if (!HK_STATS)
        skip();
    assert_int_equal(hak_stats(&stats), 0);
    return stats;
}

/* Within 16 blocks of what is expected: the C library keeps records of threads. */
static void assert_live_blocks(size_t expected)
{
    struct hak_stats stats = stats_now();
    if (stats.live_blocks + 16 < expected || stats.live_blocks > expected + 16)
        fail_msg("%zu live blocks, expected %zu", stats.live_blocks, expected);
}

static void blocks_of_dead_threads_are_counted(void **state)
{
    (void)state;
    run_all(free_neighbours); /* nothing there yet: starts and ends the threads once */
    size_t before = stats_now().live_blocks;
    run_all(allocate);
    assert_live_blocks(before + THREADS * PER_THREAD);
    run_all(free_neighbours);
    assert_live_blocks(before + THREADS * PER_THREAD / 2);
    for (size_t thread = 0; thread < THREADS; thread++) {
        for (size_t i = 1; i < PER_THREAD; i += 2) {
            assert_int_equal(pattern_check(blocks[thread][i], size_of(thread, i), i), size_of(thread, i));
            e->free(blocks[thread][i]);
        }
    }
    assert_live_blocks(before);
    /* Joined threads have no heap any more; a helper may be about. */
    assert_in_range(stats_now().threads, 1, 2);
}

int main(void)
{
    e = entries_get();
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_of_dead_threads_are_counted)};
    return cmocka_run_group_tests_name(e->kind, tests, NULL, NULL);
}
