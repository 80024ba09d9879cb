/* SPDX-License-Identifier: MIT
 *
 * The real os box, and the thread box beside it.
 */
#include "unit.h"

#include "needs.h"
#include "os/lock.h"
#include "os/os.h"
#include "os/thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SIZE ((size_t)1 << 20)

static int fds[2];

static int open_pipe(void **state)
{
    (void)state;
    return pipe(fds);
}

static int close_pipe(void **state)
{
    (void)state;
    return close(fds[0]) | close(fds[1]);
}

/* The kernel refuses addresses that cannot be read or written, without a signal. */
static bool readable(const void *ptr)
{
    char c;
    return write(fds[1], ptr, 1) == 1 && read(fds[0], &c, 1) == 1;
}

static bool writable(void *ptr)
{
    char c = 0;
    return write(fds[1], &c, 1) == 1 && (read(fds[0], ptr, 1) == 1 || read(fds[0], &c, 1) != 1);
}

static void the_page_size_is_the_kernels(void **state)
{
    (void)state;
    assert_int_equal(hk_os_page_size(), sysconf(_SC_PAGESIZE));
    assert_int_equal(hk_os_ask_page_size(), sysconf(_SC_PAGESIZE));
    assert_true(hk_is_pow2(hk_os_page_size()));
}

static void memory_can_be_had_at_an_address(void **state)
{
    (void)state;
    bool taken = true;
    size_t page = hk_os_page_size();
    char *p = hk_os_map(SIZE);
    assert_non_null(p);
    memset(p, 7, SIZE);
    assert_true(hk_os_unmap(p + page, 2 * page));
    assert_false(readable(p + page));
    assert_true(hk_os_map_at(p + page, 2 * page, &taken));
    assert_false(taken);
    assert_true(unit_is_zero(p + page, 2 * page));
    assert_true(writable(p + page));
    assert_true(hk_os_unmap(p + 2 * page, page));
    assert_false(hk_os_map_at(p + page, 2 * page, &taken)); /* half of it is there */
    assert_true(taken);
    assert_false(readable(p + 2 * page));
    assert_int_equal(p[page - 1], 7);
    assert_true(hk_os_map_at(p + 2 * page, page, &taken));
    assert_int_equal(p[3 * page], 7);
    /* What the system puts elsewhere goes back, also under a lock under which no large range may (-Dcheck). */
    struct hk_lock lock = HK_LOCK_FREE(HK_RANK_POOL);
    hk_lock(&lock);
    assert_false(hk_os_map_at(p, SIZE, &taken));
    hk_unlock(&lock);
    assert_true(taken && SIZE > 65536);
    assert_true(hk_os_unmap(p, SIZE));
    assert_false(hk_os_map_at((void *)(SIZE_MAX / 2 + 1), page, &taken)); /* no address */
}

static void limit_and_map_at(void *arg)
{
    bool taken = true;
    char *p = hk_os_map(SIZE);
    struct rlimit limit;
    (void)arg;
    EXPECT(p != NULL && hk_os_unmap(p, SIZE));
    EXPECT(getrlimit(RLIMIT_AS, &limit) == 0);
    limit.rlim_cur = 1 << 20; /* less than there is */
    EXPECT(setrlimit(RLIMIT_AS, &limit) == 0);
    EXPECT(!hk_os_map_at(p, SIZE, &taken) && !taken);
}

static void a_refused_address_is_not_a_taken_one(void **state)
{
    (void)state;
    unit_needs(lacks_address_limit());
    unit_passes(limit_and_map_at, NULL);
}

static void a_readable_reservation_reads_as_zeros(void **state)
{
    (void)state;
    char *p = hk_os_reserve_readable(SIZE);
    assert_non_null(p);
    assert_true(unit_is_zero(p, SIZE));
    assert_false(writable(p));
    assert_true(hk_os_commit(p, hk_os_page_size()));
    assert_true(writable(p));
    assert_true(hk_os_unmap(p, SIZE));
}

static void purged_pages_are_zero_and_not_resident(void **state)
{
    (void)state;
    size_t page = hk_os_page_size();
    char *p = hk_os_map(SIZE);
    assert_non_null(p);
    assert_int_equal(hk_os_resident(p, SIZE), 0);
    memset(p, 1, SIZE);
    assert_int_equal(hk_os_resident(p, SIZE), SIZE);
    assert_true(hk_os_purge(p + page, 2 * page));
    assert_int_equal(hk_os_resident(p, SIZE), SIZE - 2 * page);
    assert_true(unit_is_zero(p + page, 2 * page));
    assert_int_equal(p[page - 1], 1);
    assert_int_equal(p[3 * page], 1);
    assert_true(hk_os_unmap(p, SIZE));
}

