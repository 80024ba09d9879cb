/* SPDX-License-Identifier: MIT
 *
 * reallocarray, by the realloc that the program has, as glibc's: programs and valgrind replace malloc, calloc, realloc
 * and free, and count on it. That is why it is not in override.c, where realloc is known to be ours.
 */
#include "base/compiler.h"

#include <errno.h>
#include <stdlib.h>

HK_EXPORT void *reallocarray(void *ptr, size_t count, size_t size)
{
    size_t bytes;
    if (!__builtin_mul_overflow(count, size, &bytes))
        return realloc(ptr, bytes);
    errno = ENOMEM;
    return NULL;
}

HK_EXPORT void *__libc_reallocarray(void *ptr, size_t count, size_t size) HK_ALIAS(reallocarray);
