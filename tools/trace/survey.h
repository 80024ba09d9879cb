/* SPDX-License-Identifier: MIT
 *
 * What is in a trace: read once from end to end.
 */
#ifndef HAKMEM_TRACE_SURVEY_H
#define HAKMEM_TRACE_SURVEY_H

#include "format.h"
#include "reader.h"

/* All but what the recorder counts: lost, refused, units_per_second. The file may be one that this process writes. The
 * list of large blocks that were not all resident is by their numbers, and the caller's to free. */
void survey(const char *path, struct trace_summary *summary, struct trace_touch **touches, size_t *count);

/* The summary of a reader that was opened: its own, or where it has none, a survey's. */
void survey_opened(struct reader *reader);

#endif
