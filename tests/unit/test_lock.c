/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "os/lock.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#define THREADS 4

static struct hk_lock lock = HK_LOCK_FREE(HK_RANK_POOL);

/* First of all tests: afterwards the process has had a second thread. */
static void with_one_thread_nothing_is_written(void **state)
{
    (void)state;
    struct hk_lock own = HK_LOCK_FREE(HK_RANK_ARENA);
    if (!HK_LIBC_COUNTS_THREADS)
        skip(); /* there may always be a second one */
    assert_true(hk_single_threaded());
    hk_lock(&own);
    assert_int_equal(own.word, 0);
    hk_unlock(&own);
    assert_int_equal(own.word, 0);
}

static void *nothing(void *arg)
{
    return arg;
}

/* Taken while there was one thread, given back when there are two: nobody waits for ever. (That it does not happen is
 * checked in test_held.c.) */
static void the_second_thread_may_come_in_between(void **state)
{
    (void)state;
    struct hk_lock own = HK_LOCK_FREE(HK_RANK_ARENA);
    pthread_t thread;
    if (!HK_CHECK_FAST)
        hk_lock(&own);
    assert_int_equal(pthread_create(&thread, NULL, nothing, NULL), 0);
    if (!HK_CHECK_FAST)
        hk_unlock(&own);
    assert_int_equal(own.word, 0);
    assert_false(hk_single_threaded());
    pthread_join(thread, NULL);
}

static void who_tries_does_not_wait(void **state)
{
    (void)state;
    struct hk_lock own = HK_LOCK_FREE(HK_RANK_ARENA);
    hk_lock(&own);
    assert_int_equal(own.word, 1);
    assert_false(hk_try_lock(&own));
    hk_unlock(&own);
    assert_true(hk_try_lock(&own));
    hk_unlock(&own);
    assert_int_equal(own.word, 0);
}

static uint64_t counter; /* guarded by lock */
static unsigned inside;

static void *count_up(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 30000; i++) {
        if (i % 3 != 0 || !hk_try_lock(&lock))
            hk_lock(&lock);
        EXPECT(inside++ == 0);
        counter++;
        if (i % 512 == 0)
            sched_yield(); /* so that others come to sleep */
        EXPECT(--inside == 0);
        hk_unlock(&lock);
    }
    return NULL;
}

static void keeps_threads_apart(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    counter = 0;
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(counter, THREADS * 30000);
    assert_int_equal(lock.word, 0);
}

static void *take_once(void *arg)
{
    errno = 1234;
    hk_lock(&lock);
    EXPECT(errno == 1234);
    *(bool *)arg = true;
    hk_unlock(&lock);
    EXPECT(errno == 1234);
    return NULL;
}

static void who_waits_long_sleeps_and_is_woken(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    bool done[THREADS] = {0};
    hk_lock(&lock);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_once, &done[i]), 0);
    while (hk_load_relaxed(&lock.word) != 2)
        sched_yield();
    usleep(10000);
    for (unsigned i = 0; i < THREADS; i++)
        assert_false(*(volatile bool *)&done[i]);
    hk_unlock(&lock);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(lock.word, 0);
}

static void *hold_for_ever(void *arg)
{
    hk_lock(arg);
    return NULL;
}

static void a_childs_lock_is_free_whoever_held_it(void **state)
{
    (void)state;
    struct hk_lock own = HK_LOCK_FREE(HK_RANK_ARENA);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, hold_for_ever, &own), 0);
    pthread_join(thread, NULL);
    assert_int_not_equal(own.word, 0);
    hk_lock_reset(&own);
    assert_int_equal(own.word, 0);
    assert_true(hk_try_lock(&own));
    hk_unlock(&own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_one_thread_nothing_is_written),
        cmocka_unit_test(the_second_thread_may_come_in_between),
        cmocka_unit_test(who_tries_does_not_wait),
        cmocka_unit_test(keeps_threads_apart),
        cmocka_unit_test(who_waits_long_sleeps_and_is_woken),
        cmocka_unit_test(a_childs_lock_is_free_whoever_held_it),
    };
    return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
