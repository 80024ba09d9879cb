/* SPDX-License-Identifier: MIT
 *
 * What tests/life/fork_library.c offers to the test, which finds it by dlsym: there are two of that library.
 */
#ifndef HK_TEST_FORK_LIBRARY_H
#define HK_TEST_FORK_LIBRARY_H

#include <stddef.h>

/* Which malloc to use, and whether the fork handlers shall allocate; while there is one thread. */
void fork_library_set(void *(*take)(size_t), void *(*resize)(void *, size_t), void (*give)(void *), int busy_handlers);

/* Allocates `times` times with the lock held, then calls `inside` if it is not NULL. */
void fork_library_hold(int times, void (*inside)(void));

#endif
