/* SPDX-License-Identifier: MIT
 *
 * A library that deep_bind.c opens: each function is that of the C library which the library is bound to.
 */
#ifndef HK_TEST_DEEP_BOUND_H
#define HK_TEST_DEEP_BOUND_H

#include <stddef.h>

struct deep_bound {
    void *(*make)(size_t size);
    void *(*resize)(void *ptr, size_t size);
    void (*give_back)(void *ptr);
    char *(*copy)(const char *text); /* the C library allocates */
    void *made;                      /* by the library's constructor */
};

#endif
