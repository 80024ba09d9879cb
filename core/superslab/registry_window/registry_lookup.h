/* SPDX-License-Identifier: MIT
 *
 * registry, window: the inline part, seven instructions. Included by registry.h only.
 *
 * One window of address space around the first SSArena (1 TiB; 64 GiB where RLIMIT_AS is set) is described by one byte
 * per slab and one pointer per unit. A non-canonical pointer lies outside. Memory that the kernel places outside the
 * window cannot hold slabs. Both tables are one readable mapping; only what covers an arena is made writable, so
 * untouched parts cost nothing, mlockall included. The window is written once, before the first block exists.
 */
#ifndef HK_SUPERSLAB_REGISTRY_LOOKUP_H
#define HK_SUPERSLAB_REGISTRY_LOOKUP_H

#define HK_WINDOW_MAX ((size_t)1 << 40)
#define HK_UNITS_MAX (HK_WINDOW_MAX / HK_SUPERSLAB_SIZE)

/* The window. Words of their own and not a structure: each is then one operand of one instruction. */
extern HK_HIDDEN uintptr_t hk_window_base;  /* first address; a multiple of 2 MiB */
extern HK_HIDDEN uintptr_t hk_window_slots; /* length in slabs; 0 before the first arena: everything is outside */
extern HK_HIDDEN _Atomic uint8_t *hk_window_codes;              /* per slab: 2 * class while it is owned, else 0 */
extern HK_HIDDEN struct hk_superslab *_Atomic *hk_window_units; /* per 2 MiB: the SuperSlab there, or NULL */

static HK_ALWAYS_INLINE bool hk_registry_lookup(const void *ptr, unsigned *code)
{
    uintptr_t slot = ((uintptr_t)ptr - hk_window_base) >> 16;
    if (HK_UNLIKELY(slot >= hk_window_slots))
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
    uintptr_t slot = ((uintptr_t)ptr - hk_window_base) >> 16;
    if (HK_UNLIKELY(slot >= hk_window_slots))
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

#endif
