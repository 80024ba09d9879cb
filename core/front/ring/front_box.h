/* SPDX-License-Identifier: MIT
 *
 * front_box, ring: per thread and class a ring of ready blocks, first in first out: a freed block is handed out again
 * only after all that were freed before it, so memory is reused as late as the bin allows.
 *
 * A bin has 16 bytes, four to a cache line. Rings grow where they miss, as the arrays of v2 do; HAKMEM_TINY_HOT_RING_C0
 * ...C7 say how far, for the classes of each group. Included by front/front.h only. The thread's own; nobody
 * synchronises. Must not know how the thread's budget is shared out.
 */
#ifndef HK_FRONT_BOX_H
#define HK_FRONT_BOX_H

#include "base/options.h"
#include "front/room.h"
#include "front/slots.h"

struct hk_thread;

/* Of each ring: as many as a byte can tell apart, so that places wrap by themselves. One stays free, or a full ring
 * would be an empty one; the most blocks that a ring holds are the upper bound of the options. */
#define HK_RING_SLOTS 256u
#define HK_RING_MOST 255u

struct hk_bin {
    void **slots;     /* HK_RING_SLOTS of them; NULL before first use */
    uint8_t head;     /* the slot of the oldest block */
    uint8_t tail;     /* of the next block to come; at head: the bin is empty */
    uint8_t cap;      /* blocks it may hold now; tail so far from head: it is full */
    uint32_t inverse; /* hk_class_inverse: block starts are told from interior pointers by it */
};

/* Where the next block goes. */
struct hk_spot {
    unsigned tail;
};

/* Takes the oldest block; false: there is none. */
static HK_ALWAYS_INLINE bool hk_bin_pop(struct hk_bin HK_TLS_SPACE *bin, void **block)
{
    unsigned head = bin->head;
    if (HK_UNLIKELY((uint8_t)head == bin->tail))
        return false;
    *block = bin->slots[head];
    HK_COUNT_UP(bin->head);
    return true;
}

static inline bool hk_bin_is_empty(const struct hk_bin HK_TLS_SPACE *bin)
{
    return bin->head == bin->tail;
}

/* False: no room for this block of this thread. Else *spot is good until the next call that changes the bin. */
static HK_ALWAYS_INLINE bool hk_bin_has_room(struct hk_bin HK_TLS_SPACE *bin, const struct hk_thread *thread,
                                             const void *block, struct hk_spot *spot)
{
    spot->tail = bin->tail;
    return HK_LIKELY((uint8_t)(spot->tail - bin->head) != bin->cap);
}

static HK_ALWAYS_INLINE bool hk_bin_push(struct hk_bin HK_TLS_SPACE *bin, struct hk_spot spot, void *block)
{
    bin->slots[spot.tail] = block;
    HK_COUNT_UP(bin->tail);
    return true;
}

/* This front's part of a thread's record. */
struct hk_front_own {
    struct hk_room room;
    unsigned rings_used;
    void **ring[HK_CLASS_COUNT]; /* the slots of a class; ring[0] is never used. NULL before the class is first used */
    void *slots[HK_CLASS_COUNT - 1][HK_RING_SLOTS] HK_ALIGNED(HK_CACHE_LINE); /* all rings, in the order of first use */
};

/* Bytes of it that are zero for a new thread; the arrays behind them need not be. */
#define HK_FRONT_FRESH offsetof(struct hk_front_own, slots)

#endif
