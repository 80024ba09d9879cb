/* SPDX-License-Identifier: MIT
 *
 * What is said of a pointer that is no live block.
 */
#include "front/wrong.h"

#include "base/assert.h"
#include "box/huge.h"
#include "box/side.h"
#include "superslab/slab.h"
#include "superslab/ss_arena.h"

void hk_wrong_unknown(const void *ptr, const char *verb)
{
    struct hk_run run = hk_arena_find(ptr);
    struct hk_superslab *ss = hk_registry_superslab(ptr);
    size_t size;
    void *start;
    if (run.kind == HK_RUN_INTERIOR) {
        hk_misuse(HK_MISUSE_INTERIOR, verb, ptr, run.start, run.pages * HK_PAGE);
    } else if (run.kind == HK_RUN_FREED && (uintptr_t)ptr % HK_PAGE == 0) {
        hk_misuse(HK_MISUSE_DOUBLE_FREE, verb, ptr, NULL, 0);
    } else if (run.kind == HK_RUN_SUPERSLAB && ss != NULL) {
        struct hk_slab *slab = hk_slab_of(ptr);
        bool was_block = slab->block_size != 0 && hk_slab_is_block(slab, ptr);
        hk_misuse(was_block ? HK_MISUSE_DOUBLE_FREE : HK_MISUSE_INVALID, verb, ptr, NULL, slab->block_size);
    } else if (hk_side_has(ptr) && (uintptr_t)ptr % 16 == 0) {
        hk_misuse(HK_MISUSE_DOUBLE_FREE, verb, ptr, NULL, 0); /* or inside a block: nobody knows */
    } else if ((start = hk_huge_around(ptr, &size)) != NULL) {
        hk_misuse(HK_MISUSE_INTERIOR, verb, ptr, start, size);
    } else {
        hk_misuse(HK_MISUSE_INVALID, verb, ptr, NULL, 0);
    }
}

void hk_wrong_in_slab(const void *ptr, const struct hk_slab *slab, const char *verb)
{
    size_t offset = (size_t)((const char *)ptr - hk_slab_base(slab));
    const char *start = (const char *)ptr - offset % slab->block_size;
    if (hk_slab_is_block(slab, ptr))
        hk_misuse(HK_MISUSE_DOUBLE_FREE, verb, ptr, NULL, slab->block_size);
    else if (offset / slab->block_size >= slab->capacity)
        hk_misuse(HK_MISUSE_INVALID, verb, ptr, NULL, 0);
    else
        hk_misuse(HK_MISUSE_INTERIOR, verb, ptr, start, slab->block_size);
}
