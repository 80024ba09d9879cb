/* SPDX-License-Identifier: MIT
 *
 * See recorder_large.h. One lock, for large blocks and for small ones that begin in a page like one of theirs.
 */
#define _GNU_SOURCE

#include "recorder_large.h"

#include "futex.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>

#define LARGE_PLACES 65536
#define LARGE_COUNTS 8192
#define LARGE_PROBES 16
#define PAGE 4096

/* Large blocks, so that it can be told how much of one was ever resident, before it goes. One that finds no place is
 * not told of. `begin` counts those that begin in a page, by a hash of its number, so that a free of a small block
 * looks no further than there; 255 stays. */
static struct {
    uintptr_t address; /* 0: free */
    size_t size;
} large[LARGE_PLACES];
static _Atomic uint8_t begin[LARGE_COUNTS];
static struct futex_lock large_lock;

static _Atomic uint8_t *count_of(const void *block)
{
    return &begin[(uintptr_t)block / PAGE * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (LARGE_COUNTS - 1)];
}

static inline bool may_be_large(const void *block)
{
    return atomic_load_explicit(count_of(block), memory_order_relaxed) != 0;
}

/* The place of the address, or with 0 a free one where it may be; NULL where there is none. Under the lock. */
static uintptr_t *large_place(const void *block, uintptr_t wanted, size_t **size)
{
    size_t first = (size_t)((uintptr_t)block * UINT64_C(0x9e3779b97f4a7c15) >> 40);
    for (size_t probe = 0; probe < LARGE_PROBES; probe++) {
        size_t at = (first + probe) % LARGE_PLACES;
        *size = &large[at].size;
        if (large[at].address == wanted)
            return &large[at].address;
    }
    return NULL;
}

void large_add(const void *block, size_t size)
{
    size_t *kept;
    futex_lock(&large_lock);
    uintptr_t *place = large_place(block, 0, &kept);
    if (place != NULL) {
        _Atomic uint8_t *count = count_of(block);
        uint8_t now = atomic_load_explicit(count, memory_order_relaxed);
        *place = (uintptr_t)block;
        *kept = size;
        if (now != UINT8_MAX)
            atomic_store_explicit(count, now + 1, memory_order_relaxed);
    }
    futex_unlock(&large_lock);
}

/* Resident pages of the block + 1, or 0 where the kernel does not tell. Under the lock. */
static uint64_t resident(uintptr_t address, size_t size)
{
    static unsigned char pages[4096];
    uintptr_t at = address & ~(uintptr_t)(PAGE - 1), end = (address + size + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
    uint64_t count = 1;
    while (at < end) {
        size_t length = end - at < sizeof(pages) * PAGE ? end - at : sizeof(pages) * PAGE;
        if (mincore((void *)at, length, pages) != 0)
            return 0;
        for (size_t page = 0; page < length / PAGE; page++)
            count += pages[page] & 1;
        at += length;
    }
    return count;
}

uint64_t large_take(const void *block)
{
    uint64_t touched = 0;
    size_t *size;
    if (__builtin_expect(!may_be_large(block), 1))
        return 0;
    futex_lock(&large_lock);
    uintptr_t *place = large_place(block, (uintptr_t)block, &size);
    if (place != NULL) {
        int saved = errno;
        _Atomic uint8_t *count = count_of(block);
        uint8_t now = atomic_load_explicit(count, memory_order_relaxed);
        touched = resident(*place, *size);
        *place = 0;
        if (now != UINT8_MAX)
            atomic_store_explicit(count, now - 1, memory_order_relaxed);
        errno = saved;
    }
    futex_unlock(&large_lock);
    return touched;
}

const void *large_next(size_t *place)
{
    while (*place < LARGE_PLACES) {
        uintptr_t address = large[(*place)++].address;
        if (address != 0)
            return (const void *)address;
    }
    return NULL;
}
