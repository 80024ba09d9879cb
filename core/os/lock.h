/* SPDX-License-Identifier: MIT
 *
 * lock: a mutex of one word that sleeps in the kernel, spins at most briefly (with two cores a preempted spinner wastes
 * a whole time slice). A zeroed lock is free.
 *
 * Lock ranks, outer to inner; a thread takes a lock only while it holds none of the same or an inner rank:
 *   records < heap < orphan heap < pool < arena < huge < meta
 * Whoever takes one to change something is inside the gate (box/gate.h): so fork meets none that is held.
 *
 * While the process has one thread locks cost a load and a branch: a second thread is made by pthread_create, outside
 * every critical section, and glibc then clears __libc_single_threaded. Knows base only. Model: docs/models/lock.pml.
 */
#ifndef HK_OS_LOCK_H
#define HK_OS_LOCK_H

#include "base/atomic.h"
#include "base/compiler.h"
#include "os/thread.h"

struct hk_lock {
    _Atomic uint32_t word; /* 0 free, 1 held, 2 held and somebody sleeps */
};

HK_SLOW_PATH void hk_lock_slow(struct hk_lock *lock);
HK_SLOW_PATH void hk_lock_wake(struct hk_lock *lock);

static inline void hk_lock(struct hk_lock *lock)
{
    uint32_t expected = 0;
    if (!hk_single_threaded() && HK_UNLIKELY(!hk_cas_acquire(&lock->word, &expected, 1))) /* pairs with hk_unlock */
        hk_lock_slow(lock);
}

static inline bool hk_try_lock(struct hk_lock *lock)
{
    uint32_t expected = 0;
    return hk_cas_acquire(&lock->word, &expected, 1); /* pairs with hk_unlock */
}

static inline void hk_unlock(struct hk_lock *lock)
{
    if (hk_load_relaxed(&lock->word) == 0)
        return;                                            /* taken while there was one thread */
    if (HK_UNLIKELY(hk_swap_release(&lock->word, 0) == 2)) /* pairs with the acquire in hk_lock */
        hk_lock_wake(lock);
}

/* In the child of a fork, where no other thread is left: free, whoever held it. (Somebody who looked something up, or
 * whom a handler that forked too had interrupted.) */
static inline void hk_lock_reset(struct hk_lock *lock)
{
    if (hk_load_relaxed(&lock->word) != 0) /* a write copies the page */
        hk_store_relaxed(&lock->word, 0);
}

#endif
