/* SPDX-License-Identifier: MIT
 *
 * hot_span: may what large blocks leave behind stay resident: freed page runs, and EMPTY spans of Mid classes? The next
 * large block that takes one of them faults nothing in, and a page fault costs as much as hundreds of small blocks.
 *
 * enabled: they stay as all free memory does, and the purge box decides how much and how long.
 * disabled: none stays. Whoever frees gives a piece back to the system before it returns, until all of it is gone.
 *
 * Any thread that holds no lock of ours. Knows pool and SSArena; must not know heaps, fronts or who decides when.
 */
#ifndef HK_BOX_HOT_SPAN_H
#define HK_BOX_HOT_SPAN_H

#include "base/options.h"
#include "box/pool.h"
#include "config.h"
#include "pages/ss_arena.h"

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

/* Gives one piece of what must not stay back to the system, as hk_arena_purge and hk_pool_purge do. */
size_t hk_hot_span_purge(uint32_t now, bool *refused);

#endif
