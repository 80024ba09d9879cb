/* SPDX-License-Identifier: MIT
 *
 * front_box, two: a bin keeps the two blocks of its class that were freed last. What is freed before them goes back to
 * its slab, one by one, and an empty bin gets one block from the slabs, for the program at once.
 *
 * A bin has 16 bytes, four to a cache line. Included by front/front.h only. The thread's own; nobody synchronises. Must
 * not know how the thread's budget is shared out.
 */
#ifndef HK_FRONT_BOX_H
#define HK_FRONT_BOX_H

#include "front/room.h"

#define HK_TWO_MOST 2u /* blocks of one class */

struct hk_thread;

struct hk_bin {
    void **slots;     /* HK_TWO_MOST of them, the oldest block first; NULL before first use */
    uint16_t count;   /* blocks in it; at cap: it is full */
    uint16_t cap;     /* blocks it may hold now */
    uint32_t inverse; /* hk_class_inverse: block starts are told from interior pointers by it */
};

/* Where the next block goes. */
struct hk_spot {
    unsigned count;
};

/* Takes the newest block; false: there is none. */
static HK_ALWAYS_INLINE bool hk_bin_pop(struct hk_bin HK_TLS_SPACE *bin, void **block)
{
    unsigned count = bin->count;
    if (HK_UNLIKELY(count == 0))
        return false;
    *block = bin->slots[count - 1];
    bin->count = (uint16_t)(count - 1);
    return true;
}

static inline bool hk_bin_is_empty(const struct hk_bin HK_TLS_SPACE *bin)
{
    return bin->count == 0;
}

/* False: no room for this block of this thread. Else *spot is good until the next call that changes the bin. */
static HK_ALWAYS_INLINE bool hk_bin_has_room(struct hk_bin HK_TLS_SPACE *bin, const struct hk_thread *thread,
                                             const void *block, struct hk_spot *spot)
{
    spot->count = bin->count;
    return HK_LIKELY(spot->count != bin->cap);
}

static HK_ALWAYS_INLINE bool hk_bin_push(struct hk_bin HK_TLS_SPACE *bin, struct hk_spot spot, void *block)
{
    bin->slots[spot.count] = block;
    bin->count = (uint16_t)(spot.count + 1);
    return true;
}

/* This front's part of a thread's record. */
struct hk_front_own {
    struct hk_room room;
    void *slots[HK_CLASS_COUNT][HK_TWO_MOST]; /* of each class; slots[0] is never used */
};

/* Bytes of it that are zero for a new thread. */
#define HK_FRONT_FRESH sizeof(struct hk_front_own)

#endif
