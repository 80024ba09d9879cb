/* SPDX-License-Identifier: MIT */
#include "superslab/registry.h"

#include "os/os.h"

uintptr_t hk_window_base HK_ALIGNED(HK_CACHE_LINE);
uintptr_t hk_window_slots;
_Atomic uint8_t *hk_window_codes;
struct hk_superslab *_Atomic *hk_window_units;

static size_t committed, mapped; /* guarded by the arena lock */

static bool place_window(void *anchor)
{
    size_t window = hk_os_address_limit() == SIZE_MAX ? HK_WINDOW_MAX : HK_WINDOW_MAX / 16;
    size_t codes = window / HK_SLAB_SIZE;
    size_t units = window / HK_SUPERSLAB_SIZE * sizeof(void *);
    char *table = hk_os_reserve_readable(codes + units);
    if (table == NULL)
        return false;
    uintptr_t middle = hk_align_down((uintptr_t)anchor, HK_SUPERSLAB_SIZE);
    hk_window_base = middle > window / 2 ? middle - window / 2 : 0;
    hk_window_codes = (_Atomic uint8_t *)table;
    hk_window_units = (struct hk_superslab * _Atomic *)(void *)(table + codes);
    hk_window_slots = codes;
    mapped = codes + units;
    return true;
}

static bool commit_part(void *start, size_t size)
{
    uintptr_t page = hk_os_page_size();
    uintptr_t from = hk_align_down((uintptr_t)start, page);
    uintptr_t to = hk_align_up((uintptr_t)start + size, page);
    committed += to - from;
    return hk_os_commit((void *)from, to - from);
}

bool hk_registry_cover(void *ptr, size_t size)
{
    if (hk_window_slots == 0 && !place_window(ptr))
        return false;
    uintptr_t slot = ((uintptr_t)ptr - hk_window_base) / HK_SLAB_SIZE;
    uintptr_t slots = size / HK_SLAB_SIZE;
    if (slot >= hk_window_slots || slots > hk_window_slots - slot)
        return false;
    return commit_part((void *)&hk_window_codes[slot], slots) &&
           commit_part((void *)&hk_window_units[slot / HK_SLABS], slots / HK_SLABS * sizeof(void *));
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

size_t hk_registry_committed(void)
{
    return committed;
}

void hk_registry_visit(void (*visit)(void *ctx, void *start, size_t size), void *ctx)
{
    if (mapped != 0)
        visit(ctx, (void *)hk_window_codes, mapped);
}
