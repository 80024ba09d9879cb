/* SPDX-License-Identifier: MIT */
#include "os/thread.h"

#include "base/atomic.h"
#include "base/held.h"
#include "base/sys.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

static pthread_key_t key;     /* written before any hk_thread_watch, by hk_thread_exit_init */
static _Atomic bool have_key; /* relaxed: written before there is a thread to watch, and at the end of the process */

bool hk_thread_exit_init(void (*on_exit)(void *))
{
    hk_no_lock_held("asks libc for a key");
    bool made = pthread_key_create(&key, on_exit) == 0;
    hk_store_relaxed(&have_key, made);
    return made;
}

void hk_thread_watch(void *arg)
{
    hk_no_lock_held("lets libc allocate");
    if (hk_load_relaxed(&have_key))
        pthread_setspecific(key, arg);
}

void hk_thread_exit_fini(void)
{
    bool had = hk_load_relaxed(&have_key);
    hk_store_relaxed(&have_key, false); /* first: whoever counts blocks looks at no thread's bins any more */
    if (had)
        pthread_key_delete(key);
}

bool hk_thread_exit_is_seen(void)
{
    return hk_load_relaxed(&have_key);
}

#if HK_LIBC_REGISTERS_ATFORK

/* glibc's pthread_atfork is not in libc.so: the linker puts a copy of it behind all our code, and its one call would
 * make that end of the library resident in every process. This is what it calls; the handlers go when their object is
 * unloaded.
 */
extern int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *object);
extern HK_HIDDEN void *__dso_handle; /* of our object */

void hk_thread_watch_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    __register_atfork(prepare, parent, child, __dso_handle);
}

#else

void hk_thread_watch_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    pthread_atfork(prepare, parent, child);
}

#endif

/* stack: in bytes; 0 is what the process gives its threads. */
static bool start_with_stack(void *(*run)(void *), size_t stack)
{
    pthread_attr_t attr;
    pthread_t thread;
    if (pthread_attr_init(&attr) != 0)
        return false;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (stack != 0)
        pthread_attr_setstacksize(&attr, stack);
    int failed = pthread_create(&thread, &attr, run, NULL);
    pthread_attr_destroy(&attr);
    return failed == 0;
}

bool hk_thread_start(void *(*run)(void *))
{
    sigset_t all, before;
    hk_no_lock_held("starts a thread");
    /* pthread_sigmask and not the system call: that would block the signal by which glibc runs setuid in all threads.
     */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    /* Static TLS lies in the stack: a program with much of it has no room left in a small one. */
    bool started = start_with_stack(run, 64 * 1024) || start_with_stack(run, 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

void hk_thread_sleep(_Atomic uint32_t *word, uint32_t value, unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    hk_sys4(SYS_futex, (long)word, HK_FUTEX_WAIT_PRIVATE, value, ms != HK_FOREVER ? (long)&t : 0);
}

static uint64_t us_of(clockid_t clock)
{
    struct timespec t;
    if (hk_sys2(SYS_clock_gettime, clock, (long)&t) != 0)
        return 0;
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t hk_thread_cpu_us(void)
{
    return us_of(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t hk_process_cpu_us(void)
{
    return us_of(CLOCK_PROCESS_CPUTIME_ID);
}

void hk_thread_wake(_Atomic uint32_t *word)
{
    hk_sys3(SYS_futex, (long)word, HK_FUTEX_WAKE_PRIVATE, INT_MAX);
}
