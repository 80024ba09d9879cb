/* SPDX-License-Identifier: MIT
 *
 * heap_lists_inner, private: what becomes of the slabs' private lists (superslab/lists_private) at the end of a thread
 * and in a sweep. For the heap box itself, whose lock the caller holds; a front wants box/heap_lists.h.
 */
#ifndef HK_BOX_HEAP_LISTS_INNER_H
#define HK_BOX_HEAP_LISTS_INNER_H

#include "box/heap.h"

/* Puts a slab's private list back and closes it; returns its length. The blocks of a corrupted one count as used for
 * ever, which is noted (hk_corrupt_report), and the length is 0. Its thread, or the thread is gone. */
unsigned hk_heap_put_private(struct hk_heap *heap, struct hk_slab *slab);

/* Releases slabs whose blocks outside are all on their private lists: what the last remote free and the last own free
 * each left to the other. */
void hk_heap_reclaim_locked(struct hk_heap *heap);

#endif
