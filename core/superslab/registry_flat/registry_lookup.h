/* SPDX-License-Identifier: MIT
 *
 * registry, flat: the inline part, six instructions. Included by superslab/registry.h only.
 *
 * One byte per 64 KiB of the whole address space: 2 GiB of readable reservation (4 GiB where addresses have 48 bits),
 * of which only what covers our units is made writable. SuperSlabs are found through leaves. Where the reservation is
 * refused, or would be more than an eighth of RLIMIT_AS, codes are found through leaves too: the fast path then finds
 * an empty table and every free takes the slow path, which is right and slower.
 */
#ifndef HK_SUPERSLAB_REGISTRY_LOOKUP_H
#define HK_SUPERSLAB_REGISTRY_LOOKUP_H

#include "superslab/registry_leaf.h"

#define HK_FLAT_SLOTS ((uintptr_t)1 << (HK_ADDRESS_BITS - 16))

/* Written once, before the first block exists. */
extern HK_HIDDEN uintptr_t hk_flat_slots;        /* HK_FLAT_SLOTS; 0 before the first unit, and without the table */
extern HK_HIDDEN _Atomic uint8_t *hk_flat_codes; /* per slab: 2 * class while it is owned, else 0 */

/* False: no address, or there is no table. */
static HK_ALWAYS_INLINE bool hk_registry_lookup(const void *ptr, unsigned *code)
{
    uintptr_t slot = (uintptr_t)ptr >> 16;
    if (HK_UNLIKELY(slot >= hk_flat_slots))
        return false;
    *code = hk_load_relaxed(&hk_flat_codes[slot]); /* ordered by whatever gave the caller the block */
    return true;
}

static inline unsigned hk_registry_code(const void *ptr)
{
    unsigned code;
    if (HK_LIKELY(hk_registry_lookup(ptr, &code)))
        return code;
    return hk_flat_slots == 0 && hk_leaf_reaches(ptr) ? hk_leaf_code(ptr) : 0;
}

static inline const void *hk_registry_base_at(void)
{
    return NULL;
}

#endif
