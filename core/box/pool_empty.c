/* SPDX-License-Identifier: MIT
 *
 * First stage: EMPTY slabs. In a heap of some size a Mid class takes the one that held the same class last: its blocks
 * start where they did, so that no page is touched that was not touched before. Else, and always for tiny classes,
 * whose blocks lie in all pages anyway, the one at the lowest address: so that classes share what is resident and high
 * SuperSlabs become idle. And their purge: an EMPTY slab whose pages were given back is UNUSED again.
 */
#include "base/options.h"
#include "box/pool_priv.h"
#include "os/os.h"

/* In slabs (6 MiB): a smaller heap shares its EMPTY slabs among all classes. */
#define SAME_CLASS_HEAP 96u

struct hk_superslab *hk_pool_take_empty(unsigned cls, unsigned *index)
{
    if (hk_opt(HK_OPT_SS_EMPTY_REUSE) == 0)
        return NULL;
    struct hk_node *node = hk_pool.same[cls].first;
    bool large = hk_load_relaxed(&hk_pool_empty_slabs) + hk_pool.owned > SAME_CLASS_HEAP; /* we hold the lock */
    if (cls > HK_TINY_LAST && large && node != NULL) {
        struct hk_slab *slab = HK_CONTAINER(node, struct hk_slab, node);
        *index = slab->index;
        return hk_slab_superslab(slab);
    }
    size_t unit = hk_pool_lowest(SET_EMPTY, hk_class_slabs(cls));
    if (unit == HK_UNITS_MAX)
        return NULL;
    struct hk_superslab *ss = hk_load_relaxed(&hk_window_units[unit]); /* written under the lock we hold */
    *index = hk_pool_place(ss->empty_mask, cls);
    return ss;
}

void hk_pool_forget(struct hk_superslab *ss, uint32_t mask)
{
    for (; mask != 0; mask &= mask - 1) {
        struct hk_slab *slab = &ss->slab[hk_lowest(mask)];
        struct hk_slab *head = slab - slab->head;
        /* Not in the mask: a heap's, or held for a purge; its node is not ours to look at. */
        if ((ss->empty_mask >> head->index & 1) != 0 && head->node.at != NULL)
            hk_list_remove(&head->node);
    }
}

/* EMPTY slabs of a SuperSlab that have been so for delay_ms. */
static uint32_t due(const struct hk_superslab *ss, uint32_t now, uint32_t delay_ms)
{
    uint32_t mask = 0;
    for (uint32_t left = ss->empty_mask; left != 0; left &= left - 1) {
        unsigned i = hk_lowest(left);
        if (now - ss->since[i] >= delay_ms)
            mask |= (uint32_t)1 << i;
    }
    return mask;
}

/* Purges the slabs of `mask`, neighbours in one call; returns those that are zero now. They are in no mask meanwhile.
 */
static uint32_t purge_slabs(struct hk_superslab *ss, uint32_t mask)
{
    uint32_t done = 0;
    while (mask != 0) {
        unsigned first = hk_lowest(mask), n = 0;
        while (first + n < HK_SLABS && (mask >> (first + n) & 1) != 0)
            n++;
        if (hk_os_purge(ss->base + first * HK_SLAB_SIZE, n * HK_SLAB_SIZE))
            done |= hk_mask32(first, n);
        mask &= ~hk_mask32(first, n);
    }
    return done;
}

/* Takes the slabs to purge out of the masks. Meanwhile they count as owned, so nobody takes their SuperSlab away. */
static void hold(struct hk_superslab *ss, uint32_t mask)
{
    hk_pool_forget(ss, mask);
    hk_pool.idle -= is_idle(ss);
    ss->empty_mask &= ~mask;
    hk_sub_relaxed(&hk_pool_empty_slabs, (size_t)__builtin_popcount(mask));
    hk_pool_index(ss);
}

static void put_back(struct hk_superslab *ss, uint32_t mask, uint32_t zero, uint32_t now)
{
    ss->unused_mask |= zero;
    ss->purged_mask |= zero;
    ss->empty_mask |= mask & ~zero;
    for (uint32_t left = mask & ~zero; left != 0; left &= left - 1)
        ss->since[hk_lowest(left)] = now; /* refused: asked again after another delay */
    hk_add_relaxed(&hk_pool_empty_slabs, (size_t)__builtin_popcount(mask & ~zero));
    hk_pool.idle += is_idle(ss);
    hk_pool_index(ss);
}

/* A SuperSlab that has EMPTY slabs to purge, and which. */
static struct hk_superslab *find_due(uint32_t now, uint32_t delay_ms, uint32_t *mask)
{
    for (struct hk_node *node = hk_pool.all.first; node != NULL; node = node->next) {
        struct hk_superslab *ss = HK_CONTAINER(node, struct hk_superslab, list);
        if (ss->empty_mask != 0 && (*mask = due(ss, now, delay_ms)) != 0)
            return ss;
    }
    return NULL;
}

size_t hk_pool_purge(uint32_t now, uint32_t delay_ms, size_t keep)
{
    size_t given = 0;
    for (;;) {
        uint32_t mask = 0;
        hk_lock(&hk_pool.lock);
        struct hk_superslab *ss = NULL;
        if (hk_pool_empty_bytes() > keep)
            ss = find_due(now, delay_ms, &mask);
        if (ss != NULL)
            hold(ss, mask);
        hk_unlock(&hk_pool.lock);
        if (ss == NULL)
            return given;
        uint32_t zero = purge_slabs(ss, mask);
        hk_lock(&hk_pool.lock);
        put_back(ss, mask, zero, now);
        hk_unlock(&hk_pool.lock);
        given += (size_t)__builtin_popcount(zero) * HK_SLAB_SIZE;
        if (zero == 0)
            return given;
    }
}
