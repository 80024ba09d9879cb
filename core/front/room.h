/* SPDX-License-Identifier: MIT
 *
 * room: how many blocks each bin of a thread may hold. Fronts that keep blocks by the piece share it; how they keep
 * them is their own business (front/bin.h).
 *
 * A bin that misses gets the room that its front wants for it, as long as the thread's budget lasts; a thread that only
 * frees scattered blocks is drained. The thread's own; nobody synchronises (statistics read counts and know that they
 * may be a moment old). Included by front/ANY/front_box.h only.
 */
#ifndef HK_FRONT_ROOM_H
#define HK_FRONT_ROOM_H

#include "box/heap.h"

/* Blocks of a Mid or wide class in one bin, of small ones more (front/slots.h): sixteen, or a MiB. */
#define HK_MID_ROOM(size) ((size) <= 65536 ? 16u : 1048576u / (unsigned)(size))

/* Room of one bin. */
struct hk_cap {
    uint16_t now;    /* blocks it may hold now */
    uint16_t max;    /* and ever; 0: the thread has not used the class yet */
    uint16_t misses; /* refills and flushes, halved each time the budget's hand passes, and at the most */
};

struct hk_room {
    size_t bytes;       /* sum over classes of cap * size; at most twice hk_front_limit */
    unsigned scattered; /* flushes of blocks from many slabs, less refills: is the thread only freeing? */
    size_t freed;       /* bytes in such flushes since the last refill */
    size_t given;       /* bytes in all flushes since then */
    bool draining;      /* it is: bins are closed */
    unsigned flushes;   /* counts to the next look at what the front really holds */
    unsigned hand;      /* next class whose cap the budget looks at */
    struct hk_cap cap[HK_CLASS_COUNT];
    uint64_t chance[HK_SHUFFLE]; /* one or none: the state of a generator; 0: not seeded */
};

/* Half as much room again, at least a class's first few blocks and at most `most`. */
static inline unsigned hk_room_half_more(unsigned cap, unsigned cls, unsigned most)
{
    unsigned first = cls <= HK_TINY_LAST ? 8 : 2;
    return (unsigned)hk_min(hk_max(cap + (cap + 1u) / 2, first), most);
}

/* A refill of half of what fits, of large blocks no more than a slab has. (Memory that nobody has touched yet does not
 * come by the batch: hk_slab_take.) */
static inline unsigned hk_room_half(unsigned cap, unsigned cls)
{
    return (unsigned)hk_max(hk_min(cap / 2u, HK_SLAB_SIZE / hk_class_size(cls)), 1);
}

#endif
