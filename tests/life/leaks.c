/* SPDX-License-Identifier: MIT
 *
 * The search for leaks beside all that a process does: it ends, tells what is leaked and no more, or says that it
 * cannot, and everything goes on as before.
 *
 * usage: leaks asked | beside | threads N | refused | limits | handler | forks
 *
 * asked    with wrong names, without a profile, by a thread, and after the main thread has ended
 * beside   four threads allocate, and have each block somewhere, while it is looked again and again
 * threads  so many threads that sleep, each with a block that only its stack knows
 * refused  each system call that is made for it is refused, with a second thread and without
 * limits   address space for a part of what it needs
 * handler  asked for in signal handlers, of which some interrupt malloc
 * forks    threads fork meanwhile, and their children look too
 */
#include "check.h"
#include "needs.h"
#include "filter.h"

#include <hakmem/hakmem.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, SLOTS = 200, ROUNDS = 40 };

static atomic_bool stop;
static atomic_int ready;
static void *volatile sink;

static __attribute__((noinline)) void leak(size_t size)
{
    void *p = malloc(size);
    CHECK(p != NULL);
    memset(p, 0, size);
    sink = p;
    sink = NULL;
}

static __attribute__((noinline)) void wipe_stack(void)
{
    volatile char room[16384];
    for (size_t i = 0; i < sizeof room; i++)
        room[i] = 0;
}

static int64_t look(void)
{
    return hak_leaks("/dev/null");
}

/* ---- asked ---- */

static void *look_without_main(void *arg)
{
    pthread_t *thread = arg;
    CHECK(pthread_join(*thread, NULL) == 0);
    CHECK(look() >= 0);
    exit(0);
}

static void asked(void)
{
    static pthread_t mine;
    pthread_t thread;
    char longer[400];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = 0;
    errno = 0;
    CHECK(hak_leaks("") == -1 && errno == EINVAL && hak_leaks(longer) == -1 && errno == EINVAL);
    CHECK(hak_leaks("/no/such/folder") == -1 && errno == ENOENT);
    leak(64);
    wipe_stack();
    CHECK(look() == 1 && errno == ENOENT);
    hak_profile_stop();
    leak(64); /* not recorded, but counted */
    wipe_stack();
    CHECK(look() == 2);
    mine = pthread_self();
    CHECK(pthread_create(&thread, NULL, look_without_main, &mine) == 0);
    pthread_exit(NULL);
}

/* ---- beside ---- */

static void *volatile kept[THREADS][SLOTS];

static void *work(void *arg)
{
    unsigned number = (unsigned)(uintptr_t)arg, random = number * 7919 + 1;
    while (!stop) {
        random = random * 1103515245 + 12345;
        void *volatile *slot = &kept[number][random / 65536 % SLOTS];
        size_t size = random / 1024 % 64 == 0 ? random % 300000 : random % 700;
        if (random / 128 % 4 == 0) {
            *slot = realloc(*slot, size + 1);
        } else {
            free(*slot);
            *slot = malloc(size);
        }
        CHECK(*slot != NULL);
    }
    return NULL;
}

static void start(pthread_t *thread, void *(*run)(void *), unsigned number)
{
    CHECK(pthread_create(thread, NULL, run, (void *)(uintptr_t)number) == 0);
}

