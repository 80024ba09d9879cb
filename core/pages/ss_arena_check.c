/* SPDX-License-Identifier: MIT
 *
 * Do the records of pages say what the bits and the sums say? For tests and -Dcheck builds, which link it; it is in no
 * other library.
 */
#include "pages/ss_arena_priv.h"
#include "pages/ss_arena_source.h"

struct sums {
    size_t dirty, live, runs, mapped;
};

/* Does the run that begins there follow the rules? */
static bool check_run(uint32_t at, const struct page *p, size_t dirty)
{
    uint32_t pages = pages_of(p);
    bool absent = kind_of(p) == PAGE_ABSENT;
    if (is_free(p) && pages_of(page_of(at + pages - 1)) != pages)
        return false;
    if (absent && (at % UNIT_PAGES != 0 || pages % UNIT_PAGES != 0))
        return false;
    bool may_be_dirty = (is_free(p) && !absent && kind_of(p) != PAGE_FREE_CLEAN) || kind_of(p) == PAGE_PURGING;
    return dirty == 0 || may_be_dirty;
}

/* Two free runs side by side would be one. */
static bool should_be_one(uint32_t at, const struct page *p, const struct page *before)
{
    return before != NULL && is_free(p) && is_free(before) &&
           (kind_of(p) == PAGE_ABSENT) == (kind_of(before) == PAGE_ABSENT) && node_of(at) == node_of(at - 1) &&
           pages_of(p) + pages_of(before) <= LONGEST;
}

static bool check_runs(struct sums *sums)
{
    uint32_t at = 0, pages;
    struct page seen, last;
    const struct page *p = &seen, *before = NULL;
    for (; at < all_pages(); at += pages, last = seen, before = &last) {
        seen = seen_at(at);
        pages = pages_of(p);
        if (pages == 0 || pages > all_pages() - at)
            return false;
        size_t dirty = hk_bits_count(hk_arenas.dirty, at, pages);
        if (!check_run(at, p, dirty) || should_be_one(at, p, before))
            return false;
        bool is_run = kind_of(p) == PAGE_RUN;
        sums->dirty += dirty;
        sums->live += is_run || kind_of(p) == PAGE_SUPERSLAB ? pages * HK_PAGE : 0;
        sums->runs += is_run ? pages : 0;
        sums->mapped += kind_of(p) != PAGE_ABSENT && kind_of(p) != PAGE_TAKEN ? pages * HK_PAGE : 0;
    }
    return at == all_pages();
}

bool hk_arena_check(void)
{
    hk_lock(&hk_arenas.lock);
    struct sums sums = {0, hk_arena_superslab_bytes_locked(), 0, 0};
    bool ok = check_runs(&sums) && sums.dirty == hk_load_relaxed(&hk_arena_dirty_pages) &&
              sums.live == hk_load_relaxed(&hk_arenas.live) && sums.runs == hk_load_relaxed(&hk_arena_run_pages) &&
              sums.mapped == hk_arenas.mapped;
    hk_unlock(&hk_arenas.lock);
    return ok;
}
