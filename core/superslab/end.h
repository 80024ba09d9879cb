/* SPDX-License-Identifier: MIT
 *
 * end: what stands behind the bytes that a program asked for (-Dtail=enabled): how many these are, and a fence that a
 * write past them breaks. Nothing of it is in the way of the program: a block has room for it beside what is asked for.
 *
 *     start              size                  slot - 8        slot
 *     | the program's ... | fence, 8 bytes ...      | the end word |
 *
 * The end word lives with the block. Then it says how many bytes of the slot are not the program's, hidden by the
 * process's secret and the word's own address; in a block that nobody has, because it is free or was never handed out,
 * it is zero. The fence is the end word again and again, as far back as the program's bytes go: of the eight bytes
 * behind these each is the one that stands eight behind it, whether it is of the fence or of the end word itself. So
 * nobody asks how many of them are which. One byte that is written behind the program's is seen, and so is one in front
 * of the next block.
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

/* Beside that: C++'s operator new took the block, so that its delete knows the size. */
#define HK_END_OF_NEW ((uint32_t)1)

static HK_ALWAYS_INLINE uint64_t *hk_end_at(const void *block, size_t slot)
{
    return (uint64_t *)(uintptr_t)((const char *)block + slot - HK_END_BYTES);
}

/* What the word at an address is made of, beside what it says. Odd, as the secret is, so that the word's first byte in
 * memory is never zero. A sum: words that were copied from elsewhere, or turned over, come out wrong. */
static HK_ALWAYS_INLINE uint64_t hk_end_hash(const uint64_t *end)
{
    return (uintptr_t)end + HK_OPERAND(hk_secret);
}

/* What a word says that stands for the end at an address of this hash. It is said by the upper half, and the lower one
 * says nothing: turned round, so that whatever is wrong with either is a number too large. */
static HK_ALWAYS_INLINE uint64_t hk_end_said(uint64_t word, uint64_t hash)
{
    uint64_t said = word - hash;
    return said << 32 | said >> 32;
}

static HK_ALWAYS_INLINE uint64_t hk_end_read(const uint64_t *end, uint64_t hash)
{
    return hk_end_said(hk_peek(end), hash);
}

/* Does it say anything? Of a slot of less than 2 GiB the next one tells. */
static HK_ALWAYS_INLINE bool hk_end_says(uint64_t said)
{
    return said <= UINT32_MAX;
}

/* Can the end of such a slot say so? */
static HK_ALWAYS_INLINE bool hk_end_fits(uint64_t said, size_t slot)
{
    return said < (slot - HK_END_BYTES + 1) * 2;
}

/* Does it say that the block lives? Then *size is what was asked for. */
static HK_ALWAYS_INLINE bool hk_end_lives(uint64_t said, size_t slot, size_t *size)
{
    *size = slot - HK_END_BYTES - (said >> 1);
    return hk_end_fits(said, slot);
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
    unsigned bits = (unsigned)size * 8;
    return (word >> (bits & 63) | word << (-bits & 63)) | 1;
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
    uint64_t word = hash + ((uint64_t)(slot - HK_END_BYTES - size) << 33) + ((uint64_t)also << 32);
    hk_poke(hk_end_at(block, slot), word);
    hk_fence_signal(); /* in this order: see above */
    uint64_t fence = hk_end_fence_of(word, size);
    if (HK_THREAD_SANITIZER) /* which calls it wrong to write what stands there */
        __builtin_memcpy(hk_end_fence(block, size), &fence, hk_min(sizeof fence, slot - HK_END_BYTES - size));
    else
        hk_end_fence(block, size)->word = fence;
}

/* Nobody has the block any more, or yet. */
static HK_ALWAYS_INLINE void hk_end_clear(void *block, size_t slot)
{
    hk_poke(hk_end_at(block, slot), 0);
}

/* Is what stands in front of a block of a slab an end of the block before, whatever it says? A byte that is written
 * there makes it too large. */
static HK_ALWAYS_INLINE bool hk_end_before_is_whole(const void *block, size_t slot)
{
    const uint64_t *end = (const uint64_t *)block - 1;
    uint64_t word = hk_peek(end), said = hk_end_said(word, hk_end_hash(end));
    said &= -(uint64_t)(word != 0); /* no branch: whether that block is free is anybody's guess */
    return hk_end_fits(said, slot);
}

#endif
