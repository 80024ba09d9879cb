/* SPDX-License-Identifier: MIT
 *
 * Gives dirty pages of free runs back to the system, a piece at a time. No memory is given back under the lock: the
 * piece is cut out of its run, purged or unmapped, and entered again; the rest of the run can be used meanwhile.
 */
#include "base/assert.h"
#include "base/options.h"
#include "os/os.h"
#include "pages/ss_arena_priv.h"

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
    struct piece best = {NO_PAGE, 0, 0, 0, 0};
    size_t unit = hk_os_page_size() / HK_PAGE, low, high;
    size_t first = hk_align_up(ref, unit);
    size_t end = hk_align_down(ref + pages_of(page_of(ref)), unit);
    for (unsigned i = 0; i < PARTS && first < end && best.dirty < most; i++, end = low) {
        size_t last = hk_bits_find_last(hk_arenas.dirty, first, end, true);
        if (last == end)
            break;
        find_part(first, end, last, &low, &high);
        if (high - low > most) {
            high = hk_align_up(last + 1, unit);
            low = high - hk_min(high - low, most);
        }
        size_t dirty = hk_bits_count(hk_arenas.dirty, low, high - low);
        if (dirty > best.dirty)
            best = (struct piece){ref, (uint32_t)low, (uint32_t)(high - low), page_of(ref)->stamp, dirty};
    }
    return best;
}

uint32_t hk_purge_again_ms(uint32_t delay_ms)
{
    return (uint32_t)hk_max(hk_max(delay_ms, (size_t)hk_opt(HK_OPT_PURGE_DELAY_MS)), 1);
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

/* Cold: small, beside the system call that follows. */
static HK_SLOW_PATH struct piece find_piece(uint32_t now, uint32_t delay_ms, size_t most)
{
    size_t unit = hk_os_page_size() / HK_PAGE;
    struct search s = {now, delay_ms, hk_align_up((most + HK_PAGE - 1) / HK_PAGE, unit), 0, 0, {NO_PAGE, 0, 0, 0, 0}};
    for (unsigned node = 0; node < hk_numa_nodes() && !is_over(&s); node++)
        search_node(&s, &hk_arenas.node[node].dirty);
    return s.best;
}

enum outcome { KEPT, PURGED, UNMAPPED };

/* Whole units, where memory was refused before, leave the address space free for others. */
static enum outcome give_back(const struct piece *piece)
{
    char *start = address_of(piece->ref);
    bool units = piece->ref % UNIT_PAGES == 0 && piece->pages % UNIT_PAGES == 0;
    if (units && hk_arena_is_scarce() && hk_os_unmap(start, piece->pages * HK_PAGE)) /* a hint */
        return UNMAPPED;
    return piece->dirty != 0 && hk_os_purge(start, piece->pages * HK_PAGE) ? PURGED : KEPT;
}

/* Returns how many pages were dirty and are not now. */
static HK_SLOW_PATH size_t put_back(const struct piece *piece, enum outcome outcome, uint32_t now)
{
    size_t was = outcome != KEPT ? hk_bits_clear(hk_arenas.dirty, piece->ref, piece->pages) : 0;
    hk_add_locked(&hk_arena_dirty_pages, -was); /* a hint without the lock */
    set_page(page_of(piece->ref), 0, PAGE_INTERIOR);
    if (outcome == UNMAPPED) {
        hk_poke_sub(&hk_arenas.mapped, piece->pages * HK_PAGE);
        hk_arenas.node[node_of(piece->ref)].units -= piece->pages / UNIT_PAGES;
        hk_arena_insert_absent(piece->ref, piece->pages);
        return was;
    }
    uint32_t ref = hk_arena_insert(piece->ref, piece->pages, outcome == PURGED ? piece->stamp : now);
    if (outcome == KEPT && kind_of(page_of(ref)) == PAGE_FREE)
        set_page(page_of(ref), pages_of(page_of(ref)), PAGE_FREE_REFUSED);
    return was;
}

static void take_out(const struct piece *piece)
{
    hk_arena_cut(piece->run, piece->ref, piece->pages);
    set_page(page_of(piece->ref), piece->pages, PAGE_PURGING);
}

size_t hk_arena_purge(uint32_t now, uint32_t delay_ms, size_t most, bool *refused)
{
    HK_ASSERT(most > 0 && most <= HK_PURGE_MOST);
    hk_lock(&hk_arenas.lock);
    struct piece piece = find_piece(now, delay_ms, most);
    if (piece.run != NO_PAGE)
        take_out(&piece);
    hk_unlock(&hk_arenas.lock);
    if (piece.run == NO_PAGE)
        return 0;
    enum outcome outcome = give_back(&piece);
    hk_lock(&hk_arenas.lock);
    size_t pages = put_back(&piece, outcome, now);
    hk_unlock(&hk_arenas.lock);
    *refused = *refused || outcome == KEPT;
    return pages * HK_PAGE;
}

/* ---- clean units ---- */

/* The whole units of a free run of these bins, of which no page is dirty. (A run that was purged bit by bit may still
 * be where dirty ones are.) */
static HK_SLOW_PATH struct piece find_clean_units(const struct bins *b)
{
    size_t below = BINS, bin;
    while ((bin = hk_bits_find_last(b->filled, 0, below, true)) < below && bin >= bin_of(UNIT_PAGES)) {
        for (uint32_t ref = b->bin[bin]; ref != NO_PAGE; ref = page_of(ref)->next) {
            uint32_t first = (uint32_t)hk_align_up(ref, UNIT_PAGES);
            uint32_t end = (uint32_t)hk_align_down(ref + pages_of(page_of(ref)), UNIT_PAGES);
            if (first < end && hk_bits_find(hk_arenas.dirty, first, end, true) == end)
                return (struct piece){ref, first, end - first, page_of(ref)->stamp, 0};
        }
        below = bin;
    }
    return (struct piece){NO_PAGE, 0, 0, 0, 0};
}

static HK_SLOW_PATH bool unmap_clean_of(const struct bins *b)
{
    hk_lock(&hk_arenas.lock);
    struct piece piece = find_clean_units(b);
    if (piece.run != NO_PAGE)
        take_out(&piece);
    hk_unlock(&hk_arenas.lock);
    if (piece.run == NO_PAGE)
        return false;
    enum outcome outcome = give_back(&piece);
    hk_lock(&hk_arenas.lock);
    put_back(&piece, outcome, hk_os_now_ms());
    hk_unlock(&hk_arenas.lock);
    return outcome == UNMAPPED;
}

HK_SLOW_PATH void hk_arena_unmap_clean(void)
{
    for (unsigned node = 0; node < hk_numa_nodes() && hk_arena_is_scarce(); node++) { /* a hint */
        const struct arena_node *n = &hk_arenas.node[node];
        while (unmap_clean_of(&n->clean) || unmap_clean_of(&n->dirty)) {
        }
    }
}
