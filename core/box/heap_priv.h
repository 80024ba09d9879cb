/* SPDX-License-Identifier: MIT
 *
 * heap_priv: what heap.c and heap_life.c share. Included by box/heap*.c and box/lists_private/heap_lists.c only.
 */
#ifndef HK_BOX_HEAP_PRIV_H
#define HK_BOX_HEAP_PRIV_H

#include "box/heap.h"

/* Heaps of the parent whose threads do not exist in this child of a fork, still to be moved to the orphan heap;
 * relaxed: a child starts with one thread, and later ones may come a little late. */
extern HK_HIDDEN _Atomic bool hk_heap_forked;

void hk_heap_displace(struct hk_heap *heap, struct hk_slab *slab);

/* ---- slabs between their states; the heap's lock ---- */

static inline void hk_heap_set_full(struct hk_heap *heap, struct hk_slab *slab)
{
    hk_poke(&slab->state, HK_SLAB_FULL);
    hk_list_push(&heap->full, &slab->node);
}

static inline void hk_heap_set_partial(struct hk_heap *heap, struct hk_slab *slab)
{
    hk_poke(&slab->state, HK_SLAB_PARTIAL);
    hk_list_push(&heap->cls[slab->cls].partial, &slab->node);
}

/* To the pool: nothing is outside the slab. */
void hk_heap_release_locked(struct hk_heap *heap, struct hk_slab *slab);

/* After blocks came back to a slab: a FULL one is PARTIAL again, an EMPTY one goes to the pool (no heap keeps it: any
 * class of any thread may need it), but the active one starts again from its first block. */
static inline void hk_heap_settle(struct hk_heap *heap, struct hk_slab *slab)
{
    uint32_t back = hk_private_reclaim(hk_private_of(slab), &slab->used);
    if (back != 0)
        hk_heap_count_used(heap, slab, back);
    if (slab->used == 0) {
        hk_slab_reset(slab);
        if (slab->state == HK_SLAB_ACTIVE)
            return;
        hk_list_remove(&slab->node);
        hk_heap_release_locked(heap, slab);
    } else if (slab->state == HK_SLAB_FULL) {
        hk_list_remove(&slab->node);
        hk_heap_set_partial(heap, slab);
    }
}

void hk_heap_merge_locked(struct hk_heap *heap, struct hk_slab *slab);
struct hk_slab *hk_heap_collect_locked(struct hk_heap *heap);
void hk_heap_forward(struct hk_slab *strays);
void hk_heap_release_unused_locked(struct hk_heap *heap);
void hk_heap_move_locked(struct hk_heap *heap, unsigned node);

#endif
