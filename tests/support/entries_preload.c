/* SPDX-License-Identifier: MIT
 *
 * The C library's names as the dynamic linker binds them: the program itself knows nothing of hakmem.
 */
#include "check.h"
#include "entries.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* dlsym gives an object pointer; POSIX lets it be read as a function pointer. */
static void bind(void *slot, const char *name, bool required)
{
    void *address = dlsym(RTLD_DEFAULT, name);
    CHECKF(address || !required, "no symbol %s", name);
    memcpy(slot, &address, sizeof(address));
}

const struct entries *entries_get(void)
{
    static struct entries table = {.kind = "preload"};

    const char *reference = getenv("HK_TEST_REFERENCE");
    table.is_hakmem = !(reference && reference[0] == '1');
    CHECKF(dlsym(RTLD_DEFAULT, "hak_version") || !table.is_hakmem, "libhakmem is not preloaded");

    bind(&table.malloc, "malloc", true);
    bind(&table.calloc, "calloc", true);
    bind(&table.realloc, "realloc", true);
    bind(&table.reallocarray, "reallocarray", true);
    bind(&table.free, "free", true);
    bind(&table.aligned_alloc, "aligned_alloc", true);
    bind(&table.posix_memalign, "posix_memalign", true);
    bind(&table.memalign, "memalign", true);
    bind(&table.valloc, "valloc", true);
    bind(&table.pvalloc, "pvalloc", true);
    bind(&table.usable_size, "malloc_usable_size", true);
    bind(&table.trim, "malloc_trim", true);
    bind(&table.free_sized, "free_sized", table.is_hakmem);
    bind(&table.free_aligned_sized, "free_aligned_sized", table.is_hakmem);
    return &table;
}
