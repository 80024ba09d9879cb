/* SPDX-License-Identifier: MIT */
#include "pages/ss_arena_priv.h"

#include "base/assert.h"
#include "base/telemetry.h"
#include "os/os.h"

#define SLAB_PAGES (HK_SLAB_SIZE / HK_PAGE)
#define L25_PAGES (HK_MIB / HK_PAGE) /* a longer run is a huge one */

/* Runs of one bin that a search looks at for the best fit, and for one that holds an aligned start. */
#define LOOK 16

struct arenas hk_arenas = {.lock = HK_LOCK_FREE(HK_RANK_ARENA)};
_Atomic bool hk_arena_scarce;
_Atomic size_t hk_arena_dirty_pages;
_Atomic size_t hk_arena_run_pages;
_Atomic size_t hk_arena_clean_taken;

struct hk_lock *hk_arena_lock(void)
{
    return &hk_arenas.lock;
}

size_t hk_arena_live(void)
{
    return hk_load_relaxed(&hk_arenas.live);
}

/* ---- bins ---- */

/* The last run of the space counts as longer than any other: behind it there is more. So what was used before comes
 * before what never was. */
static unsigned bin_for(uint32_t ref, uint32_t pages)
{
    return ref + pages == all_pages() ? BINS - 1 : bin_of(pages);
}

void hk_arena_unlink(uint32_t ref)
{
    struct page *p = page_of(ref);
    struct bins *b = bins_for(&hk_arenas.node[node_of(ref)], kind_of(p));
    unsigned bin = bin_for(ref, pages_of(p));
    if (p->next != NO_PAGE)
        page_of(p->next)->prev = p->prev;
    if (p->prev != NO_PAGE)
        page_of(p->prev)->next = p->next;
    else if (p->next != NO_PAGE)
        b->bin[bin] = p->next;
    else
        b->filled[bin / 64] &= ~((uint64_t)1 << bin % 64);
}

void hk_arena_link(uint32_t ref, uint32_t pages, enum page_kind kind, uint32_t stamp)
{
    struct page *p = page_of(ref);
    struct bins *b = bins_for(&hk_arenas.node[node_of(ref)], kind);
    unsigned bin = bin_for(ref, pages);
    uint64_t bit = (uint64_t)1 << bin % 64;
    set_page(page_of(ref + pages - 1), pages, PAGE_FREE_TAIL);
    set_page(p, pages, kind);
    p->stamp = stamp;
    p->prev = NO_PAGE;
    p->next = b->filled[bin / 64] & bit ? b->bin[bin] : NO_PAGE;
    if (p->next != NO_PAGE)
        page_of(p->next)->prev = ref;
    b->bin[bin] = ref;
    b->filled[bin / 64] |= bit;
}

/* The first bin >= `bin` with a run in it, or BINS. */
static unsigned next_bin(const struct bins *b, unsigned bin)
{
    return (unsigned)hk_bits_find(b->filled, bin, BINS, true);
}

/* The free run behind these pages that they can be merged with, or 0 pages: there is none. */
static uint32_t free_behind(uint32_t ref, uint32_t pages, bool absent)
{
    uint32_t behind = ref + pages;
    if (behind >= all_pages())
        return 0;
    struct page seen = seen_at(behind);
    if (!is_free(&seen) || (kind_of(&seen) == PAGE_ABSENT) != absent || node_of(behind) != node_of(ref))
        return 0;
    return pages + pages_of(&seen) <= LONGEST ? pages_of(&seen) : 0;
}

/* The same before them. */
static uint32_t free_before(uint32_t ref, uint32_t pages, bool absent)
{
    struct page seen = ref > 0 ? seen_at(ref - 1) : (struct page){.word = PAGE_RUN};
    if (kind_of(&seen) != PAGE_FREE_TAIL && !is_free(&seen))
        return 0;
    uint32_t more = pages_of(&seen), first = ref - more;
    bool fits = (kind_of(page_of(first)) == PAGE_ABSENT) == absent && node_of(first) == node_of(ref);
    return fits && pages + more <= LONGEST ? more : 0;
}

