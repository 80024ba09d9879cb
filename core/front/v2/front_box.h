/* SPDX-License-Identifier: MIT
 *
 * front_box, v2: an array magazine: per thread and class an array of ready blocks, last in first out.
 *
 * A bin has 16 bytes, four to a cache line. Included by front.h only. The thread's own; nobody synchronises. Must not
 * know how large a bin may be: room.h decides that.
 */
#ifndef HK_FRONT_BOX_H
#define HK_FRONT_BOX_H

#include "front/room.h"

struct hk_bin {
    void **cur;       /* the newest block is *cur; base is "none" */
    uint16_t empty16; /* low 16 bits of cur when the bin is empty */
    uint16_t
        full16; /* low 16 bits of cur when the bin is full; arrays are shorter than 64 KiB, so equality is enough */
    uint32_t inverse; /* hk_class_inverse: block starts are told from interior pointers by it */
};

/* The most blocks of that size that a bin may ever hold. A bin that is half full misses after (cap / 2)^2 operations of
 * its class on the average, so room pays quadratically. */
#define HK_BIN_MAX(size) ((size) <= 512 ? 64u : (size) <= HK_TINY_MAX ? 32768u / (unsigned)(size) : 16u)

/* Pointers for all arrays of a thread, one in each never used. */
#define HK_FRONT_SLOTS (0u HK_TINY_CLASSES(HK_BIN_SLOTS, 0) HK_MID_CLASSES(HK_BIN_SLOTS, 0))
#define HK_BIN_SLOTS(size, n) +(HK_BIN_MAX(size) + 1u)

/* This front's part of a thread's record. */
struct hk_front_own {
    struct hk_room room;
    unsigned slots_used;
    void **base[HK_CLASS_COUNT]; /* the array of a class; base[0] is never used. NULL before the class is first used */
    void *slots[HK_FRONT_SLOTS];
};

/* Where the next block goes. */
struct hk_spot {
    void **cur;
};

/* Takes the newest block; false: there is none. */
static HK_ALWAYS_INLINE bool hk_bin_pop(struct hk_bin HK_TLS_SPACE *bin, void **block)
{
    void **cur = bin->cur;
    if (HK_UNLIKELY((uint16_t)(uintptr_t)cur == bin->empty16))
        return false;
    *block = *cur;
    HK_MOVE_PTR(bin->cur, -(int)sizeof(void *));
    return true;
}

/* False: the bin is full. Else *spot is good until the next call that changes the bin. */
static HK_ALWAYS_INLINE bool hk_bin_has_room(struct hk_bin HK_TLS_SPACE *bin, struct hk_spot *spot)
{
    spot->cur = bin->cur;
    return HK_LIKELY((uint16_t)(uintptr_t)spot->cur != bin->full16);
}

static HK_ALWAYS_INLINE void hk_bin_push(struct hk_bin HK_TLS_SPACE *bin, struct hk_spot spot, void *block)
{
    spot.cur[1] = block;
    HK_MOVE_PTR(bin->cur, (int)sizeof(void *));
}

#endif