static void beside(void)
{
    pthread_t thread[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        start(&thread[i], work, i);
    for (unsigned i = 1; i <= ROUNDS; i++) {
        leak(64);
        wipe_stack();
        int64_t found = look();
        CHECKF(found <= i, "%lld leaks of %u", (long long)found, i);
        CHECKF(found >= i / 2, "%lld leaks of %u", (long long)found, i); /* an old pointer may be left to some */
    }
    stop = true;
    for (unsigned i = 0; i < THREADS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
}

/* ---- threads ---- */

static void *sleep_with_block(void *arg)
{
    void *volatile block = malloc(100);
    CHECK(block != NULL);
    ready++;
    while (!stop)
        pause();
    free(block);
    return arg;
}

static void threads(unsigned number)
{
    pthread_attr_t small;
    long least = sysconf(_SC_THREAD_STACK_MIN); /* 128 KiB with glibc on aarch64 */
    CHECK(pthread_attr_init(&small) == 0 &&
          pthread_attr_setstacksize(&small, least > 65536 ? (size_t)least : 65536) == 0);
    unsigned made = 0;
    for (; made < number; made++) {
        pthread_t thread;
        int error = pthread_create(&thread, &small, sleep_with_block, NULL);
        if (error != 0) {
            check_note("%u threads, then error %d", made, error);
            break;
        }
    }
    while (ready < (int)made)
        usleep(1000);
    leak(64);
    wipe_stack();
    int64_t found = look();
    CHECKF(found == 1, "%lld leaks", (long long)found);
}

/* ---- refused ---- */

static const long calls[] = {SYS_openat, SYS_getdents64, SYS_read,   SYS_lseek,  SYS_close,          SYS_clone,
                             SYS_ptrace, SYS_wait4,      SYS_prctl,  SYS_mmap,   SYS_rt_sigprocmask, SYS_futex,
                             SYS_munmap, SYS_pread64,    SYS_mremap, SYS_gettid, SYS_write};

/* In a child: with status 0 where it was told right or not at all. */
static void look_refused(long call, bool alone)
{
    pthread_t thread;
    if (!alone) {
        start(&thread, sleep_with_block, 0);
        while (ready == 0)
            usleep(1000);
    }
    leak(64);
    wipe_stack();
    filter_refuse(&call, 1, EPERM);
    errno = 0;
    int64_t found = look();
    if (found != 1 && (found != -1 || errno == 0))
        check_note("call %ld: %lld leaks, error %d", call, (long long)found, errno);
    _exit(found == 1 || (found == -1 && errno != 0) ? 0 : 1);
}

static void in_child(void (*run)(long, bool), long number, bool flag)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        check_watchdog(60);
        run(number, flag);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECKF(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%ld, %d: status %x", number, flag, (unsigned)status);
}

static void refused(void)
{
    need_filters();
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        in_child(look_refused, calls[i], true);
        in_child(look_refused, calls[i], false);
    }
}

/* ---- limits ---- */

void *volatile limited[20000]; /* not static: nobody reads them, but those who look for leaks */

static void look_limited(long steps, bool alone)
{
    struct rlimit limit;
    for (int i = 0; i < 20000; i++)
        limited[i] = malloc(100);
    leak(64);
    wipe_stack();
    CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
    limit.rlim_cur = (rlim_t)steps * 65536;
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    int64_t found = look();
    if (found != 1 && (found != -1 || errno != ENOMEM))
        check_note("%ld steps: %lld leaks, error %d", steps, (long long)found, errno);
    _exit(found == 1 || (found == -1 && errno == ENOMEM) ? 0 : 1);
}

static void limits(void)
{
    need_address_limit();
    for (long steps = 0; steps < 1200; steps += 25)
        in_child(look_limited, steps, true);
}

/* ---- handler ---- */

static atomic_int told, refusals;

static void on_signal(int number)
{
    int saved = errno;
    int64_t found = look();
    CHECK(found >= 0 || errno != 0);
    if (found >= 0)
        told++;
    else
        refusals++;
    errno = saved;
}

static void handler(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 20000}, {0, 20000}};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
    void *volatile block = NULL;
    while (told + refusals < ROUNDS) {
        for (size_t size = 1; size < 100000; size = size * 2 + 1) {
            block = realloc(block, size);
            CHECK(block != NULL);
        }
        free(block);
        block = NULL;
    }
    memset(&often, 0, sizeof often);
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    check_note("told %d times, refused %d times", told, refusals);
}

/* ---- forks ---- */

static void *fork_often(void *arg)
{
    for (int i = 0; i < 10; i++) {
        int status;
        pid_t child = fork();
        if (child == 0)
            _exit(look() >= 0 ? 0 : 1);
        CHECK(child > 0 && waitpid(child, &status, 0) == child);
        CHECKF(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
    }
    ready++;
    return arg;
}

static void forks(void)
{
    pthread_t thread[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        start(&thread[i], i % 2 == 0 ? fork_often : work, i);
    while (ready < THREADS / 2)
        CHECK(look() >= 0);
    stop = true;
    for (unsigned i = 0; i < THREADS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
}

int main(int argc, char **argv)
{
    check_watchdog(150);
    need_tracing();
    CHECK(argc > 1 && hak_profile_start(1) == 0);
    if (strcmp(argv[1], "asked") == 0)
        asked();
    else if (strcmp(argv[1], "beside") == 0)
        beside();
    else if (strcmp(argv[1], "threads") == 0)
        threads((unsigned)check_fewer((size_t)atoi(argv[2])));
    else if (strcmp(argv[1], "refused") == 0)
        refused();
    else if (strcmp(argv[1], "limits") == 0)
        limits();
    else if (strcmp(argv[1], "handler") == 0)
        handler();
    else if (strcmp(argv[1], "forks") == 0)
        forks();
    else
        check_failed(__FILE__, __LINE__, "no such program: %s", argv[1]);
    return 0;
}
