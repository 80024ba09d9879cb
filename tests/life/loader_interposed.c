/* SPDX-License-Identifier: MIT
 *
 * loader_interposed FILE: opens libraries and asks for names beside a library that stands before the loader's
 * functions, too (loader_interposer.c), preloaded before hakmem or behind it. Each call reaches both, and comes to an
 * end. FILE is deep_bound.c's library.
 */
#include "loader_interposer.h"

#include "check.h"
#include "deep_bound.h"

#include <dlfcn.h>
#include <gnu/lib-names.h>
#include <stdlib.h>
#include <string.h>

static struct deep_bound *look(void *library)
{
    CHECKF(library, "%s", dlerror());
    struct deep_bound *bound = dlsym(library, "deep_bound");
    CHECKF(bound, "%s", dlerror());
    return bound;
}

/* It has the program's malloc, though it was opened with RTLD_DEEPBIND. */
static void exchange(struct deep_bound *library)
{
    library->give_back(malloc(100));
    free(library->make(100));
    free(library->copy("text"));
    free(library->made);
}

int main(int count, char **arguments)
{
    check_watchdog(60);
    CHECK(count == 2);
    void *library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    exchange(look(library));
    CHECK(dlclose(library) == 0);
    library = dlmopen(LM_ID_BASE, arguments[1], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    exchange(look(library));
    CHECK(dlclose(library) == 0);

    void *libc = dlopen(LIBC_SO, RTLD_NOW | RTLD_NOLOAD);
    CHECK(libc != NULL && dlsym(libc, "strchr") != NULL && dlsym(RTLD_DEFAULT, "malloc") == (void *)malloc);
    CHECK(dlsym(libc, "no_such_name") == NULL && strstr(dlerror(), "no_such_name"));
    CHECK(dlopen("no-such-library.so", RTLD_NOW) == NULL && strstr(dlerror(), "no-such-library.so"));

    CHECK(loader_interposer_calls[LOADER_INTERPOSER_dlsym] >= 6);
    CHECK(loader_interposer_calls[LOADER_INTERPOSER_dlopen] == 3);
    CHECK(loader_interposer_calls[LOADER_INTERPOSER_dlmopen] == 1);
    return 0;
}
