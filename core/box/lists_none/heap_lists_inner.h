/* SPDX-License-Identifier: MIT
 *
 * heap_lists_inner, none: a slab has no private list (superslab/lists_none). For the heap box itself.
 */
#ifndef HK_BOX_HEAP_LISTS_INNER_H
#define HK_BOX_HEAP_LISTS_INNER_H

#include "box/heap.h"

static inline void hk_heap_put_private(struct hk_heap *heap, struct hk_slab *slab)
{
}

static inline void hk_heap_reclaim_locked(struct hk_heap *heap)
{
}

#endif
