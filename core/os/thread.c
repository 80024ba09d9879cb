/* SPDX-License-Identifier: MIT */
#include "os/thread.h"

#include <pthread.h>
#include <signal.h>

static pthread_key_t key; /* written before any hk_thread_watch, by hk_thread_exit_init */
static bool have_key;

bool hk_thread_exit_init(void (*on_exit)(void *))
{
    have_key = pthread_key_create(&key, on_exit) == 0;
    return have_key;
}

void hk_thread_watch(void *arg)
{
    if (have_key)
        pthread_setspecific(key, arg);
}

void hk_thread_exit_fini(void)
{
    if (have_key)
        pthread_key_delete(key);
    have_key = false;
}

bool hk_thread_start(void *(*run)(void *))
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    if (pthread_attr_init(&attr) != 0)
        return false;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, 64 * 1024);
    /* pthread_sigmask and not the system call: that would block the signal by which glibc runs setuid in all threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread, &attr, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return failed == 0;
}
