/* SPDX-License-Identifier: MIT
 *
 * pool_fixture: slabs without heaps, for the tests of the pool box. Uses EXPECT: for children.
 */
#ifndef HK_TEST_POOL_FIXTURE_H
#define HK_TEST_POOL_FIXTURE_H

#include "unit.h"

#include "box/pool.h"

#define OWNER ((struct hk_owner *)64)
#define SINGLE 5u /* a tiny class: spans of one slab */

struct overview {
    unsigned superslabs, empty, unused, owned;
    char *lowest[HK_SPAN_MAX + 1]; /* [n]: the lowest run of n EMPTY slabs */
};

/* A class whose spans have n slabs: a tiny one, or the first Mid one. */
unsigned class_of_span(unsigned n);

/* Acquires a span that must be there, looks at it, and writes into every page. */
struct hk_slab *acquire(unsigned cls);

/* One of SINGLE for who fills slabs. */
struct hk_slab *acquire_to_fill(void);

void release(struct hk_slab *slab);

/* The pool's own check, and what the masks say. */
struct overview look(void);

/* Purges piece by piece until at most `keep` bytes of the part are EMPTY, or no slab has been for delay_ms; one that
 * the system refuses is not asked for again. Returns the bytes given back. */
size_t purge_slabs(uint32_t now, uint32_t delay_ms, size_t keep, enum hk_pool_part part);

#endif
