/* SPDX-License-Identifier: MIT
 *
 * transfer: batches of blocks on their way from one front to another, or to the same one later, without touching a
 * slab: arrays, one for each class in a few places. What a front gives away is copied into its own place, whoever owns
 * the slabs; what it lacks is copied out of there, the newest first, or else out of another place. So what a thread had
 * comes back to it, and two threads seldom get blocks that lie in one cache line; and what only one thread frees
 * another one finds. Threads that live at the same time have different places, while there are enough; NUMA nodes
 * always have. A block in an array counts as used.
 *
 * All arrays together hold as much as one front without other threads may, HAKMEM_FRONT_BYTES, or a quarter of all
 * slabs that are in use, about: a place tells what came or went when it is some. No front waits for an
 * array: a batch that finds no room, or another thread at it, goes to the slabs. Where much is offered and nothing
 * taken, what waits goes there too, and so it does with every sweep. Whose slab a block lies in does not matter here,
 * as it does not in a front.
 *
 * Any thread, each array under its own lock, which is outside the ranks: taken while no other is held, and none
 * inside. Must not know fronts. Model: docs/models/transfer.pml.
 */
#ifndef HK_BOX_TRANSFER_H
#define HK_BOX_TRANSFER_H

#include "box/heap.h"

#define HK_TRANSFER_PLACES 8u               /* of one node */
#define HK_TRANSFER_BLOCKS 256u             /* the most in one array, */
#define HK_TRANSFER_BYTES ((size_t)1 << 20) /* and of Mid blocks, */
#define HK_TRANSFER_WIDE ((size_t)4 << 20)  /* and of wide ones: what a thread frees it gets again, whoever owns it */

/* Gives what there is room for of n blocks of a class, for the thread of this heap. The others move to the front of
 * `blocks`; returns their number. */
unsigned hk_transfer_give(const struct hk_heap *heap, unsigned cls, void **blocks, unsigned n);

/* Takes up to n blocks of a class: the first to top[0], the next to top[-1], downwards. */
unsigned hk_transfer_take(const struct hk_heap *heap, unsigned cls, void **top, unsigned n);

/* Gives what waits to the slabs: in all arrays, or in those of this heap's place. Any thread that holds no lock. */
void hk_transfer_sweep(void);
HK_SLOW_PATH void hk_transfer_sweep_own(struct hk_heap *heap);

/* Between these two nobody sweeps: but for drains, nothing is on its way from an array to the slabs. For statistics, by
 * whoever holds no lock. */
void hk_transfer_hold(void);
void hk_transfer_release(void);

/* The table of all arrays, by place and class; in an array the count stands behind its lock. */
extern HK_HIDDEN hk_seen hk_transfer_seen[1];

/* In the child of a fork: no array is held, and what waits is counted anew, unless this thread is `inside` the gate: a
 * handler in the middle of a call forks. */
void hk_transfer_fork_child(bool inside);

/* Of a class: blocks that wait, and batches that came so far. For statistics. */
struct hk_transfer_sums {
    unsigned blocks;
    uint64_t batches;
};
struct hk_transfer_sums hk_transfer_count(unsigned cls);

/* Somebody has wanted blocks of the class since this thread offered any, and would take a batch. A hint. */
bool hk_transfer_is_wanted(const struct hk_heap *heap, unsigned cls);

/* As hk_heap_take and hk_heap_give, for blocks of one class, and by this way where there is one. */
static inline unsigned hk_transfer_or_take(struct hk_heap *heap, unsigned cls, void **top, unsigned n)
{
    unsigned got = HK_TRANSFER ? hk_transfer_take(heap, cls, top, n) : 0;
    return got != 0 ? got : hk_heap_take(heap, cls, top, n);
}

/* Returns what hk_heap_give does; 0: the array took all. */
static inline unsigned hk_transfer_or_give(struct hk_heap *heap, unsigned cls, void **blocks, unsigned n)
{
    if (HK_TRANSFER)
        n = hk_transfer_give(heap, cls, blocks, n);
    return n != 0 ? hk_heap_give(heap, blocks, n) : 0;
}

/* For tests (transfer_check.c): bytes of all that waits; the lock of a class's array in a place of the first node
 * (NULL: there is none), or of class 0 that of the making. */
size_t hk_transfer_bytes(void);
struct hk_lock *hk_transfer_lock(unsigned place, unsigned cls);

#endif
