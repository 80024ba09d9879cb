/* SPDX-License-Identifier: MIT
 *
 * The choice out of a list. Asked when a slab is used up, and a function of its own: a list is walked once for dozens
 * of blocks.
 */
#include "box/hot_cold.h"

#include "base/options.h"

struct hk_slab *hk_hot_cold_choose(const struct hk_list *partial)
{
    struct hk_slab *best = NULL;
    struct hk_node *node = partial->first;
    bool mid = node != NULL && HK_CONTAINER(node, struct hk_slab, node)->cls > HK_TINY_LAST;
    int64_t limit = HK_HOT_COLD && !mid ? hk_opt(HK_OPT_HOT_COLD_SCAN) : 1;
    for (int64_t i = 0; i < limit && node != NULL; i++, node = node->next) {
        struct hk_slab *slab = HK_CONTAINER(node, struct hk_slab, node);
        if (best == NULL || slab->used > best->used)
            best = slab;
    }
    return best;
}
