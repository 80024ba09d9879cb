/* SPDX-License-Identifier: MIT
 *
 * registry: address -> size class in seven instructions, address -> SuperSlab on slow paths.
 *
 * One window of address space around the first SSArena (1 TiB; 64 GiB where RLIMIT_AS is set) is described by one byte
 * per 64 KiB slab and one pointer per 2 MiB unit. Addresses outside the window, never-covered ones and NULL have class
 * 0; a non-canonical pointer lies outside. Memory that the kernel places outside the window cannot hold slabs. Both
 * tables are one readable mapping; only what covers an arena is made writable, so untouched parts cost nothing,
 * mlockall included.
 *
 * The window is written once, before the first block exists. Codes are written by whoever owns the slab while no block
 * of it is out, so every reader that holds a block got the code with it. Unit entries are written under the pool's
 * lock. Must not know slabs (only their pointer), pools or fronts.
 */
#ifndef HK_SUPERSLAB_REGISTRY_H
#define HK_SUPERSLAB_REGISTRY_H

#include "base/atomic.h"
#include "superslab/size_class.h"

#define HK_SUPERSLAB_SIZE ((size_t)2 * 1024 * 1024)
#define HK_SLABS 32u /* per SuperSlab */
#define HK_WINDOW_MAX ((size_t)1 << 40)
#define HK_UNITS_MAX (HK_WINDOW_MAX / HK_SUPERSLAB_SIZE)

struct hk_superslab;

/* The window. Words of their own and not a structure: each is then one operand of one instruction. */
extern HK_HIDDEN uintptr_t hk_window_base;  /* first address; a multiple of 2 MiB */
extern HK_HIDDEN uintptr_t hk_window_slots; /* length in slabs; 0 before the first arena: everything is outside */
extern HK_HIDDEN _Atomic uint8_t *hk_window_codes;              /* per slab: 2 * class while it is owned, else 0 */
extern HK_HIDDEN struct hk_superslab *_Atomic *hk_window_units; /* per 2 MiB: the SuperSlab there, or NULL */

/* The class is kept doubled: a bin has 16 bytes and an address can be scaled by 8 for nothing. */
static inline unsigned hk_code_of_class(unsigned cls)
{
    return cls * 2;
}

/* False: the address is outside the window. Else *code is the doubled class of the slab it lies in, or 0. */
static HK_ALWAYS_INLINE bool hk_registry_lookup(const void *ptr, unsigned *code)
{
    uintptr_t slot = ((uintptr_t)ptr - hk_window_base) >> 16;
    if (HK_UNLIKELY(slot >= hk_window_slots))
        return false;
    *code = hk_load_relaxed(&hk_window_codes[slot]); /* ordered by whatever gave the caller the block */
    return true;
}

/* The same with 0 for an address outside. */
static inline unsigned hk_registry_code(const void *ptr)
{
    unsigned code;
    return hk_registry_lookup(ptr, &code) ? code : 0;
}

/* The SuperSlab that any address lies in, or NULL. */
static inline struct hk_superslab *hk_registry_superslab(const void *ptr)
{
    uintptr_t slot = ((uintptr_t)ptr - hk_window_base) >> 16;
    if (HK_UNLIKELY(slot >= hk_window_slots))
        return NULL;
    return hk_load_relaxed(&hk_window_units[slot / HK_SLABS]); /* as above */
}

/* Number of the 2 MiB unit of an address inside the window. */
static inline size_t hk_registry_unit(const void *ptr)
{
    return ((uintptr_t)ptr - hk_window_base) / HK_SUPERSLAB_SIZE;
}

/* Makes [ptr, ptr + size) registrable; the first call places the window around it. False: outside the window, or no
 * memory. Caller holds the arena lock. */
bool hk_registry_cover(void *ptr, size_t size);

/* Sets the code of `slabs` neighbouring slabs from `ptr` on. */
void hk_registry_set_code(void *ptr, unsigned slabs, unsigned code);

/* Enters or removes (NULL) the SuperSlab at `ptr`. Caller holds the pool's lock. */
void hk_registry_set_superslab(void *ptr, struct hk_superslab *ss);

/* Bytes of the two tables that were made writable, and the length of their mapping. */
size_t hk_registry_committed(void);
size_t hk_registry_mapped(void *start[1]);

#endif
