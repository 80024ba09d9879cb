/* SPDX-License-Identifier: MIT
 *
 * front_box, none: no array: a thread's ready blocks of a class are a list through the blocks themselves (the TLS SLL
 * box), last in first out. The slimmest front: a bin is all that a thread has. Each pop reads the block that it hands
 * out, and checks it: a link lies where the program can overwrite it.
 *
 * A bin has 16 bytes, four to a cache line. Included by front/front.h only. The thread's own; nobody synchronises. Must
 * not know how long a list may be: room.h decides that.
 */
#ifndef HK_FRONT_BOX_H
#define HK_FRONT_BOX_H

#include "box/tls_sll.h"
#include "front/room.h"

#define HK_NONE_MOST 64u /* blocks of one class */

struct hk_thread;

struct hk_bin {
    struct hk_sll list;
    uint32_t inverse; /* hk_class_inverse: block starts are told from interior pointers by it */
} HK_ALIGNED(16);

/* This front's part of a thread's record. */
struct hk_front_own {
    struct hk_room room;
};

/* Bytes of it that are zero for a new thread. */
#define HK_FRONT_FRESH sizeof(struct hk_front_own)

/* Where the next block goes: to the front of the list. */
struct hk_spot {
    char nothing;
};

/* Takes the newest block; false: there is none. */
static HK_ALWAYS_INLINE bool hk_bin_pop(struct hk_bin HK_TLS_SPACE *bin, void **block)
{
    return hk_sll_pop(&bin->list, block);
}

static inline bool hk_bin_is_empty(const struct hk_bin HK_TLS_SPACE *bin)
{
    return bin->list.count == 0;
}

/* False: no room for this block of this thread. */
static HK_ALWAYS_INLINE bool hk_bin_has_room(struct hk_bin HK_TLS_SPACE *bin, const struct hk_thread *thread,
                                             const void *block, struct hk_spot *spot)
{
    return hk_sll_has_room(&bin->list);
}

static HK_ALWAYS_INLINE bool hk_bin_push(struct hk_bin HK_TLS_SPACE *bin, struct hk_spot spot, void *block)
{
    hk_sll_push(&bin->list, block);
    return true;
}

#endif
