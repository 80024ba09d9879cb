/* SPDX-License-Identifier: MIT
 *
 * The malloc family as a table, so that one test runs on the C library's names linked with libhakmem.a, on the hak_
 * names and on whatever a preloaded library put in their place. Calls through the table cannot be folded away by a
 * compiler that knows malloc. Exactly one entries_*.c is linked into a test.
 */
#ifndef HK_TEST_ENTRIES_H
#define HK_TEST_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>

struct entries {
    const char *kind; /* "libc", "hak" or "preload" */
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void *(*reallocarray)(void *, size_t, size_t);
    void (*free)(void *);
    void *(*aligned_alloc)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*memalign)(size_t, size_t);
    void *(*valloc)(size_t);
    void *(*pvalloc)(size_t);
    size_t (*usable_size)(void *);
    int (*trim)(size_t);
    void (*free_sized)(void *, size_t);
    void (*free_aligned_sized)(void *, size_t, size_t);
    bool is_hakmem; /* false only when HK_TEST_REFERENCE=1 runs a preload test on the C library itself */
};

/* The table; ends the process with a line when the functions are not hakmem's. */
const struct entries *entries_get(void);

#endif
