/* SPDX-License-Identifier: MIT
 *
 * The large blocks of a recorded program, so that it can be told how much of one was ever resident, before it goes.
 * Their number is bounded; one that finds no place is not told of. Any thread may call.
 */
#ifndef HAKMEM_TRACE_RECORDER_LARGE_H
#define HAKMEM_TRACE_RECORDER_LARGE_H

#include <stddef.h>
#include <stdint.h>

void large_add(const void *block, size_t size);

/* Before the block goes: its resident pages + 1; 0 where it is none of these, or the kernel does not tell. */
uint64_t large_take(const void *block);

/* One after the other, from 0 on; NULL at the end. While nobody else is in here. */
const void *large_next(size_t *place);

#endif
