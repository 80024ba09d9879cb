/* SPDX-License-Identifier: MIT
 *
 * heap_priv: what heap.c and heap_life.c share; included by heap*.c only.
 */
#ifndef HK_BOX_HEAP_PRIV_H
#define HK_BOX_HEAP_PRIV_H

#include "box/heap.h"

/* Heaps of the parent whose threads do not exist in this child of a fork, still to be moved to the orphan heap;
 * relaxed: a child starts with one thread, and later ones may come a little late. */
extern HK_HIDDEN _Atomic bool hk_heap_forked;

static inline bool hk_heap_forked_pending(void)
{
    return hk_load_relaxed(&hk_heap_forked);
}

static inline struct hk_heap *hk_heap_of(struct hk_owner *owner)
{
    return HK_CONTAINER(owner, struct hk_heap, owner);
}

void hk_heap_displace(struct hk_heap *heap, struct hk_slab *slab);
void hk_heap_release_locked(struct hk_heap *heap, struct hk_slab *slab);
void hk_heap_merge(struct hk_heap *heap, struct hk_slab *slab);
struct hk_slab *hk_heap_collect_locked(struct hk_heap *heap);
void hk_heap_forward(struct hk_slab *strays);
void hk_heap_collect(struct hk_heap *heap);
void hk_heap_move_locked(struct hk_heap *heap, unsigned node);

#endif
