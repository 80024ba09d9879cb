/* SPDX-License-Identifier: MIT
 *
 * Log-uniform sizes: as many between 1 and 2 KiB as between 4 and 8 MiB. They are drawn as logarithms with bench_scale,
 * which is uniform; bench_size_of takes no division and no floating point, so that drawing costs little beside a
 * malloc.
 */
#ifndef BENCH_SIZES_H
#define BENCH_SIZES_H

#include "support.h"

/* A logarithm to the base of 2 with 16 bits after the point, linear between powers of two, and its inverse. */
BENCH_INLINE uint32_t bench_log_of(uint64_t size)
{
    unsigned whole = 63 - (unsigned)__builtin_clzll(size);
    uint64_t rest = size - (UINT64_C(1) << whole);
    return whole << 16 | (uint32_t)(whole < 16 ? rest << (16 - whole) : rest >> (whole - 16));
}

BENCH_INLINE uint64_t bench_size_of(uint32_t log)
{
    unsigned whole = log >> 16;
    uint64_t rest = log & 0xffff;
    return (UINT64_C(1) << whole) + (whole < 16 ? rest >> (16 - whole) : rest << (whole - 16));
}

/* The sizes from min to max, both included. */
struct bench_sizes {
    uint32_t low, span;
};

BENCH_FUNCTION struct bench_sizes bench_sizes(uint64_t min, uint64_t max)
{
    uint32_t low = bench_log_of(min);
    return (struct bench_sizes){.low = low, .span = bench_span(low, bench_log_of(max))};
}

BENCH_INLINE size_t bench_draw(struct bench_sizes sizes, uint64_t random)
{
    return bench_size_of(sizes.low + bench_scale(random, sizes.span));
}

#endif
