/* SPDX-License-Identifier: MIT
 *
 * lock: a mutex of one word that sleeps in the kernel, spins at most briefly (with two cores a preempted spinner wastes
 * a whole time slice). A zeroed lock is free.
 *
 * Lock ranks, outer to inner; a thread takes a lock only while it holds none of the same or an inner rank:
 *   records < heap < orphan heap < pool < arena < huge < meta
 * Some locks stand outside of that order. base/held.c has the table of all; with -Dcheck=fast and full it is checked.
 * Whoever takes one to change something is inside the gate (box/gate.h): so fork meets none that is held.
 *
 * While the process has one thread locks cost a load and a branch: a second thread is made by pthread_create, outside
 * every critical section, and glibc then clears __libc_single_threaded. Knows base only. Model: docs/models/lock.pml.
 */
#ifndef HK_OS_LOCK_H
#define HK_OS_LOCK_H

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/held.h"
#include "base/seen.h"
#include "base/shared_use.h"
#include "os/thread.h"

/* Does a lock know its rank? For the check of their order, and for telemetry. */
#define HK_LOCK_RANKED (HK_CHECK_FAST || HK_TELEMETRY)

struct hk_lock {
    _Atomic uint32_t word;                /* 0 free, 1 held, 2 held and somebody sleeps */
    uint32_t rank[HK_LOCK_RANKED];        /* one or none: enum hk_rank */
    struct hk_lock_use use[HK_TELEMETRY]; /* one or none; its holder's */
};

/* A free lock of a rank, as an initializer. */
#if HK_LOCK_RANKED
#define HK_LOCK_FREE(order) \
    {                       \
        .rank = { order }   \
    }
#else
#define HK_LOCK_FREE(order) \
    {                       \
        0                   \
    }
#endif

/* Names the rank of one that was zeroed. */
static inline void hk_lock_init(struct hk_lock *lock, enum hk_rank rank)
{
    uint32_t *order = lock->rank;
    if (HK_LOCK_RANKED)
        *order = rank;
}

/* What telemetry counts it as. */
static inline unsigned hk_lock_kind(const struct hk_lock *lock)
{
    const uint32_t *order = lock->rank;
    return HK_TELEMETRY ? *order : 0;
}

/* How often a thread found a lock held and waited for it, so far. */
extern HK_HIDDEN hk_seen hk_lock_seen[1];

HK_SLOW_PATH void hk_lock_slow(struct hk_lock *lock);
HK_SLOW_PATH void hk_lock_wake(struct hk_lock *lock);

static inline void hk_lock(struct hk_lock *lock)
{
    uint32_t expected = 0;
    if (HK_CHECK_FAST)
        hk_held_take(lock->rank, hk_single_threaded());
    if (!hk_single_threaded() && HK_UNLIKELY(!hk_cas_acquire(&lock->word, &expected, 1))) /* pairs with hk_unlock */
        hk_lock_slow(lock);
    hk_use_took(lock->use, hk_lock_kind(lock), expected != 0);
}

static inline bool hk_try_lock(struct hk_lock *lock)
{
    uint32_t expected = 0;
    bool mine = hk_cas_acquire(&lock->word, &expected, 1); /* pairs with hk_unlock */
    if (HK_CHECK_FAST && mine)
        hk_held_tried(lock->rank);
    if (mine)
        hk_use_took(lock->use, hk_lock_kind(lock), false);
    else
        hk_use_refused(hk_lock_kind(lock));
    return mine;
}

static inline void hk_unlock(struct hk_lock *lock)
{
    if (HK_CHECK_FAST)
        hk_held_give(lock->rank, hk_load_relaxed(&lock->word) != 0, hk_single_threaded());
    hk_use_gave(lock->use, hk_lock_kind(lock));
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
