/* SPDX-License-Identifier: MIT
 *
 * First stage: EMPTY slabs. In a heap of some size a Mid class takes the one that held the same class last: its blocks
 * start where they did, so that no page is touched that was not touched before. Else, and always for tiny classes,
 * whose blocks lie in all pages anyway, the one at the lowest address: so that classes share what is resident and high
 * SuperSlabs become idle. Or, where HAKMEM_SS_EMPTY_SCAN_LIMIT says how many SuperSlabs are compared, one of the
 * fullest of these: the sparse ones become idle. With -Dempty_reuse=disabled there is no such stage: an EMPTY slab is
 * of no use until it was purged and is UNUSED again (pool_purge.c).
 */
#include "box/pool_priv.h"

/* In slabs (6 MiB): a smaller heap shares its EMPTY slabs among all classes. */
#define SAME_CLASS_HEAP 96u

/* The one with the fewest slabs to take, of the first `limit` SuperSlabs that have an EMPTY run of so many slabs; the
 * lowest is that of `unit`. */
static HK_SLOW_PATH struct hk_superslab *find_fullest(const struct unit_sets *s, unsigned slabs, size_t unit,
                                                      int64_t limit)
{
    struct hk_superslab *best = NULL;
    unsigned least = HK_SLABS + 1;
    for (size_t word = unit / 64; limit > 0 && word < s->table.mapped / sizeof s->bits[0]; word++) {
        for (uint64_t left = s->bits[word][SET_EMPTY + slabs - 1]; left != 0 && limit > 0; left &= left - 1, limit--) {
            struct hk_superslab *ss = hk_registry_superslab_at(word * 64 + hk_lowest(left)); /* as below */
            unsigned room = hk_count64(ss->empty_mask | ss->unused_mask);
            best = room < least ? ss : best;
            least = room < least ? room : least;
        }
    }
    return best;
}

struct hk_superslab *hk_pool_take_empty(const struct pool_node *n, unsigned cls, unsigned *index)
{
    if (!hk_pool_reuses())
        return NULL;
    struct hk_node *node = n->same[cls].first;
    size_t slabs = hk_load_relaxed(&hk_pool_empty_slabs) + hk_load_relaxed(&hk_pool_owned); /* we hold the lock */
    bool large = slabs > SAME_CLASS_HEAP;
    if (cls > HK_TINY_LAST && large && node != NULL) {
        struct hk_slab *slab = HK_CONTAINER(node, struct hk_slab, node);
        *index = slab->index;
        return hk_slab_superslab(slab);
    }
    size_t unit = hk_pool_lowest(n, SET_EMPTY, hk_class_slabs(cls));
    if (unit == HK_UNITS_MAX)
        return NULL;
    struct hk_superslab *ss = hk_registry_superslab_at(unit); /* written under the lock we hold */
    int64_t limit = hk_opt(HK_OPT_SS_EMPTY_SCAN_LIMIT);
    if (HK_UNLIKELY(limit > 1))
        ss = find_fullest(&n->sets, hk_class_slabs(cls), unit, limit);
    *index = hk_pool_place(ss, ss->empty_mask, cls);
    return ss;
}

void hk_pool_remember(struct hk_slab *slab)
{
    hk_list_push(&hk_pool_node(hk_slab_superslab(slab)->node)->same[slab->cls], &slab->node);
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
