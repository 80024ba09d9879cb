/* SPDX-License-Identifier: MIT
 *
 * hot_span: how long what large blocks leave behind stays resident: freed page runs, and EMPTY spans of Mid classes.
 * The next large block that takes one of them faults nothing in, and a page fault costs as much as hundreds of small
 * blocks.
 *
 * enabled: they stay HAKMEM_PURGE_DELAY_MS, and after that as far as HAKMEM_MIN_KEEP reaches for all that is free.
 * disabled: none stays; whoever freed it gives it back to the system before it returns.
 *
 * Any thread that holds no lock of ours. Knows pool and SSArena; must not know heaps, fronts or who decides when.
 */
#ifndef HK_BOX_HOT_SPAN_H
#define HK_BOX_HOT_SPAN_H

#include "base/options.h"
#include "box/pool.h"
#include "config.h"
#include "superslab/ss_arena.h"

/* Bytes that may be resident in free page runs and EMPTY Mid spans. A hint, as its parts are. */
static inline size_t hk_hot_span_bytes(void)
{
    return hk_arena_dirty() + hk_load_relaxed(&hk_pool_empty_mid) * HK_SLAB_SIZE;
}

/* Is there something that must not stay now, whenever it was freed? */
static inline bool hk_hot_span_at_once(void)
{
    return !HK_HOT_SPAN && hk_hot_span_bytes() != 0;
}

/* Purges free page runs and Mid spans: enabled, those that have been free for delay_ms at `now`, down to `keep` bytes
 * (the spans by hk_pool_purge, as all EMPTY slabs); disabled, all of them. Returns the bytes given back. */
size_t hk_hot_span_purge(uint32_t now, uint32_t delay_ms, size_t keep);

#endif
