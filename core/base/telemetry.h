/* SPDX-License-Identifier: MIT
 *
 * telemetry: pages handed out for the first time since they came from the system, by what they are for. Their first
 * touch is a page fault, so this tells who causes the faults. (Hits and misses of the fast paths: front/front.h.)
 *
 * Counters that any thread adds to, without order, on slow paths; nobody looks at two of them together. Stands on the
 * lowest floor because slabs and arenas count here. Knows nobody. Without -Dtelemetry=enabled nothing of it is linked.
 */
#ifndef HK_BASE_TELEMETRY_H
#define HK_BASE_TELEMETRY_H

#include "base/atomic.h"
#include "base/compiler.h"
#include "config.h"

/* In the order of the public HAK_PAGES_ names. The first nine are class groups: C0 to C7, Mid. SSM is SuperSlab memory:
 * the pages of slabs that heaps have taken, whether a block there was handed out yet or not. */
enum hk_pages { HK_PAGES_C0, HK_PAGES_MID = 8, HK_PAGES_L25, HK_PAGES_HUGE, HK_PAGES_SSM, HK_PAGES_COUNT };

extern HK_HIDDEN _Atomic uint64_t hk_telemetry_pages[HK_PAGES_COUNT];

static HK_ALWAYS_INLINE void hk_telemetry_add(unsigned bucket, uint64_t pages)
{
    if (HK_TELEMETRY)
        hk_add_relaxed(&hk_telemetry_pages[bucket], pages); /* a statistic; nothing is published by it */
}

#endif
