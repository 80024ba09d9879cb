/* SPDX-License-Identifier: MIT
 *
 * What the commands of hakmem-trace have in common.
 */
#ifndef HAKMEM_TRACE_TRACE_H
#define HAKMEM_TRACE_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* One line on stderr, and the end with 125, as all of hakmem's commands. */
_Noreturn void trace_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Each gets the words behind its name, whose count main has checked, and returns the exit status. */
int trace_record(char **words);
int trace_replay(char **words); /* runs `play` for each allocator and prints what it tells */
int trace_play(char **words);   /* the process that is measured */
int trace_feed(char **words);   /* the process that reads the trace for it */
int trace_info(char **words);
int trace_dump(char **words);
int trace_loads(char **words); /* 0 where the library is in this process */

#endif
