/* SPDX-License-Identifier: MIT
 *
 * unwind_read: the numbers of DWARF, read one after the other. Included by os/unwind_cfi.c and os/unwind_step.c only.
 *
 * A reader is its caller's. What would lie behind its end is 0, and it has failed.
 */
#ifndef HK_OS_UNWIND_READ_H
#define HK_OS_UNWIND_READ_H

#include "base/compiler.h"

#include <string.h>

/* Bytes of an object that are read one after the other; `at` never passes `end`. */
struct hk_reader {
    const uint8_t *at, *end;
    bool failed;
};

static inline uint64_t hk_read_bytes(struct hk_reader *r, unsigned n)
{
    uint64_t value = 0;
    if ((size_t)(r->end - r->at) < n) {
        r->failed = true;
        r->at = r->end;
        return 0;
    }
    memcpy(&value, r->at, n); /* both processors are little-endian */
    r->at += n;
    return value;
}

/* A number in bytes of 7 bits each, the lowest first; *bits: how many those are. */
static inline uint64_t hk_read_sevens(struct hk_reader *r, unsigned *bits)
{
    uint64_t value = 0, byte;
    *bits = 0;
    do {
        byte = hk_read_bytes(r, 1);
        if (*bits < 64)
            value |= (byte & 127) << *bits;
        *bits += 7;
    } while ((byte & 128) != 0 && !r->failed);
    return value;
}

static inline uint64_t hk_read_unsigned(struct hk_reader *r)
{
    unsigned bits;
    return hk_read_sevens(r, &bits);
}

static inline int64_t hk_read_signed(struct hk_reader *r)
{
    unsigned bits;
    uint64_t value = hk_read_sevens(r, &bits);
    if (bits < 64 && value >> (bits - 1) != 0) /* its highest bit is the sign */
        value |= ~(uint64_t)0 << bits;
    return (int64_t)value;
}

static inline void hk_skip_bytes(struct hk_reader *r, uint64_t n)
{
    if ((uint64_t)(r->end - r->at) < n) {
        r->failed = true;
        n = (uint64_t)(r->end - r->at);
    }
    r->at += n;
}

#endif
