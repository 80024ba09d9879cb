/* SPDX-License-Identifier: MIT
 *
 * entry: the bodies of the public entries, inline: hak_api.c gives them their hak_ names, override.c those of the C
 * library, override_cxx.c those of C++. Each name, and each primitive of C++, has its own copy of the fast path, so
 * none costs a jump more than another.
 *
 * Any thread; no lock is held. Rules for odd inputs: include/hakmem/hakmem.h.
 */
#ifndef HK_API_ENTRY_H
#define HK_API_ENTRY_H

#include "front/block.h"
#include "front/fast.h"
#include "front/hardened/hard.h"

#include <errno.h>
#include <string.h>

/* What the two fast paths leave to, for who comes after others. NULL and ENOMEM. */
static inline void *hk_entry_malloc_slow(size_t size)
{
    return HK_TAIL ? hk_hard_malloc_slow(size) : hk_malloc_slow(size);
}

static HK_ALWAYS_INLINE void *hk_entry_malloc(size_t size)
{
    return HK_TAIL ? hk_hard_malloc(size, hk_hard_malloc_slow, 0) : hk_malloc_fast(size, hk_malloc_slow);
}

static HK_ALWAYS_INLINE void hk_entry_free(void *ptr)
{
    if (HK_TAIL)
        hk_hard_free(ptr, 0, HK_HARD_ANY);
    else
        hk_free_fast(ptr);
}

/* Without -Dtail the size is not trusted, so nothing is won by it: the class is one load away. */
static HK_ALWAYS_INLINE void hk_entry_free_sized(void *ptr, size_t size)
{
    if (HK_TAIL)
        hk_hard_free(ptr, size, HK_HARD_SIZED);
    else
        hk_free_fast(ptr);
}

static HK_ALWAYS_INLINE void *hk_entry_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (HK_UNLIKELY(__builtin_mul_overflow(count, size, &bytes) || bytes > HK_TINY_MAX)) {
        bytes = __builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes;
        return HK_TAIL ? hk_hard_calloc(bytes) : hk_calloc_slow(bytes);
    }
    void *ptr = hk_entry_malloc(bytes);
    return HK_LIKELY(ptr != NULL) ? memset(ptr, 0, bytes) : NULL;
}

static inline void *hk_entry_realloc(void *ptr, size_t size)
{
    if (ptr == NULL)
        return hk_entry_malloc(size);
    if (size == 0) {
        hk_entry_free(ptr);
        return NULL;
    }
    return HK_TAIL ? hk_hard_resize(ptr, size) : hk_resize(ptr, size);
}

static inline void *hk_entry_reallocarray(void *ptr, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return hk_entry_realloc(ptr, bytes);
}

/* align is a power of two. */
static inline void *hk_entry_aligned(size_t align, size_t size)
{
    if (align <= 16)
        return hk_entry_malloc(size);
    return HK_TAIL ? hk_hard_aligned(align, size) : hk_malloc_aligned(align, size);
}

static inline void *hk_entry_aligned_alloc(size_t align, size_t size)
{
    if (!hk_is_pow2(align)) {
        errno = EINVAL;
        return NULL;
    }
    return hk_entry_aligned(align, size);
}

static inline int hk_entry_posix_memalign(void **memptr, size_t align, size_t size)
{
    if (!hk_is_pow2(align) || align % sizeof(void *) != 0)
        return EINVAL;
    int saved = errno;
    void *ptr = hk_entry_aligned(align, size);
    errno = saved;
    if (ptr == NULL)
        return ENOMEM;
    *memptr = ptr;
    return 0;
}

/* An alignment that is no power of two is rounded up, as glibc does; one that cannot be is EINVAL. */
static inline void *hk_entry_memalign(size_t align, size_t size)
{
    if (align > SIZE_MAX / 2 + 1) {
        errno = EINVAL;
        return NULL;
    }
    if (!hk_is_pow2(align))
        align = align < 2 ? 1 : (size_t)2 << hk_log2(align);
    return hk_entry_aligned(align, size);
}

void *hk_entry_valloc(size_t size);
void *hk_entry_pvalloc(size_t size);

static inline size_t hk_entry_usable_size(const void *ptr)
{
    if (ptr == NULL)
        return 0;
    return HK_TAIL ? hk_hard_size(ptr, "malloc_usable_size") : hk_block_find(ptr, "malloc_usable_size").size;
}

/* A static library gives a program only the objects that something in it names. Whoever enters the allocator by any
 * name needs the process's life (options, fork, exit) too; this is the name. */
extern HK_HIDDEN const char hk_lifecycle_linked;
#define HK_LINK_LIFECYCLE static const char *const hk_link_lifecycle_ __attribute__((used)) = &hk_lifecycle_linked

#endif
