/* SPDX-License-Identifier: MIT
 *
 * end: what stands behind the bytes that a program asked for (-Dtail=enabled): how many these are, and a fence that a
 * write past them breaks. Nothing of it is in the way of the program: a block has room for it beside what is asked for.
 *
 *     start              size                  slot - 8        slot
 *     | the program's ... | fence, 8 bytes ...      | the end word |
 *
 * The end word says one of three things, all of them hidden by the process's secret and the word's own address: the
 * block lives, and so many bytes of the slot are not the program's; the block is free, and was whole when it was freed;
 * or, as a bare zero, nothing yet. The fence is the end word again and again, as far back as the program's bytes go: of
 * the eight bytes behind these each is the one that stands eight behind it, whether it is of the fence or of the end
 * word itself. So nobody asks how many of them are which. Whatever it says, one byte that is written behind the
 * program's is seen, and so is one in front of the next block.
 *
 * A block is its owner's, but its end word is looked at by who frees the block behind it, at any time: it is written in
 * one step, from one of these to the next. (The fence is written after it: where it reaches into the word it changes
 * nothing.) Must not know who asks, nor what a slab is.
 */
#ifndef HK_SUPERSLAB_END_H
#define HK_SUPERSLAB_END_H

#include "base/bits.h"
#include "os/secret.h"

#define HK_END_BYTES ((size_t)8)

/* The most that an end can say: a block with more room than that has a larger size than was asked for. */
#define HK_END_SLACK_MAX ((size_t)1 << 30)

/* What the word says of a free block that was whole: no slack is so small. */
#define HK_END_FREED ((uint32_t)1)

/* Beside that: C++'s operator new took the block, so that its delete knows the size. */
#define HK_END_OF_NEW ((uint32_t)1 << 31)

/* Says a number below 2^32 in both halves of a word: what changes one half only is no such word. */
#define HK_END_TWICE UINT64_C(0x100000001)

static HK_ALWAYS_INLINE uint64_t *hk_end_at(const void *block, size_t slot)
{
    return (uint64_t *)(uintptr_t)((const char *)block + slot - HK_END_BYTES);
}

/* What a word says that stands for the end at an address; `hash` is hk_secret_of(address), here and below. A sum, and
 * not the bits that differ: who turns all bits of the word over turns over those of both halves alike. */
static HK_ALWAYS_INLINE uint64_t hk_end_said(uint64_t word, uint64_t hash)
{
    return word - hash;
}

static HK_ALWAYS_INLINE uint64_t hk_end_read(const uint64_t *end, uint64_t hash)
{
    return hk_end_said(hk_peek(end), hash);
}

/* Does it say anything? Else somebody wrote over it, or it is a bare zero. */
static HK_ALWAYS_INLINE bool hk_end_says(uint64_t said)
{
    return said == (said << 32 | said >> 32);
}

/* Does it say that the block is free? */
static HK_ALWAYS_INLINE bool hk_end_is_freed(uint64_t said)
{
    return said == HK_END_FREED * HK_END_TWICE;
}

/* Does it say that the block lives? Then *size is what was asked for. */
static HK_ALWAYS_INLINE bool hk_end_lives(uint64_t said, size_t slot, size_t *size)
{
    size_t slack = said & (HK_END_OF_NEW - 1);
    *size = slot - slack;
    return hk_end_says(said) && *size <= slot - HK_END_BYTES;
}

/* A word that lies anywhere. */
struct hk_end_anywhere {
    uint64_t word;
} __attribute__((packed, may_alias));

static HK_ALWAYS_INLINE struct hk_end_anywhere *hk_end_fence(const void *block, size_t size)
{
    return (struct hk_end_anywhere *)(uintptr_t)((const char *)block + size);
}

/* What stands behind so many bytes of a block, whose end word is this. The first byte is never zero: what ends a string
 * is the likeliest to be written there. (Nor is it in the word itself, where that begins there.) */
static HK_ALWAYS_INLINE uint64_t hk_end_fence_of(uint64_t word, size_t size)
{
    size_t bits = size * 8;
    return (word >> bits % 64 | word << -bits % 64) | 1;
}

/* Is the fence of a live block whole? `word` is its end word. */
static HK_ALWAYS_INLINE bool hk_end_holds(const void *block, size_t size, uint64_t word)
{
    return hk_end_fence(block, size)->word == hk_end_fence_of(word, size);
}

/* Writes fence and end of a block that lives from now on, whose slot has room for both, and no more beyond that than an
 * end can say. */
static HK_ALWAYS_INLINE void hk_end_set(void *block, size_t slot, size_t size, uint64_t hash, uint32_t also)
{
    uint64_t word = hash + ((slot - size) | also) * HK_END_TWICE;
    hk_poke(hk_end_at(block, slot), word);
    hk_fence_signal(); /* in this order: see above */
    hk_end_fence(block, size)->word = hk_end_fence_of(word, size);
}

/* The block is free, and whole. */
static HK_ALWAYS_INLINE void hk_end_free(void *block, size_t slot, uint64_t hash)
{
    hk_poke(hk_end_at(block, slot), hash + HK_END_FREED * HK_END_TWICE);
}

/* Is what stands in front of a block an end of the block before, whatever it says? */
static HK_ALWAYS_INLINE bool hk_end_before_is_whole(const void *block)
{
    const uint64_t *end = (const uint64_t *)block - 1;
    uint64_t word = hk_peek(end);
    return HK_LIKELY(hk_end_says(hk_end_said(word, hk_secret_of(end)))) || word == 0;
}

#endif
