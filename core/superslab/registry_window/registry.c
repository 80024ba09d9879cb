/* SPDX-License-Identifier: MIT */
#include "superslab/registry.h"

uintptr_t hk_window_base HK_ALIGNED(HK_CACHE_LINE) = (uintptr_t)1 << 63;
uintptr_t hk_window_slots;
_Atomic uint8_t *hk_window_codes;
struct hk_superslab *_Atomic *hk_window_units;

/* The first code does not lie at the start of a page, where slabs have their first blocks: a processor that compares
 * addresses within a page only would make the look at a code wait for what was just written to the block. */
#define COLOUR 2112u

static struct hk_table codes, units; /* guarded by the pool's lock */

static void set_up(void)
{
    hk_poke(&hk_window_base, hk_space_base);
    hk_window_codes = (_Atomic uint8_t *)codes.start + COLOUR;
    hk_window_units = (struct hk_superslab * _Atomic *)(void *)units.start;
}

bool hk_registry_cover(void *ptr, size_t size)
{
    size_t end = (uintptr_t)ptr + size - hk_space_base, slots = hk_window_slots;
    if ((uintptr_t)ptr < hk_space_base || end > HK_SPACE_MOST ||
        !hk_table_reach(&codes, HK_TABLE_CODES, end / HK_SLAB_SIZE + COLOUR) ||
        !hk_table_reach(&units, HK_TABLE_UNITS, end / HK_UNIT_SIZE * sizeof(void *)))
        return false;
    if (slots == 0)
        set_up();
    if (end / HK_SLAB_SIZE > slots) /* pairs with what hands a block over */
        hk_store_release((_Atomic uintptr_t *)&hk_window_slots, end / HK_SLAB_SIZE);
    return true;
}

void hk_registry_set_code(void *ptr, unsigned slabs, unsigned code)
{
    uintptr_t slot = ((uintptr_t)ptr - hk_window_base) / HK_SLAB_SIZE;
    for (unsigned i = 0; i < slabs; i++)
        hk_store_relaxed(&hk_window_codes[slot + i], (uint8_t)code); /* handed over with the slab's blocks */
}

void hk_registry_set_superslab(void *ptr, struct hk_superslab *ss)
{
    hk_store_relaxed(&hk_window_units[hk_registry_unit(ptr)], ss); /* handed over with the slab's blocks */
}

void hk_registry_visit(void (*visit)(void *ctx, void *start, size_t size), void *ctx)
{
    hk_table_visit(&codes, visit, ctx);
    hk_table_visit(&units, visit, ctx);
}
