/* SPDX-License-Identifier: MIT
 *
 * Runs, the bits that tell where they begin, heaps, and the list of all of them.
 */
#include "large/own_priv.h"

#include "large/huge.h"

_Atomic size_t hk_own_pages;

/* Guards the list, the table and the marks of heaps. */
static struct hk_lock lock = HK_LOCK_FREE(HK_RANK_OWNS);
static struct hk_list heaps;
static struct hk_table bits; /* a bit for each page: does a run begin there? */

/* ---- where runs begin ---- */

_Static_assert(HK_SPACE_MOST / HK_PAGE / 8 <= HK_TABLE_MOST, "a table has a bit for each page");

static _Atomic uint64_t *words; /* its start; written once, before hk_own_pages */

static _Atomic uint64_t *word_of(size_t page)
{
    return words + page / 64;
}

static size_t page_number(const void *ptr)
{
    return ((uintptr_t)ptr - hk_space_base) / HK_PAGE;
}

/* Whole words, and all that was mapped for it: whoever looks asks for no more. */
static bool reach_pages(size_t pages)
{
    hk_lock(&lock);
    bool ok =
        pages <= hk_load_relaxed(&hk_own_pages) || hk_table_reach(&bits, HK_TABLE_OWN, hk_align_up(pages, 64) / 8);
    if (ok && words == NULL)
        words = (_Atomic uint64_t *)(void *)bits.start;
    if (ok && bits.mapped * 8 != hk_load_relaxed(&hk_own_pages))
        hk_store_release(&hk_own_pages, bits.mapped * 8); /* pairs with hk_own_is_used, and hk_own_run_at */
    hk_unlock(&lock);
    return ok;
}

/* The last page up to this one where a run begins, not further back than a run may be long; SIZE_MAX: there is none. */
static size_t last_start(size_t page)
{
    size_t least = page > HK_RUN_PAGES_MAX ? page - HK_RUN_PAGES_MAX : 0;
    uint64_t mask = UINT64_MAX >> (63 - page % 64);
    for (size_t at = page / 64;; at--, mask = UINT64_MAX) {
        uint64_t word = hk_load_relaxed(word_of(at * 64)) & mask; /* that of the caller's run came with it */
        if (word != 0)
            return at * 64 + hk_log2(word);
        if (at * 64 <= least)
            return SIZE_MAX;
    }
}

struct hk_own_run *hk_own_run_at(const void *ptr)
{
    size_t page = page_number(ptr);
    if (page >= hk_load_acquire(&hk_own_pages)) /* pairs with reach_pages */
        return NULL;
    page = last_start(page);
    if (page == SIZE_MAX)
        return NULL;
    struct hk_own_run *run = (struct hk_own_run *)(hk_space_base + page * HK_PAGE);
    return (uintptr_t)ptr - (uintptr_t)run < hk_peek(&run->bytes) ? run : NULL;
}

/* ---- runs ---- */

struct hk_own_run *hk_own_run_new(struct hk_own *heap, size_t bytes, size_t align, size_t first)
{
    bool zero;
    struct hk_own_run *run = hk_arena_take(bytes / HK_PAGE, align, &zero);
    if (run == NULL)
        return NULL;
    size_t page = page_number(run);
    if (!reach_pages(page + bytes / HK_PAGE)) {
        hk_arena_give(run);
        return NULL;
    }
    *run = (struct hk_own_run){.heap = heap, .first = (uint32_t)first, .cut = (uint32_t)first, .zero = zero};
    hk_poke(&run->bytes, (uint32_t)bytes);
    hk_or_relaxed(word_of(page), (uint64_t)1 << page % 64); /* goes with the block */
    return run;
}

void hk_own_run_drop(struct hk_own_run *run)
{
    size_t page = page_number(run);
    hk_and_relaxed(word_of(page), ~((uint64_t)1 << page % 64)); /* the arena's lock orders it before what is next */
    hk_arena_give(run);
}

bool hk_own_run_reach(const struct hk_own_run *run, size_t bytes)
{
    return reach_pages(page_number(run) + bytes / HK_PAGE);
}

void hk_own_run_enter(struct hk_own_run *run)
{
    struct hk_own *heap = run->heap;
    hk_list_push(&heap->runs, &run->node);
    hk_poke_add(&heap->run_bytes, run->bytes);
    hk_poke_add(&heap->run_count, 1);
    hk_own_look_peak(heap);
}

void hk_own_run_leave(struct hk_own_run *run)
{
    struct hk_own *heap = run->heap;
    hk_list_remove(&run->node);
    hk_poke_sub(&heap->run_bytes, run->bytes);
    hk_poke_sub(&heap->run_count, 1);
    hk_own_run_drop(run);
}

/* ---- heaps ---- */

