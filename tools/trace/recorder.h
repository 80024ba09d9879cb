/* SPDX-License-Identifier: MIT
 *
 * Between the functions that take malloc's place (recorder_calls.c) and what notes their calls (recorder.c). A call is
 * noted between record_enter and record_leave, in which the thread is not recorded again.
 */
#ifndef HAKMEM_TRACE_RECORDER_H
#define HAKMEM_TRACE_RECORDER_H

#include <stdbool.h>
#include <stddef.h>

struct stream;

/* NULL where this call is only to be passed on. */
struct stream *record_enter(void);
void record_leave(struct stream *stream);

/* After the call: `block` is what it returned, NULL included. */
void record_block(struct stream *stream, bool zeroed, const void *block, size_t size);
void record_aligned(struct stream *stream, const void *block, size_t align, size_t size);
void record_resized(struct stream *stream, const void *block, size_t size);

/* For an operator new of the next library, which may have a malloc that does not come here: forgets what this thread
 * has noted, and notes the block that it made, where that was not noted since. */
void record_forget(void);
void record_found(const void *block, size_t align, size_t size);

/* Before a free, or before a realloc that record_resized follows. */
void record_gone(struct stream *stream, bool resizing, const void *block);

/* Looks for the functions that calls are passed on to. */
void record_find_next(void);

#endif
