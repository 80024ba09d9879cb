/* SPDX-License-Identifier: MIT
 *
 * Answers about all units, for reports and for wrong pointers. In a file of its own, as most programs never ask
 * (core/meson.build).
 */
#include "pages/ss_arena_priv.h"
#include "pages/ss_arena_source.h"

size_t hk_arena_mapped(void)
{
    const struct hk_arena_tables *t = &hk_arena_tables;
    hk_lock(&hk_arenas.lock);
    size_t tables = t->edges.mapped + t->dirty.mapped + t->inner.mapped + t->places.mapped;
    size_t all = hk_arenas.mapped + tables + hk_arena_superslab_bytes_locked();
    hk_unlock(&hk_arenas.lock);
    return all;
}

/* The first page of the run that a page is in. */
static uint32_t start_of(uint32_t ref)
{
    struct page seen = seen_at(ref);
    for (; kind_of(&seen) == PAGE_INTERIOR && ref > 0; seen = seen_at(ref))
        ref--;
    return kind_of(&seen) == PAGE_FREE_TAIL ? ref - (pages_of(&seen) - 1) : ref;
}

static struct hk_run describe_run(uint32_t ref, const void *ptr)
{
    struct hk_run none = {HK_RUN_NONE, NULL, 0};
    uint32_t start = start_of(ref);
    struct page seen = seen_at(start);
    struct hk_run run = {HK_RUN_FREED, address_of(start), pages_of(&seen)};
    if (kind_of(&seen) == PAGE_SUPERSLAB)
        run.kind = HK_RUN_SUPERSLAB;
    else if (kind_of(&seen) == PAGE_RUN)
        run.kind = run.start == ptr ? HK_RUN_LIVE : HK_RUN_INTERIOR;
    return kind_of(&seen) == PAGE_INTERIOR || kind_of(&seen) == PAGE_TAKEN ? none : run;
}

struct hk_run hk_arena_find(const void *ptr)
{
    struct hk_run run = {HK_RUN_NONE, NULL, 0};
    hk_lock(&hk_arenas.lock);
    uint32_t ref = hk_arena_page(ptr);
    if (ref != NO_PAGE)
        run = describe_run(ref, ptr);
    if (run.kind == HK_RUN_NONE)
        run = hk_arena_find_superslab_locked(ptr);
    hk_unlock(&hk_arenas.lock);
    return run;
}

static enum hk_run_kind public_kind(enum page_kind kind)
{
    return kind == PAGE_RUN ? HK_RUN_LIVE : kind == PAGE_SUPERSLAB ? HK_RUN_SUPERSLAB : HK_RUN_FREED;
}

static void visit_table(const struct hk_table *table,
                        void (*visit)(void *ctx, void *start, size_t size, enum hk_run_kind kind), void *ctx)
{
    if (table->mapped != 0)
        visit(ctx, table->start, table->mapped, HK_RUN_NONE);
}

void hk_arena_visit(void (*visit)(void *ctx, void *start, size_t size, enum hk_run_kind kind), void *ctx)
{
    hk_lock(&hk_arenas.lock);
    for (uint32_t at = 0, pages; at < all_pages(); at += pages) {
        struct page seen = seen_at(at);
        enum page_kind kind = kind_of(&seen);
        pages = pages_of(&seen);
        if (kind != PAGE_TAKEN && kind != PAGE_ABSENT)
            visit(ctx, address_of(at), pages * HK_PAGE, public_kind(kind));
    }
    visit_table(&hk_arena_tables.edges, visit, ctx);
    visit_table(&hk_arena_tables.dirty, visit, ctx);
    visit_table(&hk_arena_tables.inner, visit, ctx);
    visit_table(&hk_arena_tables.places, visit, ctx);
    hk_arena_visit_superslabs_locked(visit, ctx);
    hk_unlock(&hk_arenas.lock);
}
