/* SPDX-License-Identifier: MIT
 *
 * transfer: blocks on their way from the thread that freed them to the thread that owns their slabs, by the batch and
 * without touching a slab: an array per heap and class. What another thread's front gives away is copied in, what this
 * thread's front lacks is copied out. A block in an array counts as used.
 *
 * An array is small (HK_TRANSFER_BYTES of blocks), all that waits for a heap is at most HAKMEM_FRONT_BYTES or an eighth
 * of its slabs (as it was when its thread last took something), and no front waits for an array: a batch that finds it
 * full, or another thread at it, goes to the slabs in chains (box/remote.h). Where much is offered and nothing taken,
 * what waits goes to the slabs too. In whose array a block waits is no matter of right, as with a block in a front:
 * whoever takes it out may give it to its slab, so an owner that has changed meanwhile does no harm.
 *
 * Any thread, each array under its own lock, which is outside the ranks: taken while no other is held, and none
 * inside. Must not know fronts. Model: docs/models/transfer.pml.
 */
#ifndef HK_BOX_TRANSFER_H
#define HK_BOX_TRANSFER_H

#include "box/heap.h"

#define HK_TRANSFER_BYTES ((size_t)65536)
#define HK_TRANSFER_BLOCKS 256u /* the most in one array */

struct hk_transfer;

/* A heap for which blocks may wait: that of each thread, but not the orphan heap. */
struct hk_inbox {
    struct hk_heap heap;
    struct hk_transfer *_Atomic array[HK_TRANSFER * HK_CLASS_COUNT]; /* NULL before the first batch of the class */
    _Atomic size_t bytes; /* in all of them; relaxed: about right is enough */
    _Atomic size_t most;  /* that there may be; set by the heap's thread, relaxed */
};

static inline struct hk_inbox *hk_inbox_of(const struct hk_heap *heap)
{
    return HK_CONTAINER(heap, struct hk_inbox, heap);
}

struct hk_transfer {
    struct hk_lock lock;
    _Atomic uint32_t count; /* blocks in it; written under the lock, a hint without */
    _Atomic uint32_t
        offered;      /* blocks since the heap's thread last wanted some, those that were refused included; relaxed */
    uint64_t batches; /* put into it so far; the lock, but for statistics */
    void *block[];    /* the newest last; the lock */
};

/* Only where there are other threads (hk_single_threaded). Looks at both ends of a batch of n blocks of a class: where
 * these belong to one other heap, as many blocks of that heap as it takes are given to it. The others move to the front
 * of `blocks`, in any order; returns their number. (A batch of many owners goes in chains, and is not searched
 * through.) */
unsigned hk_transfer_give(struct hk_heap *heap, unsigned cls, void **blocks, unsigned n);

/* Takes up to n blocks of a class that came back: the first to top[0], the next to top[-1], downwards. */
unsigned hk_transfer_take(struct hk_heap *heap, unsigned cls, void **top, unsigned n);

/* Between hk_heap_end and hk_heap_retire: what waits for the thread that ended goes to the slabs, and nothing more
 * comes for it. */
void hk_transfer_end(struct hk_heap *heap);

/* What waits for a heap goes to the slabs, on behalf of its thread, which may be asleep; or for any heap. Any thread
 * that holds no lock. */
void hk_transfer_sweep_one(struct hk_heap *heap);
void hk_transfer_sweep(void);

/* Between these two nothing is on its way from an array to the slabs. For statistics, by whoever holds no lock. */
void hk_transfer_hold(void);
void hk_transfer_release(void);

/* In the child of a fork: no array is held. */
void hk_transfer_fork_child(void);

/* Blocks that wait for the heap; batches that came so far. For statistics. */
unsigned hk_transfer_count(const struct hk_heap *heap, unsigned cls);
uint64_t hk_transfer_batches(const struct hk_heap *heap, unsigned cls);

/* The heap's thread has wanted blocks of the class since any were offered: it would take a batch. A hint. */
bool hk_transfer_is_wanted(const struct hk_heap *heap, unsigned cls);

/* As hk_heap_take and hk_heap_give, for blocks of one class, and by this way where there is one. */
static inline unsigned hk_transfer_or_take(struct hk_heap *heap, unsigned cls, void **top, unsigned n)
{
    unsigned got = 0;
    if (HK_TRANSFER && hk_load_relaxed(&hk_inbox_of(heap)->array[cls]) != NULL) /* a hint */
        got = hk_transfer_take(heap, cls, top, n);
    return got != 0 ? got : hk_heap_take(heap, cls, top, n);
}

static inline unsigned hk_transfer_or_give(struct hk_heap *heap, unsigned cls, void **blocks, unsigned n)
{
    if (HK_TRANSFER && !hk_single_threaded())
        n = hk_transfer_give(heap, cls, blocks, n);
    return n != 0 ? hk_heap_give(heap, blocks, n) : 0;
}

#endif
