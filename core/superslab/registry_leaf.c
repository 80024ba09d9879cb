/* SPDX-License-Identifier: MIT */
#include "os/os.h"
#include "superslab/registry.h"

/* Under RLIMIT_AS address space is scarce, and no heap can have more than what 64 leaves describe. */
#define LEAVES_LIMITED 64u

static struct hk_leaf zeros; /* never written */

_Atomic uint32_t hk_leaf_root[(size_t)1 << (HK_ADDRESS_BITS - HK_LEAF_SPAN_BITS)];
char *_Atomic hk_leaves = (char *)&zeros;

static unsigned count, most; /* leaves in use, that of zeros included, and reserved; guarded by the arena lock */
static size_t committed;     /* as above */

static bool reserve_leaves(void)
{
    if (count != 0)
        return true;
    most = hk_os_address_limit() == SIZE_MAX ? HK_LEAVES_MAX : LEAVES_LIMITED;
    char *leaves = hk_os_reserve_readable(most * sizeof(struct hk_leaf));
    if (leaves == NULL)
        return false;
    hk_store_relaxed(&hk_leaves, leaves); /* seen by whoever sees an offset */
    count = 1;
    return true;
}

/* Kernel pages may be longer than a leaf: a part of the neighbour is then committed with it. */
static bool commit_leaf(unsigned number)
{
    uintptr_t page = hk_os_page_size();
    uintptr_t leaf = (uintptr_t)hk_load_relaxed(&hk_leaves) + number * sizeof(struct hk_leaf);
    uintptr_t from = hk_align_down(leaf, page), to = hk_align_up(leaf + sizeof(struct hk_leaf), page);
    if (!hk_os_commit((void *)from, to - from))
        return false;
    committed += to - from;
    return true;
}

static bool new_leaf(uintptr_t gib)
{
    if (count == most || !commit_leaf(count))
        return false;
    hk_store_release(&hk_leaf_root[gib], (uint32_t)(count * sizeof(struct hk_leaf))); /* pairs with hk_leaf_of */
    count++;
    return true;
}

bool hk_leaf_cover(void *ptr, size_t size)
{
    uintptr_t first = (uintptr_t)ptr >> HK_LEAF_SPAN_BITS, last = ((uintptr_t)ptr + size - 1) >> HK_LEAF_SPAN_BITS;
    if (last >= HK_COUNT(hk_leaf_root) || !reserve_leaves())
        return false;
    for (uintptr_t gib = first; gib <= last; gib++) {
        if (hk_load_relaxed(&hk_leaf_root[gib]) == 0 && !new_leaf(gib)) /* written under the lock we hold */
            return false;
    }
    return true;
}

void hk_leaf_set_code(void *ptr, unsigned slabs, unsigned code)
{
    struct hk_leaf *leaf = hk_leaf_of(ptr);
    for (unsigned i = 0; i < slabs; i++) /* handed over with the slab's blocks */
        hk_store_relaxed(&leaf->code[((uintptr_t)ptr / HK_SLAB_SIZE + i) % HK_COUNT(leaf->code)], (uint8_t)code);
}

void hk_registry_set_superslab(void *ptr, struct hk_superslab *ss)
{
    struct hk_leaf *leaf = hk_leaf_of(ptr);
    hk_store_relaxed(&leaf->unit[(uintptr_t)ptr / HK_SUPERSLAB_SIZE % HK_LEAF_UNITS], ss); /* as above */
}

size_t hk_leaf_committed(void)
{
    return committed;
}

void hk_leaf_visit(void (*visit)(void *ctx, void *start, size_t size), void *ctx)
{
    if (count != 0)
        visit(ctx, hk_load_relaxed(&hk_leaves), most * sizeof(struct hk_leaf));
}
