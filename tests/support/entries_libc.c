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

    /* A block of malloc counts in hakmem's statistics, or malloc is somebody else's. */
    struct hak_stats before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
    CHECK(hak_stats(&before) == 0);
    void *block = table.malloc(3000);
    CHECK(hak_stats(&after) == 0);
    table.free(block);
    CHECKF(after.live_blocks == before.live_blocks + 1, "malloc is not hakmem's: live blocks %zu, then %zu",
           before.live_blocks, after.live_blocks);
    return &table;
}
