/* SPDX-License-Identifier: MIT
 *
 * The memory that the process which replays a trace shares with the one that reads it. The trace is cut into turns: one
 * is written by the reader, then the player runs it, then the next is written; never both at once. So the process that
 * is measured reads, unpacks and looks up nothing, and all its own memory is shared memory, which is told apart from
 * its heap.
 *
 * In a turn each thread has a queue. Of queues beside each other the order is free, but for a block that another thread
 * frees: it must be there. Turns are cut so that in whatever order they run no more is live than at the trace's peak
 * (feed.c); after the event of the peak there is a cut, so it is reached to the byte.
 */
#ifndef HAKMEM_TRACE_FEED_H
#define HAKMEM_TRACE_FEED_H

#include <stdatomic.h>
#include <stdint.h>

#define FEED_OPS 65536 /* in a turn, at most */

enum feed_turn {
    FEED_READER, /* the reader has it */
    FEED_PLAYER,
    FEED_OVER, /* there is no further turn */
};

/* Of what a step (model.h) says. */
struct feed_op {
    uint64_t size_kind; /* the size, 48 bits; the log2 of the alignment, 8 bits; the kind. Of a resize these 8 bits are
                           the share of the block that is touched, of 255 */
    uint32_t slot;
    uint32_t from; /* of a resize: the slot before; of an allocation: pages that are touched, UINT32_MAX for all */
};

struct feed_queue {
    uint32_t thread;
    uint32_t first, count; /* in `op` */
    uint32_t last;         /* the thread ends behind it */
};

struct feed {
    _Atomic uint32_t turn; /* a futex; release by whoever hands over, acquire by whoever takes */
    uint32_t queues;
    uint32_t slots, threads; /* numbers are below; written before the first turn */
    uint64_t peak_bytes;     /* as recorded */
    uint64_t events;
    struct feed_queue queue[FEED_OPS];
    struct feed_op op[FEED_OPS];
};

void feed_hand_over(struct feed *feed, enum feed_turn to);

/* Waits until the turn is `mine`, or over. `alive` is called about once a second. */
void feed_await(struct feed *feed, enum feed_turn mine, void (*alive)(void));

#endif