static void residency_of_a_long_range_is_counted_in_parts(void **state)
{
    (void)state;
    size_t page = hk_os_page_size(), size = 3000 * page;
    char *p = hk_os_map(size);
    assert_non_null(p);
    hk_os_hint_no_huge(p, size);
    p[0] = p[1023 * page] = p[1024 * page] = p[2999 * page] = 1;
    assert_int_equal(hk_os_resident(p, size), 4 * page);
    assert_true(hk_os_unmap(p, size));
}

static void a_mapping_keeps_its_contents_when_it_moves(void **state)
{
    (void)state;
    char *p = hk_os_map(SIZE);
    assert_non_null(p);
    memset(p, 7, SIZE);
    p = hk_os_remap(p, SIZE, 64 * SIZE);
    assert_non_null(p);
    assert_int_equal(p[0], 7);
    assert_int_equal(p[SIZE - 1], 7);
    assert_true(unit_is_zero(p + SIZE, SIZE));
    p = hk_os_remap(p, 64 * SIZE, SIZE / 2);
    assert_non_null(p);
    assert_int_equal(p[SIZE / 2 - 1], 7);
    assert_true(hk_os_unmap(p, SIZE / 2));
}

static void refusals_are_told(void **state)
{
    (void)state;
    unit_needs(lacks_own_memory()); /* an emulator says of some calls that they were done */
    size_t page = hk_os_page_size();
    char *p = hk_os_map(2 * page);
    assert_non_null(p);
    assert_null(hk_os_reserve_readable(SIZE_MAX / 2));
    assert_null(hk_os_map(SIZE_MAX / 2));
    assert_null(hk_os_remap(p, 2 * page, SIZE_MAX / 2));
    assert_false(hk_os_unmap(p + 1, page));
    assert_false(hk_os_purge(p + 1, page));
    assert_false(hk_os_commit(p + 1, page));
    assert_true(hk_os_unmap(p, 2 * page));
    assert_false(hk_os_commit(p, page));
    assert_false(hk_os_purge(p, page));
}

static void calls_are_counted(void **state)
{
    (void)state;
    uint64_t before = hk_os_calls();
    bool taken;
    char *p = hk_os_reserve_readable(SIZE);
    hk_os_commit(p, SIZE);
    hk_os_purge(p, SIZE);
    hk_os_hint_no_huge(p, SIZE);
    hk_os_unmap(p, SIZE);
    hk_os_map_at(p, SIZE, &taken);
    p = hk_os_remap(p, SIZE, 2 * SIZE);
    hk_os_unmap(p, 2 * SIZE);
    assert_int_equal(hk_os_calls() - before, 8);
    hk_os_page_size();
    hk_os_now_ms();
    assert_int_equal(hk_os_calls() - before, 8);
}

static void time_goes_forward(void **state)
{
    (void)state;
    uint32_t start = hk_os_now_ms();
    usleep(40000);
    uint32_t passed = hk_os_now_ms() - start;
    assert_true(passed >= 20 && passed < 20000);
}

static uint64_t seconds_now(void)
{
    struct timespec now; /* not time(), which may be a tick behind */
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    return (uint64_t)now.tv_sec;
}

static void the_date_and_the_process_are_known(void **state)
{
    (void)state;
    uint64_t before = seconds_now();
    uint64_t date = hk_os_date();
    assert_true(date >= before && date <= seconds_now());
    assert_int_equal(hk_os_pid(), getpid());
    assert_int_equal(hk_os_is_secure(), getauxval(AT_SECURE) != 0);
}

static void errno_stays(void **state)
{
    (void)state;
    errno = 77;
    assert_null(hk_os_map(SIZE_MAX / 2));
    assert_false(hk_os_unmap((void *)1, 4096));
    assert_false(hk_os_purge((void *)1, 4096));
    assert_null(hk_os_remap((void *)4096, 4096, 8192));
    hk_os_resident((void *)4096, 4096);
    hk_os_cgroup_limit();
    assert_int_equal(errno, 77);
}

static void limit_addresses(void *arg)
{
    (void)arg;
    struct rlimit limit = {512 << 20, RLIM_INFINITY};
    EXPECT(getrlimit(RLIMIT_AS, &limit) == 0);
    limit.rlim_cur = 512 << 20;
    EXPECT(setrlimit(RLIMIT_AS, &limit) == 0);
    hk_os_start();
    EXPECT(hk_os_address_limit() == 512 << 20);
    limit.rlim_cur = 1024 << 20; /* asked once */
    EXPECT(setrlimit(RLIMIT_AS, &limit) == 0);
    EXPECT(hk_os_address_limit() == 512 << 20);
}

