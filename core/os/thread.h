/* SPDX-License-Identifier: MIT
 *
 * thread: what the allocator asks of the thread library: is there more than one, tell me when one ends, start one of
 * ours.
 *
 * Knows base only.
 */
#ifndef HK_OS_THREAD_H
#define HK_OS_THREAD_H

#include "base/compiler.h"

#if HK_LIBC_COUNTS_THREADS
#include <sys/single_threaded.h>
#endif

/* No thread but this one exists, and none can appear before the caller returns to the program. Where the C library does
 * not tell, there may always be another one. */
static inline bool hk_single_threaded(void)
{
#if HK_LIBC_COUNTS_THREADS
    return __libc_single_threaded;
#else
    return false;
#endif
}

/* From now on `on_exit` runs in every thread that calls hk_thread_watch, when that thread ends. Called once. False when
 * the process has no key left: threads then end unnoticed. */
bool hk_thread_exit_init(void (*on_exit)(void *));

/* Asks for on_exit(arg) at the end of this thread; arg is not NULL. May allocate (the caller tolerates that call coming
 * back to malloc). */
void hk_thread_watch(void *arg);

/* Gives the key back (the process ends, or the library is being unloaded): threads end unnoticed from then on. */
void hk_thread_exit_fini(void);

/* Is the end of threads noticed? Not before there is a key, nor after it was given back. */
bool hk_thread_exit_is_seen(void);

/* As pthread_atfork. */
void hk_thread_watch_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void));

/* Starts a detached thread with all signals blocked and a small stack; false when refused. Allocates; no lock of ours
 * may be held. */
bool hk_thread_start(void *(*run)(void *));

/* Microseconds that this thread, or all of them, have run so far; 0: it cannot be told. */
uint64_t hk_thread_cpu_us(void);
uint64_t hk_process_cpu_us(void);

#define HK_FOREVER UINT32_MAX

/* Sleeps until hk_thread_wake(word), until the word is no longer `value`, or for `ms` (HK_FOREVER: however long). */
void hk_thread_sleep(_Atomic uint32_t *word, uint32_t value, unsigned ms);
void hk_thread_wake(_Atomic uint32_t *word);

#endif
