/* SPDX-License-Identifier: MIT
 *
 * Where free runs come from: new units behind those that there are, and units that were unmapped before.
 */
#include "base/options.h"
#include "os/os.h"
#include "pages/ss_arena_priv.h"

/* Units are added by a sixteenth of what there is, so many at most: few calls at every size of the heap, and little
 * that nobody uses, which would count against limits and be in a core file. With several nodes by so many at once: a
 * run does not reach over what is another node's. */
#define STEP_PART 16u
#define STEP_MOST 16u

/* Small programs stay small under THP=always too; a node with more than so many units is large enough to gain. */
#define NO_HUGE_UNITS 32u

struct hk_arena_tables hk_arena_tables;

/* ---- tables ---- */

/* Makes records of these units, as all before them have; false: no memory. */
static bool reach_tables(size_t first, size_t more)
{
    size_t units = first + more;
    bool ok = hk_table_reach(&hk_arena_tables.edges, HK_TABLE_EDGES, (units + 1) * 2 * sizeof(struct page)) &&
              hk_table_reach(&hk_arena_tables.dirty, HK_TABLE_DIRTY, units * UNIT_PAGES / 8) &&
              hk_table_reach(&hk_arena_tables.inner, HK_TABLE_INNER, units * UNIT_PAGES * sizeof(struct page)) &&
              (!HK_NUMA || hk_table_reach(&hk_arena_tables.places, HK_TABLE_NODES, units));
    if (ok && all_pages() == 0) {
        hk_arenas.edge = (struct page *)(void *)hk_arena_tables.edges.start;
        hk_arenas.dirty = (uint64_t *)(void *)hk_arena_tables.dirty.start;
        hk_arenas.inner = (struct page *)(void *)hk_arena_tables.inner.start;
        hk_arenas.place = (uint8_t *)hk_arena_tables.places.start;
    }
    return ok;
}

/* ---- new units ---- */

/* From `from` on nothing is ours up to page `to`. */
static void pass_over(uint32_t from, uint32_t to)
{
    for (uint32_t pages; from < to; from += pages) {
        pages = (uint32_t)hk_min(to - from, hk_align_down(LONGEST, UNIT_PAGES));
        set_page(page_of(from), pages, PAGE_TAKEN);
    }
}

/* Units that are mapped become a free run. */
static void enter_units(size_t first, size_t units, unsigned node)
{
    struct arena_node *n = &hk_arenas.node[node];
    char *start = hk_space_address(first);
    size_t size = units * HK_UNIT_SIZE;
    hk_numa_prefer(start, size, node);
    if (hk_opt(HK_OPT_THP) != 0)
        hk_os_hint_huge(start, size);
    else if (n->units < NO_HUGE_UNITS)
        hk_os_hint_no_huge(start, size);
    n->units += units;
    for (size_t unit = first; node != 0 && unit < first + units; unit++)
        hk_arenas.place[unit] = (uint8_t)node;
    hk_poke_add(&hk_arenas.mapped, size);
    hk_arena_insert((uint32_t)first * UNIT_PAGES, (uint32_t)units * UNIT_PAGES, hk_os_now_ms());
}

/* The free run that ends with the last page, or NO_PAGE. */
static uint32_t last_free(void)
{
    const struct page *p = all_pages() > 0 ? page_of(all_pages() - 1) : NULL;
    return p != NULL && (kind_of(p) == PAGE_FREE_TAIL || is_free(p)) ? all_pages() - pages_of(p) : NO_PAGE;
}

/* What was the last run is in another bin then. */
static void move_end(uint32_t pages)
{
    uint32_t last = last_free();
    if (last != NO_PAGE)
        hk_arena_unlink(last);
    hk_store_release(&hk_arenas.pages, pages); /* pairs with hk_arena_page */
    if (last != NO_PAGE)
        hk_arena_link(last, pages_of(page_of(last)), kind_of(page_of(last)), page_of(last)->stamp);
}

static bool add_units(size_t least, unsigned node)
{
    size_t first, part = hk_numa_nodes() > 1 ? STEP_MOST : hk_arenas.node[node].units / STEP_PART;
    size_t step = hk_min(part, STEP_MOST);
    size_t units = hk_space_extend(least, hk_max(least, step), &first);
    if (units == 0)
        return false;
    if (!reach_tables(first, units)) {
        hk_space_drop(units);
        return false;
    }
    pass_over(all_pages(), (uint32_t)first * UNIT_PAGES);
    move_end((uint32_t)(first + units) * UNIT_PAGES);
    enter_units(first, units, node);
    return true;
}

/* ---- units that were unmapped ---- */

/* A run of at least so many pages, or NO_PAGE. */
static uint32_t find_absent(const struct bins *b, uint32_t pages)
{
    for (size_t bin = bin_of(pages); (bin = hk_bits_find(b->filled, bin, BINS, true)) < BINS; bin++) {
        for (uint32_t ref = b->bin[bin]; ref != NO_PAGE; ref = page_of(ref)->next) {
            if (pages_of(page_of(ref)) >= pages)
                return ref;
        }
    }
    return NO_PAGE;
}

/* What others have mapped there meanwhile is no longer ours. */
static bool map_again(size_t units, unsigned node)
{
    uint32_t ref, pages = (uint32_t)units * UNIT_PAGES;
    while ((ref = find_absent(&hk_arenas.node[node].absent, pages)) != NO_PAGE) {
        bool taken, ok = hk_space_return(ref / UNIT_PAGES, units, &taken);
        if (!ok && !taken)
            return false;
        hk_arena_cut(ref, ref, pages);
        if (ok) {
            enter_units(ref / UNIT_PAGES, units, node);
            return true;
        }
        set_page(page_of(ref), pages, PAGE_TAKEN);
    }
    return false;
}

/* Mapping, and what a refusal takes back, are done under the lock: where the next unit is, and who has it, is one
 * question. */
HK_SLOW_PATH bool hk_arena_grow(uint32_t pages, unsigned node)
{
    size_t units = (pages + UNIT_PAGES - 1) / UNIT_PAGES;
    hk_large_calls_begin();
    bool ok = map_again(units, node) || add_units(units, node);
    hk_large_calls_end();
    if (ok)
        return true;
    hk_store_relaxed(&hk_arena_scarce, true); /* a hint */
    return false;
}

HK_SLOW_PATH void hk_arena_lacks(size_t bytes)
{
    size_t mapped = hk_peek(&hk_arenas.mapped), live = hk_arena_live(); /* about: no lock */
    if (live <= mapped && bytes <= mapped - live)
        hk_store_relaxed(&hk_arena_scarce, true); /* as above */
}

HK_SLOW_PATH bool hk_arena_start(void)
{
    if (hk_load_acquire(&hk_arenas.pages) > 0) /* pairs with move_end; each thread asks at its beginning */
        return true;
    hk_lock(&hk_arenas.lock);
    bool ok = all_pages() > 0 || hk_arena_grow(1, hk_numa_node());
    hk_unlock(&hk_arenas.lock);
    return ok;
}
