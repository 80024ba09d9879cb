/* SPDX-License-Identifier: MIT */
#include "base/options.h"
#include "os/os.h"
#include "superslab/meta.h"
#include "superslab/ss_arena_priv.h"

#define ARENA_FIRST (64 * HK_MIB)
#define ARENA_LAST (1 * HK_GIB)
#define ARENA_MAX (((size_t)1 << PAGE_BITS) * HK_PAGE)
#define COMMIT_FIRST ((uint32_t)(2 * HK_MIB / HK_PAGE))
#define COMMIT_LAST ((uint32_t)(32 * HK_MIB / HK_PAGE))

/* Bytes of the tables of so many pages: records of edges, dirty bits, records between. record_of asks for the
 * edge after the last page too. */
static size_t edges_size(size_t pages)
{
    return (pages / UNIT_PAGES + 1) * 2 * sizeof(struct page);
}

static size_t dirty_size(size_t pages)
{
    return hk_align_up((pages + 63) / 64 * 8, sizeof(struct page));
}

static size_t records_size(size_t pages)
{
    return hk_align_up(edges_size(pages) + dirty_size(pages) + pages * sizeof(struct page), hk_os_page_size());
}

/* Doubling from 64 MiB to 1 GiB, then a sixteenth of what there is: few mappings at every size of the heap. Under
 * RLIMIT_AS an eighth of it, so that the program has room. */
static size_t next_size(size_t need)
{
    size_t size = ARENA_FIRST;
    if (hk_arenas.count > 0)
        size = hk_max(hk_min(hk_arenas.mapped, ARENA_LAST), hk_arenas.mapped / 16);
    size_t limit = hk_os_address_limit();
    if (limit != SIZE_MAX)
        size = hk_min(size, limit / 8);
    size = hk_min(hk_max(size, need), ARENA_MAX);
    return hk_align_down(size, HK_SUPERSLAB_SIZE);
}

/* The reservation's unaligned head holds the tables; what is left of it goes to meta. */
static bool set_up(struct arena *a, char *start, size_t size, unsigned node)
{
    size_t records = records_size(size / HK_PAGE);
    char *base = (char *)hk_align_up((uintptr_t)start + records, HK_SUPERSLAB_SIZE);
    char *end = (char *)hk_align_down((uintptr_t)start + size, HK_SUPERSLAB_SIZE);
    if (base >= end || !hk_os_commit(start, records) || !hk_registry_cover(base, (size_t)(end - base)))
        return false;
    a->base = base;
    a->pages = (uint32_t)((size_t)(end - base) / HK_PAGE);
    a->ready = 0;
    a->step = COMMIT_FIRST;
    a->start = start;
    a->edge = (struct page *)(void *)start;
    a->dirty = (uint64_t *)(void *)((char *)a->edge + edges_size(size / HK_PAGE));
    a->inner = (struct page *)(void *)((char *)a->dirty + dirty_size(size / HK_PAGE));
    a->mapped = size;
    a->node = node;
    a->bins = &hk_arenas.node[node];
    hk_numa_prefer(start, size, node);
    hk_meta_donate(start + records, (size_t)(base - start) - records);
    /* Small programs stay small under THP=always too; a heap that needs a second arena is large enough to gain. Not so
     * one whose second arena is on another node. */
    a->no_huge = hk_arenas.node[node].count == 0 && hk_opt(HK_OPT_THP) == 0;
    if (a->no_huge)
        hk_os_hint_no_huge(start, size);
    return true;
}

bool hk_arena_grow(size_t pages, unsigned node)
{
    /* Records and alignment of the base take up to 2 MiB and 0.4 %. */
    size_t need = hk_align_up(pages * HK_PAGE, HK_SUPERSLAB_SIZE);
    need += hk_align_up(records_size(need / HK_PAGE), HK_SUPERSLAB_SIZE) + HK_SUPERSLAB_SIZE;
    if (hk_arenas.count == ARENAS_MAX || need > ARENA_MAX)
        return false;
    size_t size = hk_max(next_size(need), need);
    char *start = hk_os_reserve(size);
    while (start == NULL && size > need) {
        size = hk_max(hk_align_down(size / 2, HK_SUPERSLAB_SIZE), need);
        start = hk_os_reserve(size);
    }
    if (start == NULL)
        return false;
    struct arena *a = &hk_arenas.arena[hk_arenas.count];
    if (!set_up(a, start, size, node)) {
        hk_os_unmap(start, size);
        return false;
    }
    hk_arenas.count++;
    hk_arenas.node[node].count++;
    hk_arenas.mapped += size;
    hk_arena_insert((hk_arenas.count - 1) << PAGE_BITS, a->pages, hk_os_now_ms());
    return true;
}

bool hk_arena_start(void)
{
    hk_lock(&hk_arenas.lock);
    bool ok = hk_arenas.count > 0 || hk_arena_grow(1, hk_numa_node());
    hk_unlock(&hk_arenas.lock);
    return ok;
}

static bool commit_to(struct arena *a, size_t goal)
{
    goal = hk_min(hk_align_up(goal, hk_os_page_size() / HK_PAGE), a->pages);
    if (!hk_os_commit(a->base + a->ready * HK_PAGE, (goal - a->ready) * HK_PAGE))
        return false;
    a->ready = (uint32_t)goal;
    return true;
}

/* A growing step, or where that is refused no more than is needed. */
bool hk_arena_commit(struct arena *a, uint32_t end)
{
    if (end <= a->ready)
        return true;
    if (!commit_to(a, hk_max(end, a->ready + a->step)) && !commit_to(a, end))
        return false;
    a->step = (uint32_t)hk_min(a->step * 2, COMMIT_LAST);
    return true;
}

size_t hk_arena_pages_of_live(const void *ptr)
{
    uint32_t ref = hk_arena_page(ptr);
    bool is_start = ref != NO_PAGE && (uintptr_t)ptr % HK_PAGE == 0 && kind_of(page_of(ref)) == PAGE_RUN;
    return is_start ? pages_of(page_of(ref)) : 0;
}

static enum hk_run_kind public_kind(enum page_kind kind)
{
    return kind == PAGE_RUN ? HK_RUN_LIVE : kind == PAGE_SUPERSLAB ? HK_RUN_SUPERSLAB : HK_RUN_FREED;
}

void hk_arena_visit(void (*visit)(void *ctx, void *start, size_t size, enum hk_run_kind kind), void *ctx)
{
    hk_lock(&hk_arenas.lock);
    for (uint32_t i = 0; i < hk_arenas.count; i++) {
        struct arena *a = &hk_arenas.arena[i];
        for (uint32_t at = 0; at < a->pages; at += pages_of(record_of(a, at)))
            visit(ctx, a->base + at * HK_PAGE, pages_of(record_of(a, at)) * HK_PAGE,
                  public_kind(kind_of(record_of(a, at))));
        visit(ctx, a->start, records_size(a->mapped / HK_PAGE), HK_RUN_NONE);
    }
    if (!HK_SS_ARENA)
        hk_arena_single_visit_locked(visit, ctx);
    hk_unlock(&hk_arenas.lock);
}