/* A clean run beside a dirty one makes a dirty one: what is dirty in it is in the bits. */
static HK_NOINLINE uint32_t insert_merged(uint32_t ref, uint32_t pages, enum page_kind kind, uint32_t stamp)
{
    bool absent = kind == PAGE_ABSENT, clean = kind == PAGE_FREE_CLEAN;
    uint32_t more = free_behind(ref, pages, absent);
    if (more != 0) {
        struct page *behind = page_of(ref + pages);
        clean = clean && kind_of(behind) == PAGE_FREE_CLEAN;
        stamp = younger_stamp(stamp, behind);
        hk_arena_unlink(ref + pages);
        set_page(behind, 0, PAGE_INTERIOR);
        pages += more;
    }
    more = free_before(ref, pages, absent);
    if (more != 0) {
        struct page *last = page_of(ref - 1);
        set_page(page_of(ref), 0, PAGE_INTERIOR);
        ref -= more;
        clean = clean && kind_of(page_of(ref)) == PAGE_FREE_CLEAN;
        stamp = younger_stamp(stamp, page_of(ref));
        hk_arena_unlink(ref);
        if (more > 1)
            set_page(last, 0, PAGE_INTERIOR);
        pages += more;
    }
    hk_arena_link(ref, pages, absent ? PAGE_ABSENT : clean ? PAGE_FREE_CLEAN : PAGE_FREE, stamp);
    return ref;
}

uint32_t hk_arena_insert(uint32_t ref, uint32_t pages, uint32_t stamp)
{
    bool clean = hk_bits_find(hk_arenas.dirty, ref, ref + pages, true) == ref + pages;
    return insert_merged(ref, pages, clean ? PAGE_FREE_CLEAN : PAGE_FREE, stamp);
}

void hk_arena_insert_absent(uint32_t ref, uint32_t pages)
{
    insert_merged(ref, pages, PAGE_ABSENT, 0);
}

/* ---- take ---- */

/* The first page in the free run `ref` where `pages` fit at a multiple of `align`, or NO_PAGE. */
static uint32_t place_in(uint32_t ref, uint32_t pages, size_t align)
{
    uintptr_t start = (uintptr_t)address_of(ref);
    uint32_t skip = (uint32_t)((hk_align_up(start, align) - start) / HK_PAGE);
    uint32_t have = pages_of(page_of(ref));
    return have >= pages && have - pages >= skip ? ref + skip : NO_PAGE;
}

/* The smallest of the first runs of a bin, whose first is `ref`, that fits. */
static uint32_t best_of_bin(uint32_t ref, uint32_t pages, size_t align, uint32_t *run)
{
    uint32_t best = NO_PAGE, length = UINT32_MAX;
    for (unsigned i = 0; i < LOOK && ref != NO_PAGE; i++, ref = page_of(ref)->next) {
        uint32_t place = place_in(ref, pages, align);
        if (place != NO_PAGE && pages_of(page_of(ref)) < length) {
            best = place;
            length = pages_of(page_of(ref));
            *run = ref;
        }
    }
    return best;
}

/* In the smallest bin that has a place, and there in a dirty run before a clean one. */
static uint32_t find_place(const struct arena_node *n, uint32_t pages, size_t align, uint32_t *run)
{
    unsigned dirty = next_bin(&n->dirty, bin_of(pages)), clean = next_bin(&n->clean, bin_of(pages));
    while (dirty < BINS || clean < BINS) {
        bool is_dirty = dirty <= clean;
        uint32_t first = is_dirty ? n->dirty.bin[dirty] : n->clean.bin[clean];
        uint32_t place = best_of_bin(first, pages, align, run);
        if (place != NO_PAGE)
            return place;
        if (is_dirty)
            dirty = next_bin(&n->dirty, dirty + 1);
        else
            clean = next_bin(&n->clean, clean + 1);
    }
    return NO_PAGE;
}

