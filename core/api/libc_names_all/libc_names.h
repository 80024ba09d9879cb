/* SPDX-License-Identifier: MIT
 *
 * libc_names, all: names by which programs and interposers call glibc's own malloc, whatever stands before it. They are
 * ours too. Included by api/override.c only.
 */
#ifndef HK_API_LIBC_NAMES_H
#define HK_API_LIBC_NAMES_H

#include "base/compiler.h"

#define HK_LIBC_NAMES                                                                  \
    HK_EXPORT void *__libc_malloc(size_t size) HK_ALIAS(malloc);                       \
    HK_EXPORT void __libc_free(void *ptr) HK_ALIAS(free);                              \
    HK_EXPORT void *__libc_calloc(size_t count, size_t size) HK_ALIAS(calloc);         \
    HK_EXPORT void *__libc_realloc(void *ptr, size_t size) HK_ALIAS(realloc);          \
    HK_EXPORT void *__libc_memalign(size_t alignment, size_t size) HK_ALIAS(memalign); \
    HK_EXPORT void *__libc_valloc(size_t size) HK_ALIAS(valloc);                       \
    HK_EXPORT void *__libc_pvalloc(size_t size) HK_ALIAS(pvalloc)

#endif
