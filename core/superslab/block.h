/* SPDX-License-Identifier: MIT
 *
 * block: what a pointer is. A slow path asks that once, of the pointer that the program gave it (hk_block_find in
 * front/block.c), and hands the answer on to whoever works on the block.
 *
 * A plain value, and a block is its caller's: while that does not free it elsewhere, the answer stays true. Must not
 * know who asks.
 */
#ifndef HK_SUPERSLAB_BLOCK_H
#define HK_SUPERSLAB_BLOCK_H

#include "base/bits.h"

enum hk_block_kind {
    HK_BLOCK_NONE,    /* no live block starts there */
    HK_BLOCK_SLAB,    /* a block of a class */
    HK_BLOCK_GUARDED, /* of the box guarded */
    HK_BLOCK_SIDE,    /* of the side box; last of the kinds that a look-up of runs does not find */
    HK_BLOCK_RUN,     /* a page run */
    HK_BLOCK_HUGE,    /* a mapping of its own */
    HK_BLOCK_OWN,     /* of a heap of one's own; last: one comparison with a large kind finds these two */
};

struct hk_block {
    enum hk_block_kind kind;
    void *start;
    size_t size; /* usable bytes; 0 where there is none */
};

/* The least that half of a block's contents are: where it grew it has an eighth on top of these. */
static inline size_t hk_block_half(const struct hk_block *block)
{
    return block->size / 2 - block->size / 16;
}

#endif
