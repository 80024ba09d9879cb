/* SPDX-License-Identifier: MIT
 *
 * Gives dirty pages of free runs back to the system, a piece at a time. No memory is given back under the lock: the
 * piece is cut out of its run, purged, and entered again; the rest of the run can be used meanwhile.
 */
#include "base/assert.h"
#include "os/os.h"
#include "superslab/ss_arena_priv.h"

/* Runs that one call looks at, and those of them that have something to purge; parts of a run that are compared. */
#define LOOK 256
#define COMPARE 8
#define PARTS 8

struct piece {
    uint32_t run; /* that it is in, or NO_PAGE: there is none */
    uint32_t ref, pages, stamp;
    size_t dirty; /* pages */
};

/* The pages [low, high) of a free run that one piece may have, `last` being the highest dirty one: those in its unit
 * (its ends then need no records of their own), or a whole run that is no longer than that. */
static void find_part(size_t first, size_t end, size_t last, size_t *low, size_t *high)
{
    bool whole = end - first <= UNIT_PAGES;
    *low = whole ? first : hk_max(hk_align_down(last, UNIT_PAGES), first);
    *high = whole ? end : hk_min(hk_align_down(last, UNIT_PAGES) + UNIT_PAGES, end);
}

/* The fullest of the first few parts from the high end of a free run. Whole kernel pages; clean ones go along. Without
 * dirty pages: no whole kernel page of the run is dirty. */
static struct piece find_top(uint32_t ref, size_t most)
{
    struct arena *a = arena_of(ref);
    struct piece best = {NO_PAGE, 0, 0, 0, 0};
    size_t unit = hk_os_page_size() / HK_PAGE, number = number_of(ref), low, high;
    size_t first = hk_align_up(number, unit);
    size_t end = hk_align_down(hk_min(number + pages_of(page_of(ref)), a->ready), unit);
    for (unsigned i = 0; i < PARTS && first < end && best.dirty < most; i++, end = low) {
        size_t last = hk_bits_find_last(a->dirty, first, end, true);
        if (last == end)
            break;
        find_part(first, end, last, &low, &high);
        if (high - low > most) {
            high = hk_align_up(last + 1, unit);
            low = high - hk_min(high - low, most);
        }
        size_t dirty = hk_bits_count(a->dirty, low, high - low);
        if (dirty > best.dirty)
            best =
                (struct piece){ref, ref + (uint32_t)(low - number), (uint32_t)(high - low), page_of(ref)->stamp, dirty};
    }
    return best;
}

static bool is_due(const struct page *p, uint32_t now, uint32_t delay_ms)
{
    return hk_ms_since(now, p->stamp) >= (kind_of(p) == PAGE_FREE ? delay_ms : hk_purge_again_ms(delay_ms));
}

/* Runs that a search has come by. */
struct search {
    uint32_t now, delay_ms;
    size_t most; /* pages of a piece */
    unsigned looked, compared;
    struct piece best;
};

static bool is_over(const struct search *s)
{
    return s->looked == LOOK || s->compared == COMPARE || s->best.dirty >= s->most;
}

/* Runs of which no whole kernel page is dirty leave the way: they are no longer among those to purge. */
static void look_at(struct search *s, uint32_t ref)
{
    struct page *p = page_of(ref);
    s->looked++;
    if (!is_due(p, s->now, s->delay_ms))
        return;
    struct piece piece = find_top(ref, s->most);
    s->compared += piece.dirty != 0;
    if (piece.dirty > s->best.dirty)
        s->best = piece;
    if (piece.dirty != 0)
        return;
    hk_arena_unlink(ref);
    hk_arena_link(ref, pages_of(p), PAGE_FREE_EDGES, p->stamp);
}

/* The fullest piece of the first few runs, from the longest down. */
static void search_node(struct search *s, const struct bins *b)
{
    size_t below = BINS, bin;
    while (!is_over(s) && (bin = hk_bits_find_last(b->filled, 0, below, true)) < below) {
        for (uint32_t ref = b->bin[bin], next; ref != NO_PAGE && !is_over(s); ref = next) {
            next = page_of(ref)->next;
            look_at(s, ref);
        }
        below = bin;
    }
}

static struct piece take_piece(uint32_t now, uint32_t delay_ms, size_t most)
{
    size_t unit = hk_os_page_size() / HK_PAGE;
    struct search s = {now, delay_ms, hk_align_up((most + HK_PAGE - 1) / HK_PAGE, unit), 0, 0, {NO_PAGE, 0, 0, 0, 0}};
    for (unsigned node = 0; node < hk_numa_nodes() && !is_over(&s); node++)
        search_node(&s, &hk_arenas.node[node].dirty);
    struct piece piece = s.best;
    if (piece.run != NO_PAGE) {
        hk_arena_cut(piece.run, piece.ref, piece.pages);
        set_page(page_of(piece.ref), piece.pages, PAGE_PURGING);
    }
    return piece;
}

/* Returns how many pages were dirty and are not now. */
static size_t put_back(const struct piece *piece, bool done, uint32_t now)
{
    size_t was = done ? hk_bits_clear(arena_of(piece->ref)->dirty, number_of(piece->ref), piece->pages) : 0;
    hk_sub_relaxed(&hk_arena_dirty_pages, was); /* a hint; changed under the lock */
    set_page(page_of(piece->ref), 0, PAGE_INTERIOR);
    uint32_t ref = hk_arena_insert(piece->ref, piece->pages, done ? piece->stamp : now);
    if (!done)
        set_page(page_of(ref), pages_of(page_of(ref)), PAGE_FREE_REFUSED);
    return was;
}

size_t hk_arena_purge(uint32_t now, uint32_t delay_ms, size_t most, bool *refused)
{
    HK_ASSERT(most > 0 && most <= HK_PURGE_MOST);
    hk_lock(&hk_arenas.lock);
    struct piece piece = take_piece(now, delay_ms, most);
    hk_unlock(&hk_arenas.lock);
    if (piece.run == NO_PAGE)
        return 0;
    bool done = hk_os_purge(address_of(piece.ref), piece.pages * HK_PAGE);
    hk_lock(&hk_arenas.lock);
    size_t pages = put_back(&piece, done, now);
    hk_unlock(&hk_arenas.lock);
    *refused = *refused || !done;
    return pages * HK_PAGE;
}

/* ---- check ---- */

static bool check_arena(struct arena *a, size_t *dirty, size_t *live, size_t *runs)
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
        *runs += kind_of(p) == PAGE_RUN ? pages : 0;
        free_before = is_hole;
        at += pages;
    }
    return at == a->pages;
}

bool hk_arena_check(void)
{
    size_t dirty = 0, live = HK_SS_ARENA ? 0 : hk_arena_single_bytes(), runs = 0;
    bool ok = true;
    hk_lock(&hk_arenas.lock);
    for (uint32_t i = 0; i < hk_arenas.count; i++)
        ok = check_arena(&hk_arenas.arena[i], &dirty, &live, &runs) && ok;
    ok = ok && dirty == hk_load_relaxed(&hk_arena_dirty_pages) && live == hk_load_relaxed(&hk_arenas.live);
    ok = ok && runs == hk_load_relaxed(&hk_arena_run_pages);
    hk_unlock(&hk_arenas.lock);
    return ok;
}