void hk_arena_cut(uint32_t ref, uint32_t place, uint32_t pages)
{
    struct page *p = page_of(ref);
    uint32_t length = pages_of(p), stamp = p->stamp;
    enum page_kind kind = kind_of(p);
    hk_arena_unlink(ref);
    set_page(page_of(ref + length - 1), 0, PAGE_INTERIOR);
    set_page(p, 0, PAGE_INTERIOR);
    if (place > ref)
        hk_arena_link(ref, place - ref, kind, stamp);
    if (place + pages < ref + length)
        hk_arena_link(place + pages, ref + length - place - pages, kind, stamp);
}

/* Takes the dirty bits away from a part of a run of `length` pages in all, which the program will see; true when there
 * were none. */
static bool hand_out(uint32_t ref, uint32_t pages, size_t length)
{
    size_t dirty = hk_arena_clear_dirty(ref, pages);
    hk_add_locked(&hk_arena_clean_taken, pages - dirty);
    hk_telemetry_add(length <= L25_PAGES ? HK_PAGES_L25 : HK_PAGES_HUGE, pages - dirty);
    return dirty == 0;
}

/* A live run of that kind from the node's units, if need be new ones, its dirty bits untouched yet; NO_PAGE: no
 * memory. */
static HK_ALWAYS_INLINE uint32_t take_locked(unsigned node, uint32_t pages, size_t align, enum page_kind kind)
{
    const struct arena_node *n = &hk_arenas.node[node];
    uint32_t run = NO_PAGE;
    uint32_t place = find_place(n, pages, align, &run);
    if (place == NO_PAGE) {
        if (!hk_arena_grow(pages, node))
            return NO_PAGE;
        place = find_place(n, pages, align, &run);
    }
    if (place == NO_PAGE)
        return NO_PAGE;
    hk_arena_cut(run, place, pages);
    set_page(page_of(place), pages, kind);
    count_live(kind, pages);
    return place;
}

/* From any other node, before there is no memory. */
static HK_SLOW_PATH uint32_t take_elsewhere(unsigned node, uint32_t pages, size_t align)
{
    uint32_t ref = NO_PAGE;
    for (unsigned other = 0; ref == NO_PAGE && other < hk_numa_nodes(); other++) {
        if (other != node)
            ref = take_locked(other, pages, align, PAGE_RUN);
    }
    return ref;
}

void *hk_arena_take(size_t pages, size_t align, bool *zero)
{
    if (!hk_arena_within_limit(pages * HK_PAGE))
        return NULL;
    unsigned node = hk_numa_node();
    hk_lock(&hk_arenas.lock);
    uint32_t ref = take_locked(node, (uint32_t)pages, align, PAGE_RUN);
    if (HK_UNLIKELY(ref == NO_PAGE))
        ref = take_elsewhere(node, (uint32_t)pages, align);
    if (ref != NO_PAGE)
        *zero = hand_out(ref, (uint32_t)pages, pages);
    hk_unlock(&hk_arenas.lock);
    return ref == NO_PAGE ? NULL : address_of(ref);
}

HK_SLOW_PATH uint32_t hk_arena_take_unit_locked(unsigned node, enum page_kind kind)
{
    return take_locked(node, UNIT_PAGES, HK_UNIT_SIZE, kind);
}

/* ---- give ---- */

static void set_dirty(uint32_t ref, uint32_t pages)
{
    size_t before = hk_bits_set(hk_arenas.dirty, ref, pages);
    hk_add_locked(&hk_arena_dirty_pages, pages - before); /* as in hk_arena_clear_dirty */
}

void hk_arena_free_pages_locked(uint32_t ref, uint32_t pages, uint32_t clean, uint32_t now)
{
    set_dirty(ref, pages);
    for (; clean != 0; clean &= clean - 1)
        hk_arena_clear_dirty(ref + hk_lowest(clean) * SLAB_PAGES, SLAB_PAGES);
    hk_arena_insert(ref, pages, now);
}

