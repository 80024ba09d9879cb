/* SPDX-License-Identifier: MIT
 *
 * What reports ask of the pool. In a file of its own, as most programs never ask (core/meson.build).
 */
#include "box/pool_priv.h"

uint64_t hk_pool_stage_count(enum hk_pool_stage stage, unsigned cls)
{
    if (cls != 0)
        return hk_peek(&hk_pool.served[stage][cls]);
    uint64_t total = 0;
    for (cls = 1; cls < HK_CLASS_COUNT; cls++)
        total += hk_peek(&hk_pool.served[stage][cls]);
    return total;
}

void hk_pool_visit(void (*visit)(void *ctx, struct hk_superslab *ss), void *ctx)
{
    hk_lock(&hk_pool.lock);
    for (struct hk_node *node = hk_pool.all.first; node != NULL; node = node->next)
        visit(ctx, superslab_of(node));
    hk_unlock(&hk_pool.lock);
}
