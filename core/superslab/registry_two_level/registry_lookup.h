/* SPDX-License-Identifier: MIT
 *
 * registry, two_level: the inline part, thirteen instructions. Included by superslab/registry.h only.
 */
#ifndef HK_SUPERSLAB_REGISTRY_LOOKUP_H
#define HK_SUPERSLAB_REGISTRY_LOOKUP_H

#include "superslab/registry_leaf.h"

/* False: no address. */
static HK_ALWAYS_INLINE bool hk_registry_lookup(const void *ptr, unsigned *code)
{
    if (HK_UNLIKELY(!hk_leaf_reaches(ptr)))
        return false;
    *code = hk_leaf_code(ptr);
    return true;
}

static inline unsigned hk_registry_code(const void *ptr)
{
    unsigned code;
    return hk_registry_lookup(ptr, &code) ? code : 0;
}

static inline const void *hk_registry_base_at(void)
{
    return NULL;
}

#endif
