/* SPDX-License-Identifier: MIT
 *
 * The process that writes a trace: it takes chunks out of the shared memory (ring.h) until the program has ended, and
 * packs them into the file. It has one thread and the memory of the chunks that wait.
 */
#ifndef HAKMEM_TRACE_WRITE_H
#define HAKMEM_TRACE_WRITE_H

#include "ring.h"

#include <sys/types.h>

struct write_task {
    const char *path; /* of the trace, for messages */
    const char *only; /* the name of the program that is meant; empty: COMMAND */
    pid_t parent;     /* that becomes COMMAND */
    int file, ring_file;
    struct ring *ring;
    uint32_t chunks; /* in it */
};

/* Returns when the trace is whole, or said why not. */
void write_trace(struct write_task *task);

#endif
