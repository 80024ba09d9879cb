/* SPDX-License-Identifier: MIT
 *
 * The events of a trace in their order, out of the chunks of all threads. It holds one unpacked chunk for each thread
 * that has events before and after the present one, and 40 bytes for each chunk of the file. What is wrong with a file
 * ends the process with a line.
 */
#ifndef HAKMEM_TRACE_READER_H
#define HAKMEM_TRACE_READER_H

#include "format.h"

struct reader_cursor;

struct reader_place {
    uint64_t offset;
    struct trace_chunk chunk;
};

struct reader {
    const char *path;
    int file;
    struct trace_header header;
    struct trace_summary summary;
    bool whole;       /* there is a summary */
    uint64_t size;    /* of the file, in bytes */
    uint32_t threads; /* numbers of threads are below it */

    struct reader_place *places; /* by the number of their first event */
    size_t count, next;
    struct reader_cursor *current; /* its events are next while their numbers are below `limit` */
    uint64_t limit;
    struct reader_cursor **heap; /* the other cursors, the one with the lowest number first */
    size_t heap_count, heap_room;
    struct trace_touch *touches; /* by number */
    size_t touch_count;
    void *unpacker; /* zstd's */
    void *packed;   /* room for the largest chunk */
};

/* `wait`: until whoever writes it has ended, which is said on stderr. */
void reader_open(struct reader *reader, const char *path, bool wait);
void reader_close(struct reader *reader);

/* False at the end. */
bool reader_next(struct reader *reader, struct trace_event *event, uint32_t *thread);

#endif
