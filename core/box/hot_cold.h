/* SPDX-License-Identifier: MIT
 *
 * hot_cold: is a slab densely (hot) or sparsely (cold) used? For slow paths only: the fullest slab is used first, so
 * that sparse ones drain and become EMPTY. With -Dhot_cold=disabled the first slab of a list is. Pure functions but for
 * one option; whoever asks synchronises. Knows slabs; must not know who asks.
 */
#ifndef HK_BOX_HOT_COLD_H
#define HK_BOX_HOT_COLD_H

#include "superslab/slab.h"

enum hk_temperature { HK_TEMP_COLD, HK_TEMP_HOT };

/* Hot above three quarters: of a slab's blocks in use, of a SuperSlab's slabs owned. */
static inline enum hk_temperature hk_temperature(uint32_t used, uint32_t capacity)
{
    return used * 4 > capacity * 3 ? HK_TEMP_HOT : HK_TEMP_COLD;
}

/* The fullest of the first HAKMEM_HOT_COLD_SCAN slabs of a list of one class (four are enough; more walk further for
 * little), or NULL when it is empty. Of Mid classes the first: a slab of few blocks is soon used up, and the one that
 * got blocks back last is the one whose pages are in use (decision 0011). The list's owner's lock. */
struct hk_slab *hk_hot_cold_choose(const struct hk_list *partial);

#endif
