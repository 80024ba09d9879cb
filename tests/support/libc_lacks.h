/* SPDX-License-Identifier: MIT
 *
 * What the tests call that is glibc's own, where the C library has none of it. Put before every source by
 * tests/support/meson.build. malloc_trim and pvalloc are hakmem's there; NULL without it.
 */
#ifndef HK_TEST_LIBC_LACKS_H
#define HK_TEST_LIBC_LACKS_H

#include <malloc.h>

struct mallinfo2 {
    size_t arena, uordblks;
};

/* Nobody has one: it says nothing. */
static inline struct mallinfo2 mallinfo2(void)
{
    return (struct mallinfo2){0};
}

static inline void malloc_stats(void)
{
}

extern int malloc_trim(size_t pad) __attribute__((weak));
extern void *pvalloc(size_t size) __attribute__((weak));

#endif
