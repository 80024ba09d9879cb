/* SPDX-License-Identifier: MIT
 *
 * The calls of one queue of a turn, and what the process's memory is.
 */
#ifndef HAKMEM_TRACE_PLAY_H
#define HAKMEM_TRACE_PLAY_H

#include "feed.h"

/* The blocks, by slot: NULL until there is one. Within a turn a slot is given once; so whoever frees a block of it
 * waits until it is there. Release by the thread that allocates, acquire by the one that frees. */
extern _Atomic(void *) *play_slots;

/* What one thread has done so far. */
struct play_lane {
    int64_t live;     /* bytes made, less bytes freed */
    uint64_t resized; /* bytes of the block that is in a resize */
    uint64_t blocks;  /* made or resized */
    uint64_t refused; /* allocations that failed */
};

void play_queue(struct play_lane *lane, const struct feed_op *ops, uint32_t count);

/* Resident pages that are neither shared nor a file's: the heap, and stacks. */
uint64_t play_heap_pages(void);

/* The same, at least, at the moment at which the process had most resident. */
uint64_t play_heap_pages_at_most_rss(void);

#endif
