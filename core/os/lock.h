/* SPDX-License-Identifier: MIT
 *
 * lock: a mutex of one word that sleeps in the kernel, spins at most briefly (with two cores a preempted spinner wastes
 * a whole time slice), and knows who holds it. A zeroed lock is free.
 *
 * Lock ranks, outer to inner; a thread takes a lock only while it holds none of the same or an inner rank:
 *   start < heap < orphan heap < pool < arena < huge < meta
 *
 * While the process has one thread locks cost a load and a branch: a second thread is made by pthread_create, outside
 * every critical section, and glibc then clears __libc_single_threaded. Knows base only.
 */
#ifndef HK_OS_LOCK_H
#define HK_OS_LOCK_H

#include "base/atomic.h"
#include "base/compiler.h"
#include "os/thread.h"

struct hk_lock {
    _Atomic uint32_t word;    /* 0 free, 1 held, 2 held and somebody sleeps */
    uint32_t nested;          /* how often the forking thread, which holds it already, took it again; see below */
    _Atomic uintptr_t holder; /* hk_thread_self() of who holds it; relaxed: read by fork to find its own thread only */
};

HK_SLOW_PATH void hk_lock_slow(struct hk_lock *lock);
HK_SLOW_PATH void hk_lock_wake(struct hk_lock *lock);

/* The thread that is inside fork and holds every lock, or 0. Other fork handlers may call malloc in it: that thread may
 * take a lock that it holds again. Written by hk_lock_fork_begin and _end; relaxed: only that thread finds itself in
 * it. */
extern HK_HIDDEN _Atomic uintptr_t hk_lock_forking;

static inline void hk_lock_fork_begin(void)
{
    hk_store_relaxed(&hk_lock_forking, hk_thread_self());
}

static inline void hk_lock_fork_end(void)
{
    hk_store_relaxed(&hk_lock_forking, 0);
}

/* Takes the lock whether or not there are other threads (fork: the lock must be seen as held). */
static inline void hk_lock_always(struct hk_lock *lock)
{
    uint32_t expected = 0;
    if (HK_UNLIKELY(!hk_cas_acquire(&lock->word, &expected, 1))) /* pairs with hk_unlock */
        hk_lock_slow(lock);
    hk_store_relaxed(&lock->holder, hk_thread_self());
}

static inline void hk_lock(struct hk_lock *lock)
{
    if (!hk_single_threaded())
        hk_lock_always(lock);
}

static inline bool hk_try_lock(struct hk_lock *lock)
{
    uint32_t expected = 0;
    if (!hk_cas_acquire(&lock->word, &expected, 1)) /* pairs with hk_unlock */
        return false;
    hk_store_relaxed(&lock->holder, hk_thread_self());
    return true;
}

static inline void hk_unlock(struct hk_lock *lock)
{
    if (hk_load_relaxed(&lock->word) == 0)
        return; /* taken while there was one thread */
    if (HK_UNLIKELY(lock->nested != 0)) {
        lock->nested--; /* only the forking thread gets here: it holds the lock */
        return;
    }
    hk_store_relaxed(&lock->holder, 0);
    if (HK_UNLIKELY(hk_swap_release(&lock->word, 0) == 2)) /* pairs with the acquire in hk_lock */
        hk_lock_wake(lock);
}

static inline bool hk_lock_is_mine(struct hk_lock *lock)
{
    return hk_load_relaxed(&lock->holder) == hk_thread_self();
}

/* fork's prepare: a lock that this very thread held when a signal handler interrupted it and called fork stays with it.
 */
static inline void hk_lock_for_fork(struct hk_lock *lock)
{
    if (hk_lock_is_mine(lock))
        lock->nested++;
    else
        hk_lock_always(lock);
}

/* In the child of a fork, where no other thread is left: free, whoever held it. */
static inline void hk_lock_reset(struct hk_lock *lock)
{
    lock->nested = 0;
    hk_store_relaxed(&lock->holder, 0);
    hk_store_relaxed(&lock->word, 0);
}

#endif
