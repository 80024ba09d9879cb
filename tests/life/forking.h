/* SPDX-License-Identifier: MIT
 *
 * What the tests of fork share: work on the heap in all sizes, and one fork with a child that must end well. Each fork,
 * the child and the wait for it have a watchdog. Which malloc is used can be chosen: a hakmem that was dlopened late is
 * reached by pointers.
 */
#ifndef HK_TEST_FORKING_H
#define HK_TEST_FORKING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct forking_malloc {
    void *(*take)(size_t size);
    void *(*resize)(void *block, size_t size);
    void (*give)(void *block);
};

/* malloc, realloc and free until somebody sets it; changes only while there is one thread. */
extern struct forking_malloc forking_malloc;

/* Takes, resizes and frees blocks of 1 byte to 2 MiB, `rounds` times, and checks what is in them. */
void forking_work(uint64_t seed, int rounds);

/* Blocks of the parent that every child frees its copy of. Call once, before the first fork. */
void forking_share(void);

/* What a child does after fork: allocates, frees blocks of the parent, starts a thread, ends. Never returns. */
__attribute__((noreturn)) void forking_child(int number);

/* Waits for a child that must end with status 0. */
void forking_wait(pid_t pid, int number);

/* A fork in which both sides allocate. */
void forking_once(int number);

#endif
