/* SPDX-License-Identifier: MIT
 *
 * Asks the C library by its handle for malloc and its like, as ctypes.CDLL("libc.so.6") does: they have to take what
 * the C library itself handed out, and the program's blocks. RTLD_NEXT and RTLD_DEFAULT still know who asks.
 */
#include "check.h"

#include <dlfcn.h>
#include <gnu/lib-names.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *libc;

static void bind(const char *name, void *slot)
{
    void *address = dlsym(libc, name);
    CHECKF(address, "no %s: %s", name, dlerror());
    memcpy(slot, &address, sizeof address);
}

static void exchange(void)
{
    void (*give_back)(void *);
    void *(*make)(size_t), *(*resize)(void *, size_t), *(*zeroed)(size_t, size_t);
    int (*aligned)(void **, size_t, size_t);
    char *(*copy)(const char *);
    size_t (*usable)(void *);
    bind("free", &give_back);
    bind("malloc", &make);
    bind("realloc", &resize);
    bind("calloc", &zeroed);
    bind("posix_memalign", &aligned);
    bind("strdup", &copy);
    bind("malloc_usable_size", &usable);
    for (size_t size = 1; size < 100000000; size *= 7) {
        void *block;
        give_back(malloc(size));
        free(make(size));
        free(resize(malloc(size), size + 100));
        free(zeroed(size, 1));
        CHECK(aligned(&block, 64, size) == 0 && (uintptr_t)block % 64 == 0 && usable(block) >= size);
        CHECK(malloc_usable_size(block) == usable(block));
        free(block);
    }
    give_back(copy("text"));
    free(copy("text"));
}

int main(void)
{
    check_watchdog(60);
    libc = dlopen(LIBC_SO, RTLD_NOW | RTLD_NOLOAD);
    CHECKF(libc, "%s", dlerror());
    exchange();
    CHECK(dlsym(libc, "no_such_name") == NULL && strstr(dlerror(), "no_such_name"));
    CHECK(dlerror() == NULL);
    CHECK(dlsym(RTLD_DEFAULT, "strchr") != NULL && dlsym(RTLD_DEFAULT, "malloc") == (void *)malloc);
    /* The next library behind this program is hakmem; behind hakmem it is the C library. */
    CHECK(dlsym(RTLD_NEXT, "dlsym") == (void *)dlsym);
    CHECK(dlsym(RTLD_NEXT, "malloc") == (void *)malloc);
    /* Another namespace keeps its own. */
    void *other = dlmopen(LM_ID_NEWLM, LIBC_SO, RTLD_NOW);
    if (other != NULL) {
        CHECK(dlsym(other, "malloc") != NULL && dlsym(other, "malloc") != (void *)malloc);
        CHECK(dlsym(other, "malloc") != dlsym(libc, "malloc"));
    }
    return 0;
}
