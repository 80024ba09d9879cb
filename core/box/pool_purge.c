/* SPDX-License-Identifier: MIT
 *
 * The purge of EMPTY slabs: one whose pages were given back is UNUSED again. No system call is made under the lock.
 */
#include "box/hot_cold.h"
#include "box/pool_priv.h"
#include "os/os.h"

/* What one call is to purge. */
struct aim {
    uint32_t now, delay_ms;
    enum hk_pool_part part;
    bool cold_only; /* only in sparsely used SuperSlabs */
};

/* EMPTY slabs of a SuperSlab that the aim is at. */
static uint32_t due(const struct hk_superslab *ss, const struct aim *aim)
{
    uint32_t mask = 0;
    unsigned owned = HK_SLABS - hk_count64(ss->empty_mask | ss->unused_mask);
    if (aim->cold_only && hk_temperature(owned, HK_SLABS) == HK_TEMP_HOT)
        return 0;
    for (uint32_t left = ss->empty_mask; left != 0; left &= left - 1) {
        unsigned i = hk_lowest(left);
        bool part = aim->part == HK_POOL_ALL || ss->slab[i].cls > HK_TINY_LAST;
        if (part && aim->now - ss->since[i] >= aim->delay_ms)
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
    hk_pool.idle -= is_idle(ss);
    hk_pool_leave_empty(ss, mask);
    hk_pool_index(ss);
}

static void put_back(struct hk_superslab *ss, uint32_t mask, uint32_t zero, uint32_t now)
{
    ss->unused_mask |= zero;
    ss->purged_mask |= zero;
    hk_slab_forget_pages(ss, zero, true);
    hk_pool_enter_empty(ss, mask & ~zero);
    for (uint32_t left = mask & ~zero; left != 0; left &= left - 1)
        ss->since[hk_lowest(left)] = now; /* refused: asked again after another delay */
    hk_pool.idle += is_idle(ss);
    hk_pool_index(ss);
}

/* A SuperSlab that has EMPTY slabs to purge, and which. */
static struct hk_superslab *find_due(const struct aim *aim, uint32_t *mask)
{
    for (struct hk_node *node = hk_pool.all.first; node != NULL; node = node->next) {
        struct hk_superslab *ss = HK_CONTAINER(node, struct hk_superslab, list);
        if (ss->empty_mask != 0 && (*mask = due(ss, aim)) != 0)
            return ss;
    }
    return NULL;
}

static size_t purge(const struct aim *aim, size_t keep)
{
    size_t given = 0;
    const _Atomic size_t *waiting = aim->part == HK_POOL_ALL ? &hk_pool_empty_slabs : &hk_pool_empty_mid;
    for (;;) {
        uint32_t mask = 0;
        hk_lock(&hk_pool.lock);
        struct hk_superslab *ss = NULL;
        if (hk_load_relaxed(waiting) * HK_SLAB_SIZE > keep)
            ss = find_due(aim, &mask);
        if (ss != NULL)
            hold(ss, mask);
        hk_unlock(&hk_pool.lock);
        if (ss == NULL)
            return given;
        uint32_t zero = purge_slabs(ss, mask);
        hk_lock(&hk_pool.lock);
        put_back(ss, mask, zero, aim->now);
        hk_unlock(&hk_pool.lock);
        given += hk_count64(zero) * HK_SLAB_SIZE;
        if (zero == 0)
            return given;
    }
}

/* What is kept is kept where slabs are densely used: those SuperSlabs are full again first, the others may become idle.
 */
size_t hk_pool_purge(uint32_t now, uint32_t delay_ms, size_t keep, enum hk_pool_part part)
{
    struct aim aim = {now, delay_ms, part, HK_HOT_COLD};
    size_t given = purge(&aim, keep);
    if (!aim.cold_only)
        return given;
    aim.cold_only = false;
    return given + purge(&aim, keep);
}
