/* SPDX-License-Identifier: MIT
 *
 * dlopen and dlmopen without RTLD_DEEPBIND. A library that is opened with it looks for malloc and free in the C library
 * before it looks here: it would hand our blocks to the C library's free, and the program the C library's to ours.
 * php-fpm and Apache's PHP open their extensions so. Here it binds as without the flag, in the order of the whole
 * program. In another namespace (dlmopen) there is another C library, and the flag stays.
 *
 * The next dlopen is called last, by a jump: the loader takes the return address for who asks, and looks where that
 * one's RUNPATH says. In libhakmem.so only: a program without a loader has no next dlopen. Synchronised by the loader.
 *
 * Which one is the next the C library's own dlsym says. One of another library that stands before us would ask for the
 * next behind itself: that is us again.
 */
#include "api/override_loader.h"
#include "base/atomic.h"

#include <dlfcn.h>
#include <stddef.h>

typedef void *open_function(const char *file, int mode);
typedef void *open_in_space_function(Lmid_t space, const char *file, int mode);

/* Relaxed: threads that race find the same function. */
static _Atomic(open_function *) next_dlopen;
static _Atomic(open_in_space_function *) next_dlmopen;

static HK_NOINLINE void *find_next(const char *name)
{
    hk_find_function *find = hk_loader_own_dlsym();
    return find != NULL ? find(RTLD_NEXT, name) : NULL;
}

static open_function *find_next_dlopen(void)
{
    open_function *found = (open_function *)find_next("dlopen");
    hk_store_relaxed(&next_dlopen, found);
    return found;
}

static open_in_space_function *find_next_dlmopen(void)
{
    open_in_space_function *found = (open_in_space_function *)find_next("dlmopen");
    hk_store_relaxed(&next_dlmopen, found);
    return found;
}

HK_EXPORT void *dlopen(const char *file, int mode)
{
    open_function *next = hk_load_relaxed(&next_dlopen);
    if (HK_UNLIKELY(next == NULL) && (next = find_next_dlopen()) == NULL)
        return NULL; /* dlerror says why, where there was one to ask */
    return next(file, mode & ~RTLD_DEEPBIND);
}

HK_EXPORT void *dlmopen(Lmid_t space, const char *file, int mode)
{
    open_in_space_function *next = hk_load_relaxed(&next_dlmopen);
    if (HK_UNLIKELY(next == NULL) && (next = find_next_dlmopen()) == NULL)
        return NULL;
    return next(space, file, space == LM_ID_BASE ? mode & ~RTLD_DEEPBIND : mode);
}
