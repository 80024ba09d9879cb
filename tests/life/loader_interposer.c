/* SPDX-License-Identifier: MIT
 *
 * A library that stands before the loader's dlsym, dlopen and dlmopen, as overlays for games and tracers do: each
 * finds the next of its name in its first call, as they do, and goes on to it by a call of its own, so that who comes
 * next sees this library in the place of who asked. Counts its calls; see loader_interposed.c.
 */
#include "loader_interposer.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>

_Atomic unsigned loader_interposer_calls[LOADER_INTERPOSER_NAMES];

typedef void *find_function(void *library, const char *name);
typedef void *find_version_function(void *library, const char *name, const char *version);

static void *count(enum loader_interposer_name name, void *result)
{
    loader_interposer_calls[name]++; /* behind the call, which is no jump then */
    return result;
}

/* What cannot be asked for by dlsym is asked for by a version: of the C library's, one is there. */
static void *find_by_version(const char *name)
{
    static const char versions[][12] = {"GLIBC_2.34", "GLIBC_2.17", "GLIBC_2.2.5"};
    void *found = NULL;
    for (size_t i = 0; found == NULL && i < sizeof versions / sizeof versions[0]; i++)
        found = dlvsym(RTLD_NEXT, name, versions[i]);
    return found;
}

void *dlsym(void *library, const char *name)
{
    static find_function *next;
    if (next == NULL)
        next = (find_function *)find_by_version("dlsym");
    if (next == NULL)
        abort();
    return count(LOADER_INTERPOSER_dlsym, next(library, name));
}

void *dlopen(const char *file, int mode)
{
    static void *(*next)(const char *, int);
    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "dlopen");
    return count(LOADER_INTERPOSER_dlopen, next(file, mode));
}

void *dlmopen(Lmid_t space, const char *file, int mode)
{
    static void *(*next)(Lmid_t, const char *, int);
    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "dlmopen");
    return count(LOADER_INTERPOSER_dlmopen, next(space, file, mode));
}
