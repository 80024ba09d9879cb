/* SPDX-License-Identifier: MIT
 *
 * bits: arithmetic on integers, masks and addresses. Pure functions. Knows nobody.
 */
#ifndef HK_BASE_BITS_H
#define HK_BASE_BITS_H

#include "base/compiler.h"

#define HK_KIB ((size_t)1 << 10)
#define HK_MIB ((size_t)1 << 20)
#define HK_GIB ((size_t)1 << 30)

/* `unit` is a power of two. align_up may wrap round to a small number near SIZE_MAX: callers bound `n` first. */
static inline size_t hk_align_up(size_t n, size_t unit)
{
    return (n + unit - 1) & ~(unit - 1);
}

static inline size_t hk_align_down(size_t n, size_t unit)
{
    return n & ~(unit - 1);
}

static inline bool hk_is_pow2(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* Position of the highest set bit; n > 0. */
static inline unsigned hk_log2(size_t n)
{
    return 63u - (unsigned)__builtin_clzll(n);
}

/* Position of the lowest set bit; n > 0. */
static inline unsigned hk_lowest(uint64_t n)
{
    return (unsigned)__builtin_ctzll(n);
}

/* Bits that are set. Not __builtin_popcountll, which without an instruction for it calls libgcc. */
static inline unsigned hk_count64(uint64_t n)
{
    n -= n >> 1 & 0x5555555555555555;
    n = (n & 0x3333333333333333) + (n >> 2 & 0x3333333333333333);
    n = (n + (n >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return (unsigned)(n * 0x0101010101010101 >> 56);
}

static inline size_t hk_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t hk_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The lowest position where `run` (1...32) neighbouring bits of `mask` are set, or 32 when there is none. */
static inline unsigned hk_find_run32(uint32_t mask, unsigned run)
{
    for (unsigned have = 1; have < run && mask != 0; have++)
        mask &= mask >> 1;
    return mask == 0 ? 32 : hk_lowest(mask);
}

/* The highest such position, or 32. */
static inline unsigned hk_find_last_run32(uint32_t mask, unsigned run)
{
    for (unsigned have = 1; have < run && mask != 0; have++)
        mask &= mask >> 1;
    return mask == 0 ? 32 : hk_log2(mask);
}

/* `run` (1...32) set bits from position `first` on. */
static inline uint32_t hk_mask32(unsigned first, unsigned run)
{
    return (uint32_t)((((uint64_t)1 << run) - 1) << first);
}

/* Bits [first, first + n) of an array of 64-bit words: set or clear them, and tell how many were set before. */
size_t hk_bits_set(uint64_t *words, size_t first, size_t n);
size_t hk_bits_clear(uint64_t *words, size_t first, size_t n);

/* How many of them are set. */
size_t hk_bits_count(const uint64_t *words, size_t first, size_t n);

/* The first position >= from and < end whose bit is `value`, or end. */
size_t hk_bits_find(const uint64_t *words, size_t from, size_t end, bool value);

/* The last such position, or end. */
size_t hk_bits_find_last(const uint64_t *words, size_t from, size_t end, bool value);

/* From one ms of the clock to a later one. It wraps after 49 days, and threads look at it at different moments: what
 * seems to come up to 17 minutes later came just now. All that is older is old, for most of the 49 days: memory that a
 * sleeping program has not touched for a month must not seem to have been freed just now. */
static inline uint32_t hk_ms_since(uint32_t now, uint32_t then)
{
    return now - then <= UINT32_MAX - ((uint32_t)1 << 20) ? now - then : 0;
}

#endif
