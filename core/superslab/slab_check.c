/* SPDX-License-Identifier: MIT
 *
 * Are the lists of a slab as long as its counts say? For tests and -Dcheck builds, which link it; it is in no other
 * library.
 */
#include "superslab/slab.h"

static unsigned list_length(const struct hk_slab *slab, const void *block)
{
    unsigned n = 0;
    for (; block != NULL && n <= slab->capacity; block = hk_link_of(block), n++) {
        if (!hk_slab_is_block(slab, block))
            return UINT32_MAX / 4;
    }
    return n;
}

bool hk_slab_check(const struct hk_slab *slab)
{
    unsigned listed = list_length(slab, slab->free) + list_length(slab, slab->spare);
    return slab->carved <= slab->capacity && slab->used + listed == slab->carved && slab->head == 0 &&
           slab->capacity == hk_class_capacity(slab->cls);
}
