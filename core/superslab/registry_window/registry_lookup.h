/* SPDX-License-Identifier: MIT
 *
 * registry, window: the inline part, seven instructions. Included by superslab/registry.h only.
 *
 * One byte per slab and one pointer per unit describe the window of addresses from the first unit on to the last that
 * was covered; both are tables that grow where they are (pages/space.h). A non-canonical pointer lies outside, as
 * does a foreign one but for what others have mapped between our units, which has code 0.
 */
#ifndef HK_SUPERSLAB_REGISTRY_LOOKUP_H
#define HK_SUPERSLAB_REGISTRY_LOOKUP_H

#define HK_UNITS_MAX HK_SPACE_UNITS

/* The window. Words of their own and not a structure, and plain ones: each is then one operand of one instruction. All
 * but the length are written once, before the first block exists. The length grows by atomic stores, and is read at any
 * time: whoever has a block there sees its slab in it, and for all other addresses the old one is as good as the new.
 */
extern HK_HIDDEN uintptr_t hk_window_base;         /* first address; a multiple of 2 MiB. Beyond all addresses at first:
                                                      a free of NULL that sees the length only is outside too */
extern HK_HIDDEN uintptr_t hk_window_slots;        /* length in slabs; 0 before the first unit: everything is outside */
extern HK_HIDDEN _Atomic uint8_t *hk_window_codes; /* per slab: 2 * class while it is owned, else 0 */
extern HK_HIDDEN struct hk_superslab *_Atomic *hk_window_units; /* per 2 MiB: the SuperSlab there, or NULL */

static HK_ALWAYS_INLINE bool hk_registry_lookup(const void *ptr, unsigned *code)
{
    uintptr_t slot = ((uintptr_t)ptr - HK_OPERAND(hk_window_base)) >> 16;
    if (HK_UNLIKELY(slot >= HK_OPERAND(hk_window_slots)))
        return false;
    *code = hk_load_relaxed(&hk_window_codes[slot]); /* ordered by whatever gave the caller the block */
    return true;
}

static inline unsigned hk_registry_code(const void *ptr)
{
    unsigned code;
    return hk_registry_lookup(ptr, &code) ? code : 0;
}

static inline struct hk_superslab *hk_registry_superslab(const void *ptr)
{
    uintptr_t slot = ((uintptr_t)ptr - HK_OPERAND(hk_window_base)) >> 16;
    if (HK_UNLIKELY(slot >= HK_OPERAND(hk_window_slots)))
        return NULL;
    return hk_load_relaxed(&hk_window_units[slot / HK_SLABS]); /* as above */
}

static inline size_t hk_registry_unit(const void *ptr)
{
    return ((uintptr_t)ptr - hk_window_base) / HK_SUPERSLAB_SIZE;
}

static inline struct hk_superslab *hk_registry_superslab_at(size_t unit)
{
    return hk_load_relaxed(&hk_window_units[unit]); /* as above; or by the pool's lock */
}

static inline const void *hk_registry_base_at(void)
{
    return &hk_window_base;
}

#endif
