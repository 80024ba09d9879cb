/* SPDX-License-Identifier: MIT
 *
 * end: what stands behind the bytes that a program asked for (-Dtail=enabled): how many these are, and a fence that a
 * write past them breaks. Nothing of it is in the way of the program: a block has room for it beside what is asked for.
 *
 *     start              size                  slot - 8        slot
 *     | the program's ... | fence, 1 to 8 bytes ... | the end word |
 *
 * The end word says one of three things, all of them hidden by the process's secret and the word's own address: the
 * block lives, and so many bytes of the slot are not the program's; the block is free, and was whole when it was freed;
 * or, as a bare zero, nothing yet. The fence is missing where the end word itself begins right behind the program's
 * bytes. Whichever it is, one byte that is written behind these is seen, and so is one in front of the next block.
 *
 * A block is its owner's, but its end word is looked at by who frees the block behind it, at any time: it is written in
 * one step, from one of these to the next. Must not know who asks, nor what a slab is.
 */
#ifndef HK_SUPERSLAB_END_H
#define HK_SUPERSLAB_END_H

#include "base/bits.h"
#include "os/secret.h"

#define HK_END_BYTES ((size_t)8)

/* The most that an end can say: a block with more room than that has a larger size than was asked for. */
#define HK_END_SLACK_MAX ((size_t)1 << 30)

/* Beside that: C++'s operator new took the block, so that its delete knows the size. */
#define HK_END_OF_NEW ((uint32_t)1 << 31)

/* Says a number below 2^32 in both halves of a word: what changes one half only is no such word. */
#define HK_END_TWICE UINT64_C(0x100000001)

static HK_ALWAYS_INLINE uint64_t *hk_end_at(const void *block, size_t slot)
{
    return (uint64_t *)(uintptr_t)((const char *)block + slot - HK_END_BYTES);
}

/* What the word at `end` says; `hash` is hk_secret_of(end), here and below. */
static HK_ALWAYS_INLINE uint64_t hk_end_read(const uint64_t *end, uint64_t hash)
{
    return hk_peek(end) ^ hash;
}

/* What it says of a free block that was whole. Its halves differ. */
static HK_ALWAYS_INLINE uint64_t hk_end_freed(size_t slot)
{
    return ~(uint64_t)slot;
}

/* Does it say that the block lives? Then *size is what was asked for. */
static HK_ALWAYS_INLINE bool hk_end_lives(uint64_t said, size_t slot, size_t *size)
{
    size_t slack = said & (HK_END_OF_NEW - 1);
    *size = slot - slack;
    return said == (uint32_t)said * HK_END_TWICE && slack - HK_END_BYTES <= slot - HK_END_BYTES;
}

/* The fence: the word that the first byte behind the program's lies in, and which of its bits are the program's. No
 * byte of it is zero, nor is the first of an end that takes its place: what ends a string is the likeliest to be
 * written there. */
static HK_ALWAYS_INLINE uint64_t *hk_end_fence(const void *block, size_t size, uint64_t *mine)
{
    *mine = (UINT64_C(1) << size % 8 * 8) - 1;
    return (uint64_t *)(uintptr_t)((const char *)block + size / 8 * 8);
}

static HK_ALWAYS_INLINE uint64_t hk_end_fence_of(uint64_t hash)
{
    return (hash << 17 | hash >> 47) | UINT64_C(0x0101010101010101);
}

/* Is the fence of a live block whole? */
static HK_ALWAYS_INLINE bool hk_end_holds(const void *block, size_t slot, size_t size, uint64_t hash)
{
    uint64_t mine, *fence = hk_end_fence(block, size, &mine);
    return fence == hk_end_at(block, slot) || ((*fence ^ hk_end_fence_of(hash)) & ~mine) == 0;
}

/* Writes fence and end of a block that lives from now on, whose slot has room for both, and no more beyond that than an
 * end can say. */
static HK_ALWAYS_INLINE void hk_end_set(void *block, size_t slot, size_t size, uint64_t hash, uint32_t also)
{
    uint64_t mine, *fence = hk_end_fence(block, size, &mine), *end = hk_end_at(block, slot);
    if (HK_LIKELY(fence != end))
        *fence = (*fence & mine) | (hk_end_fence_of(hash) & ~mine);
    hk_poke(end, hash ^ (uint32_t)((slot - size) | also) * HK_END_TWICE);
}

/* The block is free, and whole. */
static HK_ALWAYS_INLINE void hk_end_free(void *block, size_t slot, uint64_t hash)
{
    hk_poke(hk_end_at(block, slot), hash ^ hk_end_freed(slot));
}

/* Is what stands in front of a block an end of the block before, whatever it says? */
static HK_ALWAYS_INLINE bool hk_end_before_is_whole(const void *block, size_t slot)
{
    const uint64_t *end = (const uint64_t *)block - 1;
    uint64_t said = hk_end_read(end, hk_secret_of(end));
    size_t size;
    return hk_end_lives(said, slot, &size) || said == hk_end_freed(slot) || hk_peek(end) == 0;
}

#endif
