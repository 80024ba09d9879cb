/* SPDX-License-Identifier: MIT
 *
 * hot_cold: is a slab densely (hot) or sparsely (cold) used? Pure functions, for slow paths only: the fullest slab is
 * used first, so that sparse ones drain and become EMPTY. Knows slabs; must not know who asks.
 */
#ifndef HK_BOX_HOT_COLD_H
#define HK_BOX_HOT_COLD_H

#include "superslab/slab.h"

enum hk_temperature { HK_TEMP_COLD, HK_TEMP_HOT };

/* Slabs of the same class that a choice compares (mimalloc v3 found four enough; more walk further for little). */
#define HK_HOT_COLD_CANDIDATES 4u

/* Hot above three quarters. */
static inline enum hk_temperature hk_temperature(uint32_t used, uint32_t capacity)
{
    return used * 4 > capacity * 3 ? HK_TEMP_HOT : HK_TEMP_COLD;
}

/* The fullest of the first few slabs of a list, or NULL when it is empty. The list's owner's lock. */
static inline struct hk_slab *hk_hot_cold_choose(const struct hk_list *partial)
{
    struct hk_slab *best = NULL;
    struct hk_node *node = partial->first;
    for (unsigned i = 0; i < HK_HOT_COLD_CANDIDATES && node != NULL; i++, node = node->next) {
        struct hk_slab *slab = HK_CONTAINER(node, struct hk_slab, node);
        if (best == NULL || slab->used > best->used)
            best = slab;
    }
    return best;
}

#endif
