/* SPDX-License-Identifier: MIT
 *
 * Random numbers and block contents that can be checked: every word of a filled block depends on a seed and on its
 * place in the block, so that a block that was moved wrongly, overlapped or cleared does not pass.
 */
#ifndef HK_TEST_PATTERN_H
#define HK_TEST_PATTERN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t pattern_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* The next number of a sequence (splitmix64); any state is a good one. */
static inline uint64_t random_next(uint64_t *state)
{
    return pattern_mix(*state += UINT64_C(0x9e3779b97f4a7c15));
}

/* A number in [0, bound), bound > 0. The bias is of no account for tests. */
static inline uint64_t random_below(uint64_t *state, uint64_t bound)
{
    return random_next(state) % bound;
}

/* Eight bytes of a block. Not by memcpy: with the options of libFuzzer that is a call. */
typedef uint64_t __attribute__((aligned(1), may_alias)) pattern_bits;

static inline uint64_t pattern_word(uint64_t seed, size_t index)
{
    return (seed + index) * UINT64_C(0x9e3779b97f4a7c15) ^ seed;
}

static inline void pattern_fill(void *block, size_t size, uint64_t seed)
{
    unsigned char *bytes = block;
    for (size_t i = 0; i < size / 8; i++)
        ((pattern_bits *)bytes)[i] = pattern_word(seed, i);
    uint64_t last = pattern_word(seed, size / 8);
    memcpy(bytes + (size & ~(size_t)7), &last, size & 7);
}

/* The offset of the first wrong word, or `size` when all of it is as pattern_fill left it. A shorter size than the one
 * that was filled may be checked. */
static inline size_t pattern_check(const void *block, size_t size, uint64_t seed)
{
    const unsigned char *bytes = block;
    for (size_t i = 0; i < size / 8; i++) {
        if (((const pattern_bits *)bytes)[i] != pattern_word(seed, i))
            return 8 * i;
    }
    uint64_t last = pattern_word(seed, size / 8);
    if (memcmp(bytes + (size & ~(size_t)7), &last, size & 7))
        return size & ~(size_t)7;
    return size;
}

/* The offset of the first byte that is not zero, or `size`. */
static inline size_t pattern_nonzero(const void *block, size_t size)
{
    const unsigned char *bytes = block;
    size_t i = 0;
    while (i + 8 <= size && *(const pattern_bits *)(bytes + i) == 0)
        i += 8;
    while (i < size && !bytes[i])
        i++;
    return i;
}

#endif
