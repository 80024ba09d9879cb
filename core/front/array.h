/* SPDX-License-Identifier: MIT
 *
 * array: a bin that is an array of ready blocks, last in first out: the bin of the fronts v2 and unified.
 *
 * A bin has 16 bytes, four to a cache line. The thread's own; nobody synchronises. Must not know how large a bin may
 * be: that is in the record, where each front has its own rules. Included by front/ANY/front_box.h only.
 */
#ifndef HK_FRONT_ARRAY_H
#define HK_FRONT_ARRAY_H

#include "box/heap.h"

struct hk_thread;

struct hk_bin {
    void **cur;       /* the newest block is *cur; base is "none" */
    uint16_t empty16; /* low 16 bits of cur when the bin is empty */
    uint16_t
        full16; /* low 16 bits of cur when the bin is full; arrays are shorter than 64 KiB, so equality is enough */
    uint32_t inverse; /* hk_class_inverse: block starts are told from interior pointers by it */
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
    HK_MOVE_PTR(bin->cur, -(int)sizeof(void *));
    *block = *cur;
    return true;
}

static inline bool hk_bin_is_empty(const struct hk_bin HK_TLS_SPACE *bin)
{
    return (uint16_t)(uintptr_t)bin->cur == bin->empty16;
}

/* False: no room for this block of this thread. Else *spot is good until the next call that changes the bin. */
static HK_ALWAYS_INLINE bool hk_bin_has_room(struct hk_bin HK_TLS_SPACE *bin, const struct hk_thread *thread,
                                             const void *block, struct hk_spot *spot)
{
    spot->cur = bin->cur;
    return HK_LIKELY((uint16_t)(uintptr_t)spot->cur != bin->full16);
}

static HK_ALWAYS_INLINE bool hk_bin_push(struct hk_bin HK_TLS_SPACE *bin, struct hk_spot spot, void *block)
{
    spot.cur[1] = block;
    HK_MOVE_PTR(bin->cur, (int)sizeof(void *));
    return true;
}

/* Makes the class's array the bin's, empty and without room. The first time in a thread it gets its place in the
 * record, which has room for `most` blocks. */
void hk_array_set_up(struct hk_thread *thread, unsigned cls, unsigned most);

#endif
