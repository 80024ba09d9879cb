/* SPDX-License-Identifier: MIT
 *
 * Runs that are set aside: neither live nor free, until whoever has them takes them again or gives them back. Built
 * with run_cache=enabled only.
 *
 * Setting one aside and taking it again write nothing but the word of its record, and take no lock: nobody else writes
 * the record of a run that is live or set aside, but whoever frees or resizes the same block, and of these one wins
 * (turn_page). Neighbours that look, under the lock, find it not free before and after.
 */
#include "base/assert.h"
#include "os/os.h"
#include "pages/ss_arena_priv.h"

bool hk_arena_set_aside(void *ptr, size_t pages)
{
    uint32_t ref = hk_arena_page(ptr);
    return ref != NO_PAGE && turn_page(page_of(ref), (uint32_t)pages, PAGE_RUN, (uint32_t)pages, PAGE_ASIDE);
}

void hk_arena_take_aside(void *ptr, size_t pages)
{
    struct page *p = page_of(hk_arena_page(ptr));
    HK_ASSERT(kind_of(p) == PAGE_ASIDE && pages_of(p) == pages);
    set_page(p, (uint32_t)pages, PAGE_RUN);
}

void hk_arena_give_aside(void *const *runs, unsigned n)
{
    uint32_t now = hk_os_now_ms(); /* as in hk_arena_give_run */
    hk_lock(&hk_arenas.lock);
    for (unsigned i = 0; i < n; i++) {
        uint32_t ref = hk_arena_page(runs[i]), pages = pages_of(page_of(ref));
        HK_ASSERT(kind_of(page_of(ref)) == PAGE_ASIDE);
        set_page(page_of(ref), 0, PAGE_INTERIOR);
        count_live(PAGE_RUN, -(size_t)pages);
        hk_arena_free_pages_locked(ref, pages, 0, now);
    }
    hk_unlock(&hk_arenas.lock);
}

/* A unit's node is written when it is mapped, and never again while a run is in it. */
unsigned hk_arena_node_of(const void *ptr)
{
    return node_of(hk_arena_page(ptr));
}
