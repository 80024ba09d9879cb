/* SPDX-License-Identifier: MIT
 *
 * How a recorded program finds the memory that it shares with the writer, and comes by chunks of it. Any thread, no
 * lock.
 */
#ifndef HAKMEM_TRACE_RECORDER_RING_H
#define HAKMEM_TRACE_RECORDER_RING_H

#include "ring.h"

#include <stdbool.h>

/* The memory that RING_VARIABLE names; NULL: it is there no more, or another program is meant. Once. */
struct ring *record_map_ring(const char *text);

/* A chunk; waits while the writer is behind. NULL: the writer is gone (record_stop was called), another thread has
 * found that, so that *on is false, or there are more threads than chunks. */
struct ring_chunk *record_take_chunk(struct ring *ring, const volatile bool *on);

/* Nothing is recorded from here on, and why. (recorder.c) */
void record_stop(const char *why);

void record_say(const char *what, const char *more);

#endif
