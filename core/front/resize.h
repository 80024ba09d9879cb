/* SPDX-License-Identifier: MIT
 *
 * resize: what realloc decides, and does, with the block where it is. Included by front/ANY.c and front/hardened/ANY.c
 * only.
 *
 * Any thread, outside the gate; the block is the caller's. Must not know what is in it.
 */
#ifndef HK_FRONT_RESIZE_H
#define HK_FRONT_RESIZE_H

#include "superslab/block.h"
#include "superslab/size_class.h"

/* Untouched room for a block that grows, so that growing step by step does not copy each time. */
static inline size_t hk_with_headroom(size_t size)
{
    return size > HK_TINY_MAX ? size + size / 8 : size;
}

/* Up to so many bytes half of a block is left as it is; half of a larger one is memory that others can use. */
#define HK_HALF_KEPT 8192u

/* Is it so near to what the block holds that it is left as it is? */
static inline bool hk_stays_as_it_is(const struct hk_block *block, size_t size)
{
    size_t have = block->size;
    size_t less = have - have / 8;
    if (block->kind == HK_BLOCK_SIDE)
        less = have / 4;
    else if (block->kind == HK_BLOCK_GUARDED) /* it moves, and who goes on with the old one is found */
        less = have;
    else if (have <= HK_HALF_KEPT)
        less = hk_block_half(block);
    else if (have <= HK_MID_MAX)
        less = have / 2 + 1;
    else if (block->kind == HK_BLOCK_SLAB)
        less = have - have / 4; /* no part of it could go back: it is copied */
    return size <= have && size >= less;
}

/* A run or a huge block, in place when the neighbours allow it; NULL: by a copy. */
void *hk_resize_large(const struct hk_block *block, size_t size);

/* There is no memory for a smaller copy. What is behind `size` goes back as far as its box can do that without memory:
 * others may wait for it. Returns where the block is then. */
HK_SLOW_PATH void *hk_shrink_where_it_is(const struct hk_block *block, size_t size);

#endif
