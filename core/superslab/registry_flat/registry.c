/* SPDX-License-Identifier: MIT */
#include "superslab/registry.h"

#include "os/os.h"

uintptr_t hk_flat_slots HK_ALIGNED(HK_CACHE_LINE);
_Atomic uint8_t *hk_flat_codes;

static bool decided;  /* whether there is a table; guarded by the pool's lock, as is the next one */
static uintptr_t end; /* of the last page of it that is committed; 0: none is */

/* A block's code must not move: it is decided once, before the first one exists. */
static void reserve_table(void)
{
    size_t limit = hk_os_address_limit();
    decided = true;
    if (limit != SIZE_MAX && HK_FLAT_SLOTS > limit / 8)
        return;
    hk_flat_codes = hk_os_reserve_readable(HK_FLAT_SLOTS);
    hk_flat_slots = hk_flat_codes != NULL ? HK_FLAT_SLOTS : 0;
}

/* SuperSlabs come in any order, so all is committed from the base of the space on: 16 KiB for each GiB. */
static bool commit_up_to(uintptr_t last)
{
    uintptr_t page = hk_os_page_size();
    uintptr_t first = (uintptr_t)&hk_flat_codes[hk_space_base / HK_SLAB_SIZE];
    uintptr_t from = hk_max(hk_align_down(first, page), end);
    uintptr_t to = hk_align_up((uintptr_t)&hk_flat_codes[last / HK_SLAB_SIZE], page);
    if (from >= to)
        return true;
    if (!hk_os_commit((void *)from, to - from))
        return false;
    end = to;
    return true;
}

bool hk_registry_cover(void *ptr, size_t size)
{
    if (!hk_leaf_cover(ptr, size))
        return false;
    if (!decided)
        reserve_table();
    return hk_flat_slots == 0 || commit_up_to((uintptr_t)ptr + size);
}

void hk_registry_set_code(void *ptr, unsigned slabs, unsigned code)
{
    if (HK_UNLIKELY(hk_flat_slots == 0)) {
        hk_leaf_set_code(ptr, slabs, code);
        return;
    }
    uintptr_t slot = (uintptr_t)ptr / HK_SLAB_SIZE;
    for (unsigned i = 0; i < slabs; i++)
        hk_store_relaxed(&hk_flat_codes[slot + i], (uint8_t)code); /* handed over with the slab's blocks */
}

void hk_registry_visit(void (*visit)(void *ctx, void *start, size_t size), void *ctx)
{
    hk_leaf_visit(visit, ctx);
    if (hk_flat_slots != 0)
        visit(ctx, (void *)hk_flat_codes, hk_flat_slots);
}
