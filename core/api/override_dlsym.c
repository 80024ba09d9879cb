/* SPDX-License-Identifier: MIT
 *
 * dlsym, for who asks the C library by its handle for malloc, free and their like, as bindings of other languages do
 * (Python's ctypes.CDLL("libc.so.6").free). They are answered ours: what strdup and the rest of the C library hand out
 * is of ours. The C library of another namespace (dlmopen) has other addresses, and is told apart by them.
 *
 * Where the answer depends on who asks (RTLD_NEXT, RTLD_DEFAULT) the next dlsym is called last, by a jump, so that it
 * sees who that is. In libhakmem.so only, as override_dlopen.c, and the next is found as there. Synchronised by the
 * loader.
 */
#include "api/override_loader.h"
#include "base/atomic.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *ptr);

/* Who makes or takes blocks. Questions and switches (malloc_trim) do no harm at the C library's. */
static const struct {
    char name[24];
    void *ours;
} family[] = {
    {"malloc", malloc},
    {"free", free},
    {"calloc", calloc},
    {"realloc", realloc},
    {"reallocarray", reallocarray},
    {"memalign", memalign},
    {"posix_memalign", posix_memalign},
    {"aligned_alloc", aligned_alloc},
    {"valloc", valloc},
    {"pvalloc", pvalloc},
    {"malloc_usable_size", malloc_usable_size},
    {"__libc_malloc", __libc_malloc},
    {"__libc_free", __libc_free},
    {"__libc_calloc", __libc_calloc},
    {"__libc_realloc", __libc_realloc},
    {"__libc_memalign", __libc_memalign},
};

static void *ours_of(const char *name)
{
    for (size_t i = 0; i < sizeof family / sizeof family[0]; i++) {
        if (strcmp(name, family[i].name) == 0)
            return family[i].ours;
    }
    return NULL;
}

static HK_NOINLINE hk_find_function *find_next_dlsym(void)
{
    static _Atomic(hk_find_function *) next;
    hk_find_function *found = hk_load_relaxed(&next), *own; /* threads that race find the same function */
    if (HK_UNLIKELY(found == NULL) && (own = hk_loader_own_dlsym()) != NULL) {
        found = (hk_find_function *)own(RTLD_NEXT, "dlsym");
        hk_store_relaxed(&next, found);
    }
    return found;
}

static HK_NOINLINE void *find_in_library(hk_find_function *next, void *library, const char *name, void *ours)
{
    void *found = next(library, name);
    return found != NULL && found == hk_loader_own(name) ? ours : found;
}

HK_EXPORT void *dlsym(void *library, const char *name)
{
    hk_find_function *next = find_next_dlsym();
    if (HK_UNLIKELY(next == NULL))
        return NULL; /* the C library's tables are none that we know */
    void *ours = library != RTLD_DEFAULT && library != RTLD_NEXT ? ours_of(name) : NULL;
    return ours != NULL ? find_in_library(next, library, name, ours) : next(library, name);
}
