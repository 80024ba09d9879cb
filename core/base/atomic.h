/* SPDX-License-Identifier: MIT
 *
 * atomic: C11 atomics with the memory order in the name.
 *
 * Rule of the house: every release names its acquire in a comment where it stands ("pairs with ..."), and the other way
 * round. Relaxed accesses say why no order is needed. Knows nobody.
 */
#ifndef HK_BASE_ATOMIC_H
#define HK_BASE_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>

#define hk_load_relaxed(p) atomic_load_explicit(p, memory_order_relaxed)
#define hk_load_acquire(p) atomic_load_explicit(p, memory_order_acquire)
#define hk_store_relaxed(p, v) atomic_store_explicit(p, v, memory_order_relaxed)
#define hk_store_release(p, v) atomic_store_explicit(p, v, memory_order_release)
#define hk_add_relaxed(p, v) atomic_fetch_add_explicit(p, v, memory_order_relaxed)
#define hk_sub_relaxed(p, v) atomic_fetch_sub_explicit(p, v, memory_order_relaxed)
#define hk_or_relaxed(p, v) atomic_fetch_or_explicit(p, v, memory_order_relaxed)
#define hk_and_relaxed(p, v) atomic_fetch_and_explicit(p, v, memory_order_relaxed)
/* Adds to an atomic word that is written under a lock only, and read without it: no other addition can be lost. */
#define hk_add_locked(p, v) hk_store_relaxed(p, hk_load_relaxed(p) + (v))
#define hk_swap_acquire(p, v) atomic_exchange_explicit(p, v, memory_order_acquire)
#define hk_swap_acq_rel(p, v) atomic_exchange_explicit(p, v, memory_order_acq_rel)
#define hk_swap_release(p, v) atomic_exchange_explicit(p, v, memory_order_release)

/* Of a plain word that is written under a lock, or by its owner alone, and read without it, as a hint or for
 * statistics: both sides must say so. Whoever may write reads it as a plain one. */
#define hk_peek(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define hk_poke(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)

/* The same in order. */
#define hk_peek_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define hk_poke_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)

/* Adds to such a word: a load and a store. */
#define hk_poke_add(p, n) hk_poke(p, *(p) + (n))
#define hk_poke_sub(p, n) hk_poke(p, *(p) - (n))

/* Writes such a word where it is still *expected: of several that try one wins. On failure *expected is what was found.
 */
#define hk_poke_cas(p, expected, v) \
    __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)

/* In one order that all threads see: for "I write my word, then look at yours". */
#define hk_load_full(p) atomic_load_explicit(p, memory_order_seq_cst)
#define hk_swap_full(p, v) atomic_exchange_explicit(p, v, memory_order_seq_cst)
#define hk_add_full(p, v) atomic_fetch_add_explicit(p, v, memory_order_seq_cst)
#define hk_cas_full(p, expected, v) \
    atomic_compare_exchange_strong_explicit(p, expected, v, memory_order_seq_cst, memory_order_relaxed)

/* May fail for no reason: for loops. On failure *expected is what was found. */
#define hk_cas_weak_release(p, expected, v) \
    atomic_compare_exchange_weak_explicit(p, expected, v, memory_order_release, memory_order_relaxed)
#define hk_cas_weak_acquire(p, expected, v) \
    atomic_compare_exchange_weak_explicit(p, expected, v, memory_order_acquire, memory_order_acquire)
#define hk_cas_weak_acq_rel(p, expected, v) \
    atomic_compare_exchange_weak_explicit(p, expected, v, memory_order_acq_rel, memory_order_relaxed)
#define hk_cas_acquire(p, expected, v) \
    atomic_compare_exchange_strong_explicit(p, expected, v, memory_order_acquire, memory_order_relaxed)
#define hk_cas_relaxed(p, expected, v) \
    atomic_compare_exchange_strong_explicit(p, expected, v, memory_order_relaxed, memory_order_relaxed)

/* A store before it in program order is seen by all before any load after it: for "I raise my flag, then look at
 * yours". */
#define hk_fence_full() atomic_thread_fence(memory_order_seq_cst)

/* The same between a thread and a signal handler that interrupts it: costs nothing. */
#define hk_fence_signal() atomic_signal_fence(memory_order_seq_cst)

#endif
