/* SPDX-License-Identifier: MIT
 *
 * heap_fixture: heaps without threads, for the tests of the heap box. Uses EXPECT: for children.
 */
#ifndef HK_TEST_HEAP_FIXTURE_H
#define HK_TEST_HEAP_FIXTURE_H

#include "unit.h"

#include "box/transfer.h"

/* A record in metadata memory, or one that is used again, begun. */
struct hk_heap *fixture_heap(void);

/* Its thread ends, and the record waits for another. */
void fixture_end(struct hk_heap *heap);

/* Takes exactly n blocks, in the order in which they are handed out. */
void fixture_take(struct hk_heap *heap, unsigned cls, void **blocks, unsigned n);

/* A heap's own check, that its FULL slabs have no free block and its PARTIAL ones have one, and its count of slabs. */
void fixture_check(struct hk_heap *heap);

/* Slabs that are neither EMPTY nor UNUSED, in the whole pool. */
unsigned fixture_owned_slabs(void);

#endif
