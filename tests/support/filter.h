/* SPDX-License-Identifier: MIT
 *
 * A seccomp filter for tests: system calls that are refused with an error, or that end the process with a line that
 * names them. It holds for all threads and cannot be taken off.
 */
#ifndef HK_TEST_FILTER_H
#define HK_TEST_FILTER_H

#include <stddef.h>

/* Every call that is not in the list ends the process with status 1. */
void filter_allow_only(const long *calls, size_t count);

/* Every call in the list ends the process with status 1. */
void filter_forbid(const long *calls, size_t count);

/* Every call in the list returns that error. */
void filter_refuse(const long *calls, size_t count, int error);

#endif
