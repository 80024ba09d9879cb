/* SPDX-License-Identifier: MIT
 *
 * block: asks what a pointer is, once for each slow path: of a slab, the side box, a run, a huge block, or none, which
 * is said at once. Included by front/ANY.c, front/hardened/ANY.c and
 * api/entry.h only.
 *
 * Any thread, outside the gate. Takes no lock but where nothing is found at first. Must not know what for.
 */
#ifndef HK_FRONT_BLOCK_H
#define HK_FRONT_BLOCK_H

#include "front/wrong.h"
#include "superslab/block.h"
#include "superslab/slab.h"

/* A pointer whose code is 0, without a message: HK_BLOCK_NONE where others' work leads the search for a huge block
 * astray, too; and for guarded blocks.
 */
struct hk_block hk_block_find_large(const void *ptr);

/* The slab of a live block; NULL after a message. The code of ptr is not 0. What was handed out lies before the tail.
 */
static inline struct hk_slab *hk_block_slab(const void *ptr, const char *verb)
{
    struct hk_slab *slab = hk_slab_of(ptr);
    size_t offset = (size_t)((const char *)ptr - hk_slab_base(slab));
    if (HK_LIKELY(offset < hk_slab_length_out(slab) && hk_class_divides(slab->cls, offset) && !hk_slab_is_marked(ptr)))
        return slab;
    hk_wrong_in_slab(ptr, slab, verb);
    return NULL;
}

/* The rest of hk_block_find: such a pointer, with a message. */
HK_NOINLINE struct hk_block hk_block_find_outside(const void *ptr, const char *verb);

/* Any pointer but NULL. HK_BLOCK_NONE after a message, in which `verb` is who asks. */
static inline struct hk_block hk_block_find(const void *ptr, const char *verb)
{
    if (HK_UNLIKELY(hk_registry_code(ptr) == 0))
        return hk_block_find_outside(ptr, verb);
    const struct hk_slab *slab = hk_block_slab(ptr, verb);
    enum hk_block_kind kind = slab != NULL ? HK_BLOCK_SLAB : HK_BLOCK_NONE;
    return (struct hk_block){kind, (void *)(uintptr_t)ptr, slab != NULL ? slab->block_size : 0};
}

#endif
