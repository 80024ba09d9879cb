/* SPDX-License-Identifier: MIT
 *
 * purge: when free memory goes back to the system. EMPTY slabs and free runs that nobody reused for
 * HAKMEM_PURGE_DELAY_MS are purged beyond HAKMEM_MIN_KEEP bytes: by slow paths as the program runs, and, when a lot is
 * free, by a helper thread, so that a program which goes to sleep gives back too. The helper starts only when there is
 * more than 12 MiB to give back and ends when that is done: a program that frees little stays single-threaded.
 *
 * How long freed runs and Mid spans stay is the hot_span box's. Any thread that holds no lock of ours. Knows heaps,
 * pool and SSArena; must not know fronts.
 */
#ifndef HK_BOX_PURGE_H
#define HK_BOX_PURGE_H

#include "base/options.h"
#include "box/hot_span.h"
#include "box/pool.h"
#include "superslab/ss_arena.h"

/* Free resident bytes that could go back. */
static inline size_t hk_purge_free_bytes(void)
{
    return hk_pool_empty_bytes() + hk_arena_dirty();
}

HK_SLOW_PATH void hk_purge_tick_slow(void);

/* For the end of slow paths that freed a batch or a run. */
static inline void hk_purge_tick(void)
{
    if (HK_UNLIKELY(hk_purge_free_bytes() > (size_t)hk_opt(HK_OPT_MIN_KEEP) || hk_hot_span_at_once()))
        hk_purge_tick_slow();
}

/* Gives back all that can be, but about `keep` bytes; returns the bytes. */
size_t hk_purge_now(size_t keep);

/* Allows the helper thread (after the process has started), or forbids it and waits a moment for its end (exit,
 * unload). */
void hk_purge_allow_helper(bool allowed);

/* In the child of a fork: the helper did not come along. */
void hk_purge_fork_child(void);

/* Bytes given back since the start. */
uint64_t hk_purge_total(void);

#endif