static void limits_are_known(void **state)
{
    (void)state;
    struct rlimit limit;
    if (lacks_address_limit() == NULL)
        unit_passes(limit_addresses, NULL);
    assert_int_equal(getrlimit(RLIMIT_AS, &limit), 0);
    assert_int_equal(hk_os_address_limit(), limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : limit.rlim_cur);
    assert_true(hk_os_cgroup_limit() > 0);
    int lowest = dup(0); /* no descriptor is kept */
    close(lowest);
    hk_os_cgroup_limit();
    int again = dup(0);
    close(again);
    assert_int_equal(lowest, again);
}

static _Atomic unsigned ended;
static void *_Atomic ended_with;

static void on_exit_of_thread(void *arg)
{
    ended_with = arg;
    ended++;
}

static void *watched(void *arg)
{
    hk_thread_watch(arg);
    return NULL;
}

static void *not_watched(void *arg)
{
    return arg;
}

static void run_thread(void *(*run)(void *), void *arg)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run, arg), 0);
    pthread_join(thread, NULL);
}

static void the_end_of_a_watched_thread_is_told(void **state)
{
    (void)state;
    int mark;
    run_thread(watched, &mark); /* before the start: nothing happens */
    assert_int_equal(ended, 0);
    assert_true(hk_thread_exit_init(on_exit_of_thread));
    run_thread(not_watched, NULL);
    assert_int_equal(ended, 0);
    run_thread(watched, &mark);
    assert_int_equal(ended, 1);
    assert_ptr_equal(ended_with, &mark);
    hk_thread_exit_fini();
    run_thread(watched, &mark);
    assert_int_equal(ended, 1);
}

static _Atomic int helper_state;

static void *help(void *arg)
{
    sigset_t blocked;
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    helper_state = arg == NULL && sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGINT) ? 1 : 2;
    return NULL;
}

static void a_helper_has_all_signals_blocked(void **state)
{
    (void)state;
    sigset_t before, after;
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    assert_true(hk_thread_start(help));
    for (unsigned i = 0; i < 5000 && helper_state == 0; i++)
        usleep(1000);
    assert_int_equal(helper_state, 1);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    for (int number = 1; number < 32; number++)
        assert_int_equal(sigismember(&before, number), sigismember(&after, number));
    assert_false(hk_single_threaded());
}

static _Atomic uint32_t word;

static void *wake_later(void *arg)
{
    (void)arg;
    usleep(20000);
    word = 1;
    hk_thread_wake(&word);
    return NULL;
}

static void a_sleep_ends_by_time_by_value_or_by_a_wake(void **state)
{
    (void)state;
    pthread_t thread;
    uint32_t start = hk_os_now_ms();
    word = 0;
    hk_thread_sleep(&word, 0, 40);
    assert_true(hk_os_now_ms() - start >= 20);
    hk_thread_sleep(&word, 1, 60000); /* or meson's time is up */
    assert_int_equal(pthread_create(&thread, NULL, wake_later, NULL), 0);
    while (word == 0)
        hk_thread_sleep(&word, 0, 60000);
    pthread_join(thread, NULL);
    assert_true(hk_os_now_ms() - start < 30000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_size_is_the_kernels),
        cmocka_unit_test(memory_can_be_had_at_an_address),
        cmocka_unit_test(a_refused_address_is_not_a_taken_one),
        cmocka_unit_test(a_readable_reservation_reads_as_zeros),
        cmocka_unit_test(purged_pages_are_zero_and_not_resident),
        cmocka_unit_test(residency_of_a_long_range_is_counted_in_parts),
        cmocka_unit_test(a_mapping_keeps_its_contents_when_it_moves),
        cmocka_unit_test(refusals_are_told),
        cmocka_unit_test(calls_are_counted),
        cmocka_unit_test(time_goes_forward),
        cmocka_unit_test(limits_are_known),
        cmocka_unit_test(the_date_and_the_process_are_known),
        cmocka_unit_test(errno_stays),
        cmocka_unit_test(the_end_of_a_watched_thread_is_told),
        cmocka_unit_test(a_sleep_ends_by_time_by_value_or_by_a_wake),
        cmocka_unit_test(a_helper_has_all_signals_blocked),
    };
    return cmocka_run_group_tests_name("os", tests, open_pipe, close_pipe);
}
