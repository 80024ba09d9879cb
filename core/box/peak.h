/* SPDX-License-Identifier: MIT
 *
 * peak: the most that was live so far. What is live is known to the page here and not to the block: page runs, huge
 * blocks, and slabs that heaps own, whole. So the figure is never below what blocks had, but for what is said below,
 * and above it by what was free in slabs and in fronts.
 *
 * No call that takes memory looks. Live memory that becomes less is free memory for a while, or a huge block that goes:
 * so it is enough to look when free memory is about to go back (box/purge.h), before a huge block goes or shrinks, and
 * when somebody asks. What became free since the last look counts as live: up to HAKMEM_MIN_KEEP or HK_PURGE_MOST,
 * whichever is more. Of what is free beyond that nothing is known.
 *
 * Any thread that holds no lock. Must not know who looks.
 */
#ifndef HK_BOX_PEAK_H
#define HK_BOX_PEAK_H

#include "base/bits.h"
#include "base/seen.h"
#include "config.h"

void hk_peak_look_now(size_t freed);

/* `freed` bytes were live before the caller's call and are free now. */
static inline void hk_peak_look(size_t freed)
{
    if (HK_STATS)
        hk_peak_look_now(freed);
}

/* The most so far, for whoever has walked the heap: `live` bytes are live now, `small` bytes of the slabs that heaps
 * own were handed out or touched, `free_bytes` are resident and free in EMPTY slabs and page runs, but those that
 * threads keep. */
size_t hk_peak_live(size_t live, size_t small, size_t free_bytes);

/* The most so far, in bytes, without looking. */
extern HK_HIDDEN hk_seen hk_peak_seen[1];

#endif
