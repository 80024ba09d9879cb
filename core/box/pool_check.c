/* SPDX-License-Identifier: MIT
 *
 * Do a SuperSlab's masks, the states of its slabs and the counts of the pool agree? For tests and -Dcheck builds, which
 * link it; it is in no other library.
 */
#include "box/pool_priv.h"

static bool check_superslab(struct hk_superslab *ss)
{
    uint32_t any = ss->empty_mask | ss->unused_mask;
    if ((ss->empty_mask & ss->unused_mask) != 0 || (ss->purged_mask & ~ss->unused_mask) != 0)
        return false;
    for (unsigned i = 0; i < HK_SLABS;) {
        struct hk_slab *slab = &ss->slab[i];
        bool listed_free = (any >> i & 1) != 0;
        bool purging = slab->state == HK_SLAB_FREE && !listed_free;
        if (!purging && listed_free != (slab->state == HK_SLAB_FREE))
            return false;
        if (listed_free != (hk_registry_code(ss->base + i * HK_SLAB_SIZE) == 0) && !purging)
            return false;
        i += listed_free || purging ? 1 : slab->slabs;
    }
    return true;
}

bool hk_pool_check(void)
{
    bool ok = true;
    size_t empty = 0, mid = 0, held = 0;
    size_t unused = 0;
    unsigned idle = 0;
    hk_lock(&hk_pool.lock);
    for (struct hk_node *node = hk_pool.all.first; node != NULL; node = node->next) {
        struct hk_superslab *ss = superslab_of(node);
        ok = check_superslab(ss) && ok;
        empty += hk_count64(ss->empty_mask);
        mid += hk_pool_count_mid(ss, ss->empty_mask);
        idle += is_idle(ss);
        unused += ss->huge ? hk_count64(ss->unused_mask) : 0;
        held += HK_SLABS - hk_count64(ss->empty_mask | ss->unused_mask); /* by heaps or purges */
    }
    ok = ok && held >= hk_load_relaxed(&hk_pool_owned);
    ok = ok && empty == hk_load_relaxed(&hk_pool_empty_slabs) && mid == hk_load_relaxed(&hk_pool_empty_mid);
    ok = ok && idle == hk_pool.idle && unused == hk_load_relaxed(&hk_pool_huge_unused);
    hk_unlock(&hk_pool.lock);
    return ok;
}