HK_NOINLINE bool hk_arena_give_run(void *ptr, enum page_kind kind, uint32_t clean)
{
    uint32_t now = hk_os_now_ms(); /* it takes a part of the time that the rest does: not under the lock */
    hk_lock(&hk_arenas.lock);
    uint32_t ref = hk_arena_page(ptr);
    bool ok = ref != NO_PAGE && (uintptr_t)ptr % HK_PAGE == 0;
    struct page seen = ok ? seen_at(ref) : (struct page){.word = 0};
    uint32_t pages = pages_of(&seen);
    ok = ok && kind_of(&seen) == kind;
    if (ok) {
        set_page(page_of(ref), 0, PAGE_INTERIOR);
        count_live(kind, -(size_t)pages);
        hk_arena_free_pages_locked(ref, pages, clean, now);
    }
    hk_unlock(&hk_arenas.lock);
    return ok;
}

bool hk_arena_give(void *ptr)
{
    return hk_arena_give_run(ptr, PAGE_RUN, 0);
}

/* ---- resize ---- */

static bool shrink_locked(uint32_t ref, uint32_t have, uint32_t pages)
{
    set_page(page_of(ref), pages, PAGE_RUN);
    count_live(PAGE_RUN, -(size_t)(have - pages));
    hk_arena_free_pages_locked(ref + pages, have - pages, 0, hk_os_now_ms());
    return true;
}

static HK_SLOW_PATH bool grow_locked(uint32_t ref, uint32_t have, uint32_t pages)
{
    uint32_t more = free_behind(ref, have, false);
    if (!hk_arena_within_limit((pages - have) * HK_PAGE))
        return false;
    if (have + more < pages && ref + have + more == all_pages() &&
        hk_arena_grow(pages - have - more, node_of(ref))) /* there, or else where others find it */
        more = free_behind(ref, have, false);
    if (have + more < pages)
        return false;
    set_page(page_of(ref), pages, PAGE_RUN);
    hk_arena_cut(ref + have, ref + have, pages - have);
    hand_out(ref + have, pages - have, pages);
    count_live(PAGE_RUN, pages - have);
    return true;
}

static bool resize_locked(uint32_t ref, uint32_t pages, uint32_t roomy)
{
    struct page seen = seen_at(ref);
    uint32_t have = pages_of(&seen);
    if (kind_of(&seen) != PAGE_RUN)
        return false;
    if (pages < have)
        return shrink_locked(ref, have, pages);
    return pages == have || grow_locked(ref, have, roomy) || (roomy != pages && grow_locked(ref, have, pages));
}

size_t hk_arena_pages_of_live(const void *ptr)
{
    uint32_t ref = hk_arena_page(ptr);
    if (ref == NO_PAGE || (uintptr_t)ptr % HK_PAGE != 0)
        return 0;
    struct page seen = seen_at(ref);
    return kind_of(&seen) == PAGE_RUN ? pages_of(&seen) : 0;
}

/* Without the lock, so a hint. */
bool hk_arena_may_grow(const void *ptr, size_t have, size_t pages)
{
    uint32_t end = hk_load_acquire(&hk_arenas.pages); /* pairs with move_end */
    uint32_t behind = hk_arena_page(ptr) + (uint32_t)have;
    if (behind >= end)
        return true;
    struct page seen = seen_at(behind);
    return is_free(&seen) && (have + pages_of(&seen) >= pages || behind + pages_of(&seen) == end);
}

HK_SLOW_PATH bool hk_arena_resize(void *ptr, size_t pages, size_t roomy)
{
    hk_lock(&hk_arenas.lock);
    uint32_t ref = hk_arena_page(ptr);
    bool ok = ref != NO_PAGE && resize_locked(ref, (uint32_t)pages, (uint32_t)roomy);
    hk_unlock(&hk_arenas.lock);
    return ok;
}

/* ---- the limit ---- */

bool hk_arena_charge(size_t bytes)
{
    if (!hk_arena_within_limit(bytes))
        return false;
    hk_add_relaxed(&hk_arenas.charged, bytes);
    hk_use_wrote(HK_WORD_CHARGED);
    return true;
}

void hk_arena_uncharge(size_t bytes)
{
    hk_sub_relaxed(&hk_arenas.charged, bytes);
    hk_use_wrote(HK_WORD_CHARGED);
}
