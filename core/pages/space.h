/* SPDX-License-Identifier: MIT
 *
 * space: where our memory lies. Units of 2 MiB, each 32 slabs of 64 KiB, one behind the other from a base address on,
 * far from where the kernel puts mappings by itself; below the base are tables with entries per unit. Both grow where
 * they are, so that an address becomes an index by one subtraction however large the heap is, and nothing is mapped
 * before it is needed.
 *
 * The base is chosen with the first unit: low in the address space, which kernels fill from the other end, or wherever
 * there is room, at random where the kernel places programs at random. What others have mapped in the way is passed
 * over. Callers synchronise: the base and the units belong to the arena lock, each table to its box's lock. Knows os
 * only, and must not know what is in units or tables.
 */
#ifndef HK_PAGES_SPACE_H
#define HK_PAGES_SPACE_H

#include "base/bits.h"

#define HK_UNIT_SIZE ((size_t)2 * HK_MIB)
#define HK_SLAB_SIZE ((size_t)65536)
#define HK_SLABS 32u                                  /* in a unit */
#define HK_SUPERSLAB_SIZE HK_UNIT_SIZE                /* of a unit that the pool has */
#define HK_SPACE_MOST ((size_t)1 << 43)               /* 8 TiB of units */
#define HK_SPACE_UNITS (HK_SPACE_MOST / HK_UNIT_SIZE) /* in them */

/* Of unit 0; 0 until there is one. Written once. */
extern HK_HIDDEN uintptr_t hk_space_base;

/* Units that are ours or were passed over: none lies behind them. Read without the arenas' lock as a hint. */
extern HK_HIDDEN size_t hk_space_units;

/* Zero memory for `wish` units in a row, or where that is refused for `least`, behind all that there are. Returns how
 * many, and the first one's number; 0: refused. */
size_t hk_space_extend(size_t least, size_t wish, size_t *first);

/* Gives back the last units, just added; where that is refused they are passed over. */
void hk_space_drop(size_t units);

/* Maps units again that were unmapped. False: *taken tells whether somebody else has mapped something there. */
bool hk_space_return(size_t first, size_t units, bool *taken);

static inline char *hk_space_address(size_t unit)
{
    return (char *)hk_space_base + unit * HK_UNIT_SIZE;
}

/* Bytes that the entries of all units may take in a table. */
#define HK_TABLE_MOST ((size_t)256 * HK_MIB)

enum hk_table_number {
    HK_TABLE_CODES,                      /* registry: per slab */
    HK_TABLE_UNITS,                      /* registry: per unit, or a leaf of both per GiB */
    HK_TABLE_EDGES,                      /* ss_arena: page records */
    HK_TABLE_DIRTY,                      /* ss_arena: bits of pages */
    HK_TABLE_NODES,                      /* ss_arena: per unit */
    HK_TABLE_OWN,                        /* own: bits of pages */
    HK_TABLE_SETS,                       /* pool: bits of units; one for each NUMA node from here on */
    HK_TABLE_INNER = HK_TABLE_SETS + 32, /* ss_arena: page records, 32 GiB of them: the last one */
};

/* Bytes below the base in which they lie. */
#define HK_TABLES (32 * HK_GIB + (size_t)HK_TABLE_INNER * HK_TABLE_MOST)

struct hk_table {
    char *start;   /* of what is mapped; NULL: nothing is */
    size_t mapped; /* bytes from there that are zero or were written */
};

/* Makes the first `size` bytes of a table writable, if they are not; false: refused, and what was stays. */
bool hk_table_reach(struct hk_table *table, enum hk_table_number number, size_t size);

/* Calls `visit` for what is mapped of it. */
static inline void hk_table_visit(const struct hk_table *table, void (*visit)(void *ctx, void *start, size_t size),
                                  void *ctx)
{
    if (table->mapped != 0)
        visit(ctx, table->start, table->mapped);
}

#endif
