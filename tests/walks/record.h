/* SPDX-License-Identifier: MIT
 *
 * record: which functions of the allocator a call enters and leaves, in order, and which locks its thread takes
 * meanwhile. The allocator is compiled with -finstrument-functions; this is not.
 *
 * One thread at a time records; what it has recorded is read when that is over.
 */
#ifndef HK_TEST_WALKS_RECORD_H
#define HK_TEST_WALKS_RECORD_H

#include "base/held.h"

#include <stdbool.h>
#include <stdint.h>

/* This thread's next call is a walk, until it returns, and what was recorded before is forgotten. */
void record_begin(void);
void record_end(void);

/* Ends the program when it is not true that the state is as the walk needs it. */
#define NEED(x) ((x) ? (void)0 : record_failed(#x, __FILE__, __LINE__))
_Noreturn void record_failed(const char *what, const char *file, int line);

/* Is that one among the functions that were entered? */
#define ENTERED(function) record_has((uintptr_t)(function))
bool record_has(uintptr_t function);

/* Writes the walk down, for walks.py: `in ADDRESS`, `out` and `lock RANK`, in order. Addresses are from that of this
 * function on. */
void record_show(void);

/* What the rank is called there. */
const char *record_rank(enum hk_rank rank);

#endif
