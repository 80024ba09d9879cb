/* SPDX-License-Identifier: MIT */
#include "arena_model.h"

#include "superslab/registry.h"

static uint64_t *last_word(char *page)
{
    return (uint64_t *)(void *)(page + HK_PAGE - sizeof(uint64_t));
}

/* All pages of short runs, and of the rest of long ones some: what is purged, unmapped or given twice is mostly many.
 */
static bool is_tagged(size_t page)
{
    return page < 32 || page % 8 == 0;
}

/* The pages of a run from the first on to the end. */
static void tag_pages(char *start, size_t first, size_t end, uint64_t tag)
{
    for (size_t i = first; i < end; i++) {
        if (!is_tagged(i))
            continue;
        *(uint64_t *)(void *)(start + i * HK_PAGE) = tag + i;
        *last_word(start + i * HK_PAGE) = ~(tag + i);
    }
}

static void expect_tags(const struct model_run *r)
{
    for (size_t i = 0; i < r->pages; i++) {
        char *page = r->start + i * HK_PAGE;
        if (!is_tagged(i) || (r->superslab && (r->clean >> (i / 16) & 1) != 0))
            continue;
        EXPECT(*(uint64_t *)(void *)page == r->tag + i);
        EXPECT(*last_word(page) == ~(r->tag + i));
    }
}

static struct model_run *unused_run(struct model *m)
{
    for (unsigned i = 0; i < MODEL_RUNS; i++) {
        if (m->run[i].start == NULL)
            return &m->run[i];
    }
    return NULL;
}

static void enter(struct model *m, struct model_run *r, char *start, size_t pages)
{
    for (unsigned i = 0; i < MODEL_RUNS; i++) {
        const struct model_run *other = &m->run[i];
        EXPECT(other->start == NULL || start + pages * HK_PAGE <= other->start ||
               other->start + other->pages * HK_PAGE <= start);
    }
    *r = (struct model_run){.start = start, .pages = pages, .tag = ++m->tags << 20};
    m->live_pages += pages;
}

bool model_take(struct model *m, size_t pages, size_t align)
{
    bool zero = false;
    struct model_run *r = unused_run(m);
    if (r == NULL)
        return true;
    char *start = hk_arena_take(pages, align, &zero);
    if (start == NULL)
        return false;
    EXPECT((uintptr_t)start % align == 0 && (uintptr_t)start % HK_PAGE == 0);
    EXPECT(!zero || unit_is_zero(start, pages * HK_PAGE));
    enter(m, r, start, pages);
    tag_pages(start, 0, pages, r->tag);
    return true;
}

/* Writes into every other slab, so that some stay as they were. */
bool model_take_superslab(struct model *m)
{
    uint32_t clean;
    struct model_run *r = unused_run(m);
    if (r == NULL)
        return true;
    char *start = hk_arena_take_superslab(0, &clean);
    EXPECT(start != NULL || clean == 0);
    if (start == NULL)
        return false;
    EXPECT((uintptr_t)start % HK_SUPERSLAB_SIZE == 0);
    enter(m, r, start, HK_SUPERSLAB_SIZE / HK_PAGE);
    r->superslab = true;
    for (unsigned i = 0; i < HK_SLABS; i++)
        EXPECT((clean >> i & 1) == 0 || unit_is_zero(start + i * HK_SLAB_SIZE, HK_SLAB_SIZE));
    r->clean = clean & 0x5555aaaau;
    for (size_t i = 0; i < r->pages; i++) {
        if ((r->clean >> (i / 16) & 1) == 0)
            tag_pages(start, i, i + 1, r->tag);
    }
    return true;
}

bool model_resize(struct model *m, unsigned i, size_t pages)
{
    struct model_run *r = &m->run[i];
    if (!hk_arena_resize(r->start, pages, pages)) {
        EXPECT(pages > r->pages); /* a run can always shrink */
        expect_tags(r);
        return false;
    }
    m->live_pages += pages - r->pages;
    if (pages > r->pages) {
        expect_tags(r);
        tag_pages(r->start, r->pages, pages, r->tag);
    }
    r->pages = pages;
    expect_tags(r);
    return true;
}

void model_give(struct model *m, unsigned i)
{
    struct model_run *r = &m->run[i];
    expect_tags(r);
    if (r->superslab) {
        EXPECT(!hk_arena_give(r->start));
        hk_arena_give_superslab(r->start, r->clean);
    } else {
        EXPECT(hk_arena_give(r->start));
        EXPECT(!hk_arena_give(r->start));
    }
    m->live_pages -= r->pages;
    r->start = NULL;
}

void model_give_all(struct model *m)
{
    for (unsigned i = 0; i < MODEL_RUNS; i++) {
        if (m->run[i].start != NULL)
            model_give(m, i);
    }
}

void model_step(struct model *m, size_t most, bool may_fail)
{
    unsigned i = (unsigned)unit_random(&m->seed, MODEL_RUNS);
    struct model_run *r = &m->run[i];
    size_t pages = 1 + unit_random(&m->seed, unit_random(&m->seed, 4) ? 20 : most);
    bool done = true;
    if (r->start == NULL) {
        size_t align = unit_random(&m->seed, 3) ? HK_PAGE : HK_PAGE << unit_random(&m->seed, 10);
        done = unit_random(&m->seed, 12) ? model_take(m, pages, align) : model_take_superslab(m);
    } else if (!r->superslab && unit_random(&m->seed, 2)) {
        model_resize(m, i, unit_random(&m->seed, 2) ? pages : r->pages + unit_random(&m->seed, 8));
    } else {
        model_give(m, i);
    }
    EXPECT(done || may_fail);
}

static void check_answers(struct model *m, const struct model_run *r)
{
    size_t offset = unit_random(&m->seed, r->pages * HK_PAGE);
    struct hk_run whole = hk_arena_find(r->start), inside = hk_arena_find(r->start + offset);
    if (r->superslab) {
        EXPECT(whole.kind == HK_RUN_SUPERSLAB && inside.kind == HK_RUN_SUPERSLAB);
        return;
    }
    EXPECT(whole.kind == HK_RUN_LIVE && whole.start == r->start && whole.pages == r->pages);
    EXPECT(inside.kind == (offset == 0 ? HK_RUN_LIVE : HK_RUN_INTERIOR));
    EXPECT(inside.start == r->start && inside.pages == r->pages);
    EXPECT(offset == 0 || !hk_arena_give(r->start + offset));
}

void model_check(struct model *m)
{
    size_t pages = 0;
    for (unsigned i = 0; i < MODEL_RUNS; i++) {
        if (m->run[i].start == NULL)
            continue;
        pages += m->run[i].pages;
        expect_tags(&m->run[i]);
        check_answers(m, &m->run[i]);
    }
    EXPECT(pages == m->live_pages);
    EXPECT(hk_arena_live() == pages * HK_PAGE);
    EXPECT(hk_arena_check());
}

size_t purge_runs(uint32_t now, uint32_t delay_ms, size_t keep)
{
    size_t given = 0;
    for (unsigned refusals = 0; hk_arena_dirty() > keep && refusals < 200;) {
        bool refused = false;
        size_t piece = hk_arena_purge(now, delay_ms, hk_min(hk_arena_dirty() - keep, HK_PURGE_MOST), &refused);
        EXPECT(!refused || piece == 0);
        given += piece;
        refusals += refused;
        if (piece == 0 && !refused)
            break;
    }
    return given;
}
