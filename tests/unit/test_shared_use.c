/* SPDX-License-Identifier: MIT
 *
 * How often locks are taken, waited for and held, and words written. Built with -Dtelemetry=enabled only. The kinds are
 * counted for the whole process, so each case takes one that no other does.
 */
#include "unit.h"

#include "base/bits.h"
#include "base/shared_use.h"
#include "os/lock.h"

#include <pthread.h>
#include <time.h>

static void sleep_ms(unsigned ms)
{
    struct timespec time = {.tv_nsec = (long)ms * 1000000};
    nanosleep(&time, NULL);
}

static void times_and_ticks_of_one_kind(void **state)
{
    (void)state;
    struct hk_lock one = HK_LOCK_FREE(HK_RANK_HUGE), other = HK_LOCK_FREE(HK_RANK_HUGE);
    for (unsigned i = 0; i < 100; i++) {
        hk_lock(&one);
        hk_unlock(&one);
    }
    struct hk_lock_figures f = hk_telemetry_lock(HK_RANK_HUGE);
    assert_true(f.taken == 100 && f.waited == 0);
    assert_true(f.held_99_ticks <= f.held_ticks && f.busiest_ticks <= f.held_ticks);
    uint64_t before = f.held_ticks, start = hk_ticks();
    assert_true(hk_try_lock(&other));
    sleep_ms(20); /* one of 101: not among the 99 % */
    hk_unlock(&other);
    uint64_t passed = hk_ticks() - start;
    f = hk_telemetry_lock(HK_RANK_HUGE);
    assert_true(f.taken == 101 && f.waited == 0);
    assert_true(f.held_ticks - before > passed / 2 && f.held_ticks - before <= passed);
    assert_true(f.held_99_ticks <= before);
    assert_int_equal(hk_telemetry_lock(HK_RANK_SWEEPING).taken, 0);
}

static void the_busiest_of_a_kind(void **state)
{
    (void)state;
    struct hk_lock busy = HK_LOCK_FREE(HK_RANK_RECORDS), idle = HK_LOCK_FREE(HK_RANK_RECORDS);
    for (unsigned i = 0; i < 64; i++) {
        hk_lock(&idle);
        hk_unlock(&idle);
        hk_lock(&busy);
        sleep_ms(1);
        hk_unlock(&busy);
    }
    struct hk_lock_figures f = hk_telemetry_lock(HK_RANK_RECORDS);
    assert_int_equal(f.taken, 128);
    assert_int_equal(f.busiest_ticks, busy.use->held);
    assert_true(f.held_ticks == busy.use->held + idle.use->held);
}

static struct hk_lock wanted = HK_LOCK_FREE(HK_RANK_META);

static void *want(void *unused)
{
    hk_lock(&wanted);
    hk_unlock(&wanted);
    return unused;
}

static void who_waits_is_counted(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, want, NULL), 0);
    pthread_join(thread, NULL);
    uint64_t before = hk_telemetry_lock(HK_RANK_META).waited;
    hk_lock(&wanted);
    assert_false(hk_try_lock(&wanted));
    assert_int_equal(hk_telemetry_lock(HK_RANK_META).waited, before + 1);
    assert_int_equal(pthread_create(&thread, NULL, want, NULL), 0);
    while (hk_load_relaxed(&wanted.word) != 2) /* it sleeps, or is about to */
        sleep_ms(1);
    hk_unlock(&wanted);
    pthread_join(thread, NULL);
    struct hk_lock_figures f = hk_telemetry_lock(HK_RANK_META);
    assert_true(f.waited == before + 2 && f.taken == 3);
}

static void *write_words(void *unused)
{
    for (unsigned i = 0; i < 1000; i++)
        hk_use_wrote(HK_WORD_CHARGED);
    return unused;
}

static void words_of_all_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < HK_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_words, NULL), 0);
    for (size_t i = 0; i < HK_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(hk_telemetry_word(HK_WORD_CHARGED), 4000);
    assert_int_equal(hk_telemetry_word(HK_WORD_WAITING), 0);
}

static void everything_has_a_name(void **state)
{
    (void)state;
    assert_null(hk_telemetry_lock_name(HK_RANK_NONE));
    for (unsigned kind = HK_RANK_NONE + 1; kind < HK_USES; kind++)
        assert_true(hk_telemetry_lock_name(kind)[0] != 0);
    for (unsigned word = 0; word < HK_WORDS; word++)
        assert_true(hk_telemetry_word_name((enum hk_word)word)[0] != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_and_ticks_of_one_kind), cmocka_unit_test(the_busiest_of_a_kind),
        cmocka_unit_test(who_waits_is_counted),        cmocka_unit_test(words_of_all_threads),
        cmocka_unit_test(everything_has_a_name),
    };
    return cmocka_run_group_tests_name("shared_use", tests, NULL, NULL);
}
