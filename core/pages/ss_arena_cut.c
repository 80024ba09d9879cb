/* SPDX-License-Identifier: MIT
 *
 * -Dss_arena=enabled: SuperSlabs are cut from the units, beside the page runs, and have records as these have.
 */
#include "pages/ss_arena_priv.h"
#include "pages/ss_arena_source.h"

#include "base/assert.h"

#define SLAB_PAGES (HK_SLAB_SIZE / HK_PAGE)

HK_SLOW_PATH void *hk_arena_take_superslab(unsigned node, uint32_t *clean)
{
    *clean = 0;
    if (!hk_arena_within_limit(HK_SUPERSLAB_SIZE))
        return NULL;
    hk_lock(&hk_arenas.lock);
    uint32_t ref = hk_arena_take_unit_locked(node, PAGE_SUPERSLAB);
    for (unsigned i = 0; i < HK_SLABS && ref != NO_PAGE; i++)
        *clean |= (uint32_t)(hk_arena_clear_dirty(ref + i * (uint32_t)SLAB_PAGES, SLAB_PAGES) == 0) << i;
    hk_unlock(&hk_arenas.lock);
    return ref == NO_PAGE ? NULL : address_of(ref);
}

HK_SLOW_PATH size_t hk_arena_give_superslab(void *ptr, uint32_t clean)
{
    bool ok = hk_arena_give_run(ptr, PAGE_SUPERSLAB, clean);
    HK_ASSERT(ok);
    (void)ok;
    return 0;
}

/* ---- all of them lie in runs ---- */

HK_SLOW_PATH struct hk_run hk_arena_find_superslab_locked(const void *ptr)
{
    return (struct hk_run){HK_RUN_NONE, NULL, 0};
}

HK_SLOW_PATH void
hk_arena_visit_superslabs_locked(void (*visit)(void *ctx, void *start, size_t size, enum hk_run_kind kind), void *ctx)
{
}

HK_SLOW_PATH size_t hk_arena_superslab_bytes_locked(void)
{
    return 0;
}