#define FIRST_RUN HK_PAGE
#define FIRST_HEAD (hk_align_up(HK_OWN_START + sizeof(struct hk_own) + HK_OWN_HEAD, 16) - HK_OWN_HEAD)
_Static_assert(HK_OWN_START + sizeof(struct hk_own) + 1024 <= FIRST_RUN, "the first run has room for blocks");

struct hk_own *hk_own_new(size_t limit)
{
    limit = limit != 0 ? limit : SIZE_MAX;
    struct hk_own_run *run = limit >= FIRST_RUN ? hk_own_run_new(NULL, FIRST_RUN, HK_PAGE, FIRST_HEAD) : NULL;
    if (run == NULL)
        return NULL;
    struct hk_own *heap = (struct hk_own *)(void *)((char *)run + HK_OWN_START);
    run->heap = heap;
    *heap = (struct hk_own){.limit = limit, .cutting = run, .run_bytes = FIRST_RUN, .run_count = 1, .peak = FIRST_RUN};
    hk_lock_init(&heap->lock, HK_RANK_OWN);
    hk_list_push(&heap->runs, &run->node);
    hk_lock(&lock);
    hk_poke(&heap->mark, hk_own_mark(heap));
    hk_list_push(&heaps, &heap->all);
    hk_unlock(&lock);
    return heap;
}

bool hk_own_is_heap(const struct hk_own *heap)
{
    struct hk_own_run *run = hk_own_run_at(heap);
    return run != NULL && (uintptr_t)heap - (uintptr_t)run == HK_OWN_START && hk_peek(&heap->mark) == hk_own_mark(heap);
}

bool hk_own_leave(struct hk_own *heap)
{
    hk_lock(&lock);
    bool mine = hk_own_is_heap(heap);
    if (mine) {
        hk_poke(&heap->mark, 0);
        hk_list_remove(&heap->all);
    }
    hk_unlock(&lock);
    return mine;
}

static void free_mappings(struct hk_own *heap, uintptr_t tag)
{
    void *start;
    while (heap->huge_blocks != 0 && (start = hk_huge_with_tag(tag)) != NULL)
        hk_own_free_huge(heap, start, tag);
}

/* The first run, in which the heap lies, goes last: it is the last one in the list of which it was the first. */
void hk_own_drop(struct hk_own *heap)
{
    free_mappings(heap, (uintptr_t)heap);
    free_mappings(heap, hk_own_later_tag(heap));
    struct hk_node *next;
    for (struct hk_node *node = heap->runs.first; node != NULL; node = next) {
        next = node->next;
        hk_own_run_drop(hk_own_run_of(node));
    }
}

/* ---- questions ---- */

static struct hk_own_sums count_locked(const struct hk_own *heap)
{
    return (struct hk_own_sums){.heaps = 1,
                                .live_bytes = hk_peek(&heap->live_bytes),
                                .live_blocks = hk_peek(&heap->live_blocks),
                                .large_bytes = hk_peek(&heap->huge_bytes),
                                .large_blocks = hk_peek(&heap->huge_blocks),
                                .held_bytes = hk_peek(&heap->run_bytes),
                                .runs = hk_peek(&heap->run_count),
                                .peak_bytes = hk_peek(&heap->peak),
                                .limit = heap->limit,
                                .refused = hk_peek(&heap->refused)};
}

struct hk_own_sums hk_own_count(struct hk_own *heap)
{
    hk_own_free_waiting(heap);
    hk_lock(&heap->lock);
    struct hk_own_sums sums = count_locked(heap);
    hk_unlock(&heap->lock);
    return sums;
}

struct hk_own_sums hk_own_count_all(void)
{
    struct hk_own_sums all = {0};
    hk_lock(&lock);
    for (struct hk_node *node = heaps.first; node != NULL; node = node->next) {
        struct hk_own_sums one = count_locked(HK_CONTAINER(node, struct hk_own, all));
        all.heaps++;
        all.live_bytes += one.live_bytes;
        all.live_blocks += one.live_blocks;
        all.large_bytes += one.large_bytes;
        all.large_blocks += one.large_blocks;
        all.held_bytes += one.held_bytes;
        all.runs += one.runs;
        all.refused += one.refused;
    }
    hk_unlock(&lock);
    return all;
}

void hk_own_visit(void (*visit)(void *ctx, void *start, size_t size), void *ctx)
{
    hk_lock(&lock);
    hk_table_visit(&bits, visit, ctx);
    hk_unlock(&lock);
}

/* ---- fork ---- */

void hk_own_fork_child(bool inside)
{
    hk_lock_reset(&lock);
    for (struct hk_node *node = heaps.first; node != NULL; node = node->next) {
        struct hk_own *heap = HK_CONTAINER(node, struct hk_own, all);
        if (HK_UNLIKELY(hk_load_relaxed(&heap->lock.word) != 0)) {
            heap->broken = heap->broken || !inside;
            hk_lock_reset(&heap->lock);
        }
    }
}
