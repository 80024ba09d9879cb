/* SPDX-License-Identifier: MIT
 *
 * The C library's names, bound by the linker to libhakmem.
 */
#include "check.h"
#include "entries.h"

#include <hakmem/hakmem.h>
#include <malloc.h>
#include <stdlib.h>

const struct entries *entries_get(void)
{
    static const struct entries table = {
        .kind = "libc",
        .malloc = malloc,
        .calloc = calloc,
        .realloc = realloc,
        .reallocarray = reallocarray,
        .free = free,
        .aligned_alloc = aligned_alloc,
        .posix_memalign = posix_memalign,
        .memalign = memalign,
        .valloc = valloc,
        .pvalloc = pvalloc,
        .usable_size = malloc_usable_size,
        .trim = malloc_trim,
        .free_sized = free_sized,
        .free_aligned_sized = free_aligned_sized,
        .is_hakmem = true,
    };

    /* Ends here with a line when malloc is somebody else's: then the block is unknown to hakmem. */
    void *block = table.malloc(3000);
    CHECK(hak_malloc_usable_size(block) >= 3000);
    table.free(block);
    return &table;
}
