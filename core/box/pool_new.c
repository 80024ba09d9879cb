/* SPDX-License-Identifier: MIT
 *
 * Last stage: a new SuperSlab from the SSArena.
 */
#include "box/pool_priv.h"
#include "superslab/meta.h"
#include "superslab/ss_arena.h"

static struct hk_superslab *new_record(void)
{
    struct hk_node *node = hk_list_pop(&hk_pool.records);
    return node ? HK_CONTAINER(node, struct hk_superslab, list) : hk_meta_alloc(sizeof(struct hk_superslab));
}

struct hk_superslab *hk_pool_take_new(unsigned cls, unsigned *index)
{
    uint32_t clean;
    char *base = hk_arena_take_superslab(&clean);
    if (base == NULL)
        return NULL;
    struct hk_superslab *ss = new_record();
    if (ss == NULL) {
        hk_arena_give_superslab(base, clean);
        return NULL;
    }
    hk_pool.gone -= hk_pool.gone != 0;
    hk_superslab_init(ss, base);
    ss->empty_mask = ~clean;
    ss->unused_mask = clean;
    hk_add_relaxed(&hk_pool_empty_slabs, (size_t)__builtin_popcount(~clean)); /* a hint; changed under the lock */
    hk_pool.idle++;
    hk_list_push(&hk_pool.all, &ss->list);
    hk_registry_set_superslab(base, ss);
    hk_pool_index(ss);
    *index = hk_pool_place(ss->empty_mask, cls); /* where pages are resident already, if there is such a place */
    if (*index == HK_SLABS)
        *index = hk_pool_place(UINT32_MAX, cls);
    return ss;
}
