/* SPDX-License-Identifier: MIT
 *
 * Gives dirty pages of free runs back to the system. No memory is given back under the lock: runs are taken out of
 * their bins, purged, and entered again; meanwhile nobody can use them, so a batch is small.
 */
#include "base/assert.h"
#include "os/os.h"
#include "superslab/ss_arena_priv.h"

#define BATCH_RUNS 16
#define BATCH_RANGES 64
#define BATCH_BYTES (32 * HK_MIB)

struct batch {
    unsigned runs, ranges;
    size_t bytes;
    uint32_t run[BATCH_RUNS];
    struct {
        uint32_t ref, pages; /* dirty neighbours, aligned to the kernel's pages */
        bool done;
    } range[BATCH_RANGES];
};

/* Lists the dirty ranges of a run; false when there is no room for all of them (the rest stays dirty). */
static void list_ranges(struct batch *b, uint32_t ref, uint32_t pages)
{
    struct arena *a = arena_of(ref);
    size_t unit = hk_os_page_size() / HK_PAGE;
    size_t first = number_of(ref), end = first + pages;
    for (size_t from = first; from < end && b->ranges < BATCH_RANGES;) {
        from = hk_bits_find(a->dirty, from, end, true);
        size_t to = hk_bits_find(a->dirty, from, end, false);
        size_t aligned = hk_align_up(from, unit), aligned_end = hk_align_down(to, unit);
        if (aligned < aligned_end) {
            b->range[b->ranges].ref = ref + (uint32_t)(aligned - first);
            b->range[b->ranges].pages = (uint32_t)(aligned_end - aligned);
            b->bytes += (aligned_end - aligned) * HK_PAGE;
            b->ranges++;
        }
        from = to;
    }
}

/* Is any whole kernel page of the run dirty? */
static bool has_range(uint32_t ref, uint32_t pages)
{
    struct batch one;
    one.ranges = 0;
    one.bytes = 0;
    list_ranges(&one, ref, pages);
    return one.ranges != 0;
}

static bool is_due(const struct page *p, uint32_t now, uint32_t delay_ms)
{
    return kind_of(p) == PAGE_FREE && now - p->stamp >= delay_ms;
}

static void take_out(struct batch *b, uint32_t ref)
{
    struct page *p = page_of(ref);
    uint32_t pages = pages_of(p);
    hk_arena_unlink(ref);
    set_page(page_of(ref + pages - 1), 0, PAGE_INTERIOR);
    set_page(p, pages, PAGE_PURGING);
    b->run[b->runs++] = ref;
    list_ranges(b, ref, pages);
}

static void collect(struct batch *b, const struct arena_node *n, uint32_t now, uint32_t delay_ms, size_t bytes)
{
    for (unsigned bin = BINS; bin-- > 0;) {
        if ((n->filled[bin / 64] >> bin % 64 & 1) == 0)
            continue;
        for (uint32_t ref = n->bin[bin], next; ref != NO_PAGE; ref = next) {
            next = page_of(ref)->next;
            if (b->runs == BATCH_RUNS || b->ranges == BATCH_RANGES || b->bytes >= bytes)
                return;
            if (is_due(page_of(ref), now, delay_ms))
                take_out(b, ref);
        }
    }
}

static size_t purge_ranges(struct batch *b)
{
    size_t given = 0;
    for (unsigned i = 0; i < b->ranges; i++) {
        size_t bytes = b->range[i].pages * HK_PAGE;
        b->range[i].done = hk_os_purge(address_of(b->range[i].ref), bytes);
        given += b->range[i].done ? bytes : 0;
    }
    return given;
}

/* What could not be purged waits for another delay, so that a refusing system is not asked again and again. */
static void put_back(struct batch *b, uint32_t now)
{
    for (unsigned i = 0; i < b->ranges; i++) {
        struct arena *a = arena_of(b->range[i].ref);
        if (!b->range[i].done)
            continue;
        size_t was = hk_bits_clear(a->dirty, number_of(b->range[i].ref), b->range[i].pages);
        hk_sub_relaxed(&hk_arena_dirty_pages, was); /* a hint; changed under the lock */
    }
    for (unsigned i = 0; i < b->runs; i++) {
        struct page *p = page_of(b->run[i]);
        uint32_t pages = pages_of(p);
        set_page(p, 0, PAGE_INTERIOR);
        hk_arena_insert(b->run[i], pages, now);
        if (kind_of(p) == PAGE_FREE && pages_of(p) == pages && !has_range(b->run[i], pages))
            set_page(p, pages, PAGE_FREE_EDGES);
    }
}

size_t hk_arena_purge(uint32_t now, uint32_t delay_ms, size_t keep)
{
    size_t given = 0;
    for (;;) {
        struct batch b;
        b.runs = b.ranges = 0;
        b.bytes = 0;
        hk_lock(&hk_arenas.lock);
        size_t dirty = hk_arena_dirty();
        for (unsigned node = 0; dirty > keep && node < hk_numa_nodes(); node++)
            collect(&b, &hk_arenas.node[node], now, delay_ms, hk_min(dirty - keep, BATCH_BYTES));
        hk_unlock(&hk_arenas.lock);
        if (b.runs == 0)
            return given;
        size_t part = purge_ranges(&b);
        hk_lock(&hk_arenas.lock);
        put_back(&b, now);
        hk_unlock(&hk_arenas.lock);
        given += part;
        if (part == 0)
            return given;
    }
}

/* ---- check ---- */

static bool check_arena(struct arena *a, size_t *dirty, size_t *live)
{
    uint32_t at = 0;
    bool free_before = false;
    while (at < a->pages) {
        struct page *p = record_of(a, at);
        uint32_t pages = pages_of(p);
        bool is_hole = is_free(p);
        if (pages == 0 || pages > a->pages - at ||
            (is_hole && (free_before || pages_of(record_of(a, at + pages - 1)) != pages)))
            return false;
        size_t bits = 0;
        for (size_t i = hk_bits_find(a->dirty, at, at + pages, true); i < at + pages;
             i = hk_bits_find(a->dirty, i + 1, at + pages, true))
            bits++;
        if ((!is_hole || kind_of(p) == PAGE_FREE_CLEAN) && kind_of(p) != PAGE_PURGING && bits != 0)
            return false;
        *dirty += bits;
        *live += kind_of(p) == PAGE_RUN || kind_of(p) == PAGE_SUPERSLAB ? pages * HK_PAGE : 0;
        free_before = is_hole;
        at += pages;
    }
    return at == a->pages;
}

bool hk_arena_check(void)
{
    size_t dirty = 0, live = HK_SS_ARENA ? 0 : hk_arena_single_bytes();
    bool ok = true;
    hk_lock(&hk_arenas.lock);
    for (uint32_t i = 0; i < hk_arenas.count; i++)
        ok = check_arena(&hk_arenas.arena[i], &dirty, &live) && ok;
    ok = ok && dirty == hk_load_relaxed(&hk_arena_dirty_pages) && live == hk_load_relaxed(&hk_arenas.live);
    hk_unlock(&hk_arenas.lock);
    return ok;
}
