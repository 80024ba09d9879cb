/* SPDX-License-Identifier: MIT */
#include "superslab/registry.h"

static struct hk_leaf zeros; /* never written */

_Atomic uint32_t hk_leaf_root[(size_t)1 << (HK_ADDRESS_BITS - HK_LEAF_SPAN_BITS)];
char *_Atomic hk_leaves = (char *)&zeros;

/* Guarded by the pool's lock. */
static unsigned count; /* leaves in use, that of zeros included */
static struct hk_table table;

static bool new_leaf(uintptr_t gib)
{
    unsigned number = hk_max(count, 1);
    if (number == HK_LEAVES_MAX || !hk_table_reach(&table, HK_TABLE_UNITS, (number + 1) * sizeof(struct hk_leaf)))
        return false;
    hk_store_relaxed(&hk_leaves, table.start); /* seen by whoever sees an offset */
    hk_store_release(&hk_leaf_root[gib], (uint32_t)(number * sizeof(struct hk_leaf))); /* pairs with hk_leaf_of */
    count = number + 1;
    return true;
}

bool hk_leaf_cover(void *ptr, size_t size)
{
    uintptr_t first = (uintptr_t)ptr >> HK_LEAF_SPAN_BITS, last = ((uintptr_t)ptr + size - 1) >> HK_LEAF_SPAN_BITS;
    if (last >= HK_COUNT(hk_leaf_root))
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

void hk_leaf_visit(void (*visit)(void *ctx, void *start, size_t size), void *ctx)
{
    hk_table_visit(&table, visit, ctx);
}
