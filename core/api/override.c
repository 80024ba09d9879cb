/* SPDX-License-Identifier: MIT
 *
 * The C library's names. Left out with -Doverride=false.
 */
#include "api/entry.h"
#include "hakmem/hakmem.h"
#include "libc_names.h"

#include <stdlib.h>

HK_LINK_LIFECYCLE;

/* <malloc.h> and <stdlib.h> declare these with attributes of their own; the types are theirs. */
HK_EXPORT void *malloc(size_t size)
{
    return hk_entry_malloc(size);
}

HK_EXPORT void free(void *ptr)
{
    hk_entry_free(ptr);
}

HK_EXPORT void *calloc(size_t count, size_t size)
{
    return hk_entry_calloc(count, size);
}

HK_EXPORT void *realloc(void *ptr, size_t size)
{
    return hk_entry_realloc(ptr, size);
}

HK_EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return hk_entry_aligned_alloc(alignment, size);
}

HK_EXPORT int posix_memalign(void **memptr, size_t alignment, size_t size)
{
    return hk_entry_posix_memalign(memptr, alignment, size);
}

HK_EXPORT void *memalign(size_t alignment, size_t size);
HK_EXPORT void *memalign(size_t alignment, size_t size)
{
    return hk_entry_memalign(alignment, size);
}

HK_EXPORT void *valloc(size_t size)
{
    return hk_entry_valloc(size);
}

HK_EXPORT void *pvalloc(size_t size);
HK_EXPORT void *pvalloc(size_t size)
{
    return hk_entry_pvalloc(size);
}

HK_EXPORT size_t malloc_usable_size(void *ptr);
HK_EXPORT size_t malloc_usable_size(void *ptr)
{
    return hk_entry_usable_size(ptr);
}

/* C23; declared in our header. */
void free_sized(void *ptr, size_t size)
{
    hk_entry_free_sized(ptr, size);
}

void free_aligned_sized(void *ptr, size_t alignment, size_t size)
{
    hk_entry_free_sized(ptr, size);
}

/* Old names that programs linked long ago, and interposers, may still call. */
HK_EXPORT void cfree(void *ptr) HK_ALIAS(free);
HK_LIBC_NAMES;
