/* SPDX-License-Identifier: MIT
 *
 * Second stage: slabs that were never handed out or were purged. A span of several slabs may also mix UNUSED and
 * EMPTY ones here, where EMPTY ones are reused; it is then not known to be zero. A library of its own, as the other
 * two stages are.
 *
 * Slabs of SuperSlabs that asked for huge pages are all resident with the first touch of one: whoever fills slabs takes
 * them first, and others, who may leave most of their pages untouched, where there is no other memory.
 */
#include "box/pool_priv.h"

struct hk_superslab *hk_pool_take_unused(const struct pool_node *n, unsigned cls, unsigned *index)
{
    for (;;) {
        size_t unit = hk_pool_lowest(n, SET_USABLE, hk_class_slabs(cls));
        if (unit == HK_UNITS_MAX)
            return NULL;
        struct hk_superslab *ss = hk_registry_superslab_at(unit); /* written under the lock we hold */
        *index = hk_pool_place(ss, hk_pool_unused(ss), cls);
        if (*index == HK_SLABS)
            *index = hk_pool_place(ss, hk_pool_usable(ss), cls);
        if (*index != HK_SLABS)
            return ss;
        hk_pool_index(ss); /* the option was switched off since: what was usable then is not now */
    }
}

HK_SLOW_PATH struct hk_superslab *hk_pool_take_huge(const struct pool_node *n, unsigned cls, unsigned *index)
{
    if (HK_LIKELY(hk_load_relaxed(&hk_pool_huge_unused) == 0)) /* we hold the lock */
        return NULL;
    size_t unit = hk_pool_lowest(n, SET_HUGE, hk_class_slabs(cls));
    if (unit == HK_UNITS_MAX)
        return NULL;
    struct hk_superslab *ss = hk_registry_superslab_at(unit); /* as above */
    *index = hk_pool_place(ss, ss->unused_mask, cls);
    return ss;
}
