/* SPDX-License-Identifier: MIT
 *
 * block: asks what a pointer is, once for each slow path: of a slab, the side box, a run, a huge block, or none, which
 * is said at once. Included by front/ANY.c and api/entry.h only.
 *
 * Any thread, outside the gate. Takes no lock but where nothing is found at first. Must not know what for.
 */
#ifndef HK_FRONT_BLOCK_H
#define HK_FRONT_BLOCK_H

#include "front/wrong.h"
#include "superslab/block.h"
#include "superslab/slab.h"

/* Any pointer but NULL. HK_BLOCK_NONE after a message, in which `verb` is who asks. */
struct hk_block hk_block_find(const void *ptr, const char *verb);

/* The same of a pointer whose code is 0, without a message: none is found where others' work leads the search for a
 * huge block astray, too. */
struct hk_block hk_block_find_large(const void *ptr);

/* The slab of a live block; NULL after a message. The code of ptr is not 0. */
static inline struct hk_slab *hk_block_slab(const void *ptr, const char *verb)
{
    struct hk_slab *slab = hk_slab_of(ptr);
    if (HK_LIKELY(hk_slab_is_block(slab, ptr) && hk_slab_was_out(slab, ptr) && !hk_slab_is_marked(ptr)))
        return slab;
    hk_wrong_in_slab(ptr, slab, verb);
    return NULL;
}

#endif
