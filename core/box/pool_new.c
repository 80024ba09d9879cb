/* SPDX-License-Identifier: MIT
 *
 * Last stage: a new SuperSlab from the SSArena.
 */
#include "box/pool_priv.h"
#include "os/os.h"
#include "pages/huge_pages.h"
#include "pages/meta.h"
#include "pages/ss_arena_source.h"

/* SuperSlabs of heaps that may ask for huge pages, 16 GiB: each that did may be a mapping of its own to the kernel for
 * ever, and it allows a process 65530. */
#define HUGE_MOST 8192u

static struct hk_superslab *new_record(void)
{
    struct hk_node *node = hk_list_pop(&hk_pool.records);
    return node ? superslab_of(node) : hk_meta_alloc(sizeof(struct hk_superslab));
}

/* Sets for the first SuperSlab of a node; where there is no memory for them node 0's are used. */
static unsigned node_with_sets(unsigned node)
{
    if (hk_pool_node(node) == NULL)
        hk_pool.further[node] = hk_meta_alloc(sizeof(struct pool_node));
    return hk_pool_node(node) != NULL ? node : 0;
}

/* Once per 2 MiB: small rather than fast. */
HK_SLOW_PATH struct hk_superslab *hk_pool_take_new(unsigned node, unsigned cls, unsigned *index, bool fills)
{
    uint32_t clean;
    struct hk_superslab *ss = new_record();
    if (ss == NULL)
        return NULL;
    char *base = hk_arena_take_superslab(node, &clean);
    if (base == NULL) {
        hk_list_push(&hk_pool.records, &ss->list);
        return NULL;
    }
    ss->node = node_with_sets(node);
    if (!hk_registry_cover(base, HK_SUPERSLAB_SIZE) || !hk_pool_reach(ss->node, hk_registry_unit(base))) {
        hk_arena_give_superslab(base, clean);
        hk_list_push(&hk_pool.records, &ss->list);
        return NULL;
    }
    hk_superslab_init(ss, base);
    hk_pool_node(ss->node)->gone -= hk_pool_node(ss->node)->gone != 0;
    ss->unused_mask = clean;
    bool many = hk_load_relaxed(&hk_pool_owned) >= HUGE_MOST * HK_SLABS; /* we hold the lock */
    hk_poke(&ss->huge, fills && clean == UINT32_MAX && !many && !hk_huge_pages_rest());
    if (ss->huge) {
        hk_add_relaxed(&hk_pool_huge_unused, HK_SLABS);
        hk_large_calls_begin(); /* it has no page yet: nobody waits long */
        hk_os_hint_huge(base, HK_SUPERSLAB_SIZE);
        hk_large_calls_end();
    }
    hk_slab_forget_pages(ss, ~clean, false);
    for (unsigned i = 0; i < HK_SLABS; i++)
        ss->since[i] = hk_os_now_ms();
    hk_pool_enter_empty(ss, ~clean);
    hk_pool.idle++;
    hk_list_push(&hk_pool.all, &ss->list);
    hk_registry_set_superslab(base, ss);
    hk_pool_index(ss);
    /* Where pages are resident already, if there is such a place. Without reuse that would be an EMPTY slab: only a
     * SuperSlab that has no other is begun with one. */
    *index = hk_pool_place(ss, hk_pool_reuses() ? ss->empty_mask : ss->unused_mask, cls);
    if (*index == HK_SLABS)
        *index = hk_pool_place(ss, UINT32_MAX, cls);
    return ss;
}
