/* SPDX-License-Identifier: MIT
 *
 * front_box, slab: no array and no list of the thread's own: a bin is a list of free blocks that was taken whole from
 * one slab, last in first out. A malloc pops from it, without a count: all blocks of a list that was taken count as
 * used. A free goes, by where the block lies:
 *
 *  - in the bin's slab: onto the bin's list, without a count;
 *  - in another slab of this thread that has a private list open: onto that, which counts;
 *  - elsewhere: to the slow path (hk_front_put), which opens lists and gathers blocks of other threads' slabs.
 *
 * A bin has 16 bytes, four to a cache line. Included by front/front.h only. The thread's own; nobody synchronises. Must
 * not know pools.
 */
#ifndef HK_FRONT_BOX_H
#define HK_FRONT_BOX_H

#include "superslab/slab.h"

struct hk_thread;

struct hk_bin {
    void *list;    /* the newest block; all lie in the slab that `slab` names */
    uint32_t slab; /* hk_bin_slab of it; 0: none, and the list is empty. That slab may belong to somebody else by now */
    uint32_t inverse; /* hk_class_inverse: block starts are told from interior pointers by it */
};

/* Blocks of other threads' slabs that wait until they are worth a lock. */
#define HK_FOREIGN 32u

/* This front's part of a thread's record. */
struct hk_front_own {
    unsigned count; /* blocks in foreign */
    size_t bytes;   /* of these */
    void *foreign[HK_FOREIGN];
};

/* A name for the slab that a block lies in, one more than its number, so that NULL lies in none that a bin has. */
static HK_ALWAYS_INLINE uint32_t hk_bin_slab(const void *block)
{
    return (uint32_t)(((uintptr_t)block + HK_SLAB_SIZE) / HK_SLAB_SIZE);
}

/* Where the next block goes: the bin's list, or (not NULL) this one. */
struct hk_spot {
    struct hk_private *list;
    uint32_t left;
};

/* Takes the newest block; false: there is none, or a link was overwritten after its block was freed. */
static HK_ALWAYS_INLINE bool hk_bin_pop(struct hk_bin HK_TLS_SPACE *bin, void **block)
{
    void *first = bin->list;
    if (HK_UNLIKELY(hk_bin_slab(first) != bin->slab))
        return false;
    bin->list = *(void **)first;
    *block = first;
    return true;
}

static inline bool hk_bin_is_empty(const struct hk_bin HK_TLS_SPACE *bin)
{
    return bin->list == NULL;
}

/* False: no room for this block, which is one of ours, of this thread. Else *spot is good until the next call that
 * changes the bin. */
static HK_ALWAYS_INLINE bool hk_bin_has_room(struct hk_bin HK_TLS_SPACE *bin, const struct hk_thread *thread,
                                             const void *block, struct hk_spot *spot)
{
    spot->list = NULL;
    spot->left = 0;
    if (HK_LIKELY(hk_bin_slab(block) == bin->slab))
        return true;
    struct hk_private *list = &hk_superslab_of(block)->lists[hk_slab_index_of(block)];
    if (HK_UNLIKELY(hk_load_relaxed(&list->thread) != thread))
        return false;
    spot->list = list;
    spot->left = hk_load_relaxed(&list->left);
    return HK_LIKELY(spot->left > 1); /* the last one empties the slab */
}

static HK_ALWAYS_INLINE bool hk_bin_push(struct hk_bin HK_TLS_SPACE *bin, struct hk_spot spot, void *block)
{
    if (spot.list != NULL) {
        hk_private_push(spot.list, spot.left, block);
        return true;
    }
    *(void **)block = bin->list;
    bin->list = block;
    return true;
}

#endif
