/* SPDX-License-Identifier: MIT
 *
 * registry, two_level: all of it is in the leaves, which the flat table has too (superslab/registry_leaf.c). Only the
 * names that each registry has stand here; -Dregistry picks the file.
 */
#include "superslab/registry.h"

bool hk_registry_cover(void *ptr, size_t size)
{
    return hk_leaf_cover(ptr, size);
}

void hk_registry_set_code(void *ptr, unsigned slabs, unsigned code)
{
    hk_leaf_set_code(ptr, slabs, code);
}

void hk_registry_visit(void (*visit)(void *ctx, void *start, size_t size), void *ctx)
{
    hk_leaf_visit(visit, ctx);
}
