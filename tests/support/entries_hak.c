/* SPDX-License-Identifier: MIT
 *
 * The hak_ names.
 */
#include "entries.h"

#include <hakmem/hakmem.h>

static size_t usable_size(void *block)
{
    return hak_malloc_usable_size(block);
}

const struct entries *entries_get(void)
{
    static const struct entries table = {
        .kind = "hak",
        .malloc = hak_malloc,
        .calloc = hak_calloc,
        .realloc = hak_realloc,
        .reallocarray = hak_reallocarray,
        .free = hak_free,
        .aligned_alloc = hak_aligned_alloc,
        .posix_memalign = hak_posix_memalign,
        .memalign = hak_memalign,
        .valloc = hak_valloc,
        .pvalloc = hak_pvalloc,
        .usable_size = usable_size,
        .trim = hak_trim,
        .free_sized = hak_free_sized,
        .free_aligned_sized = hak_free_aligned_sized,
        .is_hakmem = true,
    };
    return &table;
}
