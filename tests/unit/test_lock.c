/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "os/lock.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#define THREADS 4

static struct hk_lock lock;

/* First of all tests: afterwards the process has had a second thread. */
static void with_one_thread_nothing_is_written(void **state)
{
    (void)state;
    struct hk_lock own = {0};
    assert_true(hk_single_threaded());
    hk_lock(&own);
    assert_int_equal(own.word, 0);
    assert_false(hk_lock_is_mine(&own));
    hk_unlock(&own);
    hk_lock_always(&own);
    assert_int_equal(own.word, 1);
    assert_true(hk_lock_is_mine(&own));
    hk_unlock(&own);
    assert_int_equal(own.word, 0);
}

static void *nothing(void *arg)
{
    return arg;
}

/* Taken while there was one thread, given back when there are two. */
static void the_second_thread_may_come_in_between(void **state)
{
    (void)state;
    struct hk_lock own = {0};
    pthread_t thread;
    hk_lock(&own);
    assert_int_equal(pthread_create(&thread, NULL, nothing, NULL), 0);
    hk_unlock(&own);
    assert_int_equal(own.word, 0);
    assert_false(hk_single_threaded());
    pthread_join(thread, NULL);
}

static void knows_its_holder(void **state)
{
    (void)state;
    struct hk_lock own = {0};
    assert_false(hk_lock_is_mine(&own));
    hk_lock(&own);
    assert_true(hk_lock_is_mine(&own));
    assert_int_equal(own.word, 1);
    assert_false(hk_try_lock(&own));
    hk_unlock(&own);
    assert_false(hk_lock_is_mine(&own));
    assert_true(hk_try_lock(&own));
    assert_true(hk_lock_is_mine(&own));
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
        EXPECT(hk_lock_is_mine(&lock));
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

static void *try_it(void *arg)
{
    bool got = hk_try_lock(&lock);
    EXPECT(hk_lock_is_mine(&lock) == got);
    if (got)
        hk_unlock(&lock);
    *(bool *)arg = got;
    return NULL;
}

static bool free_for_another_thread(void)
{
    pthread_t thread;
    bool got = false;
    assert_int_equal(pthread_create(&thread, NULL, try_it, &got), 0);
    pthread_join(thread, NULL);
    return got;
}

/* The thread that is inside fork holds every lock; what it does in others' fork handlers neither waits nor frees. */
static void for_the_forking_thread_locks_do_nothing(void **state)
{
    (void)state;
    hk_lock_for_fork(&lock);
    hk_lock_fork_begin();
    hk_lock(&lock);
    hk_unlock(&lock);
    assert_int_not_equal(lock.word, 0);
    assert_false(free_for_another_thread());
    hk_lock_fork_end();
    assert_true(hk_lock_is_mine(&lock));
    hk_unlock(&lock);
    assert_true(free_for_another_thread());
}

static void *work_while_another_forks(void *arg)
{
    struct hk_lock *own = arg;
    hk_lock(own);
    EXPECT(own->word == 1);
    hk_unlock(own);
    EXPECT(own->word == 0);
    return NULL;
}

static void for_other_threads_locks_work_on(void **state)
{
    (void)state;
    struct hk_lock own = {0};
    pthread_t thread;
    hk_lock_fork_begin();
    assert_int_equal(pthread_create(&thread, NULL, work_while_another_forks, &own), 0);
    pthread_join(thread, NULL);
    hk_lock_fork_end();
}

static void fork_keeps_a_lock_that_its_thread_held(void **state)
{
    (void)state;
    struct hk_lock held = {0}, unheld = {0};
    hk_lock(&held);
    hk_lock_for_fork(&held); /* or it would wait for itself */
    hk_lock_for_fork(&unheld);
    assert_true(hk_lock_is_mine(&held));
    assert_true(hk_lock_is_mine(&unheld));
    hk_unlock(&unheld);
    hk_unlock(&held); /* fork's */
    assert_true(hk_lock_is_mine(&held));
    hk_unlock(&held);
    assert_int_equal(held.word, 0);
}

static void *hold_for_ever(void *arg)
{
    hk_lock(arg);
    return NULL;
}

static void a_childs_lock_is_free_whoever_held_it(void **state)
{
    (void)state;
    struct hk_lock own = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, hold_for_ever, &own), 0);
    pthread_join(thread, NULL);
    assert_int_not_equal(own.word, 0);
    hk_lock_reset(&own);
    assert_int_equal(own.word, 0);
    assert_int_equal(own.holder, 0);
    assert_true(hk_try_lock(&own));
    hk_unlock(&own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_one_thread_nothing_is_written),
        cmocka_unit_test(the_second_thread_may_come_in_between),
        cmocka_unit_test(knows_its_holder),
        cmocka_unit_test(keeps_threads_apart),
        cmocka_unit_test(who_waits_long_sleeps_and_is_woken),
        cmocka_unit_test(for_the_forking_thread_locks_do_nothing),
        cmocka_unit_test(for_other_threads_locks_work_on),
        cmocka_unit_test(fork_keeps_a_lock_that_its_thread_held),
        cmocka_unit_test(a_childs_lock_is_free_whoever_held_it),
    };
    return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
