/* SPDX-License-Identifier: MIT
 *
 * Large blocks of heaps of one's own: a run each, or a mapping.
 */
#include "large/own_priv.h"

#include "large/huge.h"
#include "os/os.h"

/* ---- runs ---- */

static size_t usable_of_large(const struct hk_own_run *run)
{
    return run->bytes - run->first - HK_OWN_HEAD;
}

/* Behind the start there is room for the run's record, as much as the alignment leaves: of that no page but the first
 * is written. */
void *hk_own_take_large(struct hk_own *heap, struct hk_own_want *want)
{
    size_t offset = hk_max(want->align, HK_OWN_START);
    size_t bytes = hk_align_up(hk_max(want->size, 1) + offset, HK_PAGE);
    if (!hk_own_may_have(heap, bytes))
        return NULL;
    struct hk_own_run *run = hk_own_run_new(heap, bytes, hk_max(want->align, HK_PAGE), offset - HK_OWN_HEAD);
    if (run == NULL)
        return NULL;
    struct hk_own_head *head = hk_own_head_at(run, run->first);
    run->large = true;
    run->live = 1;
    run->cut = run->bytes;
    want->zero = run->zero;
    head->bytes = 0;
    hk_own_set(head, HK_OWN_LIVE);
    hk_own_run_enter(run);
    hk_own_count_live(heap, usable_of_large(run), 1);
    return hk_own_block_of(head);
}

void hk_own_free_large(struct hk_own_run *run)
{
    hk_own_count_live(run->heap, -usable_of_large(run), -(size_t)1);
    hk_own_set(hk_own_head_at(run, run->first), HK_OWN_FREE);
    hk_own_run_leave(run);
}

/* Counts first, so that two that grow at once stay below the limit together. */
static bool resize_run(struct hk_own_run *run, size_t size, size_t roomy)
{
    struct hk_own *heap = run->heap;
    size_t before = run->bytes, head = run->first + HK_OWN_HEAD;
    size_t bytes = hk_align_up(size + head, HK_PAGE), most = hk_align_up(roomy + head, HK_PAGE);
    size_t room = heap->limit - hk_min(heap->limit, hk_own_held(heap)) + before;
    if (most > hk_min(room, HK_RUN_PAGES_MAX * HK_PAGE))
        most = bytes;
    if (most > HK_RUN_PAGES_MAX * HK_PAGE || (most > before && !hk_own_may_have(heap, most - before)) ||
        !hk_own_run_reach(run, most) || !hk_arena_resize(run, bytes / HK_PAGE, most / HK_PAGE))
        return false;
    size_t now = hk_arena_pages_of_live(run) * HK_PAGE;
    hk_poke(&run->bytes, (uint32_t)now);
    run->cut = run->bytes;
    hk_poke_add(&heap->run_bytes, now - before);
    hk_own_count_live(heap, now - before, 0);
    hk_own_look_peak(heap);
    return true;
}

/* ---- mappings ---- */

static void count_huge(struct hk_own *heap, size_t bytes, size_t blocks)
{
    hk_poke_add(&heap->huge_bytes, bytes);
    hk_poke_add(&heap->huge_blocks, blocks);
    hk_add_relaxed(&hk_own_mappings, blocks);
    hk_own_count_live(heap, bytes, blocks);
    hk_own_look_peak(heap);
}

static bool may_count_huge(struct hk_own *heap, size_t bytes, size_t blocks, bool *limited)
{
    hk_lock(&heap->lock);
    heap->limited = false;
    bool may = !heap->broken && hk_own_may_have(heap, bytes);
    if (may)
        count_huge(heap, bytes, blocks);
    *limited = heap->limited;
    hk_unlock(&heap->lock);
    return may;
}

static void count_huge_less(struct hk_own *heap, size_t bytes, size_t blocks)
{
    hk_lock(&heap->lock);
    count_huge(heap, -bytes, -blocks);
    hk_unlock(&heap->lock);
}

void *hk_own_take_huge(struct hk_own *heap, struct hk_own_want *want)
{
    size_t bytes = hk_align_up(hk_max(want->size, 1), hk_os_page_size());
    want->refused = !may_count_huge(heap, bytes, 1, &want->limited);
    if (want->refused)
        return NULL;
    void *start = hk_huge_alloc(bytes, want->align);
    if (start == NULL)
        count_huge_less(heap, bytes, 1);
    else
        hk_huge_set_tag(start, 0, (uintptr_t)heap);
    return start;
}

bool hk_own_free_huge(struct hk_own *heap, void *start, uintptr_t tag)
{
    size_t bytes = hk_huge_set_tag(start, tag, 0);
    if (bytes == 0)
        return false;
    if (tag == hk_own_later_tag(heap))
        hk_sub_relaxed(&hk_own_waiting, 1);
    bool freed = hk_huge_free(start);
    count_huge_less(heap, bytes, 1); /* the memory went before the heap may have as much */
    return freed;
}

static void *resize_huge(struct hk_own *heap, const struct hk_block *block, size_t size)
{
    size_t before = block->size, now = hk_align_up(size, hk_os_page_size());
    bool limited;
    if (now > before && !may_count_huge(heap, now - before, 0, &limited))
        return NULL;
    void *start = hk_huge_resize(block->start, size);
    if (start == NULL && now > before)
        count_huge_less(heap, now - before, 0);
    if (start != NULL && now < before)
        count_huge_less(heap, before - now, 0);
    return start;
}

/* ---- either ---- */

void *hk_own_resize(const struct hk_block *block, size_t size, size_t roomy)
{
    struct hk_own *heap = hk_own_of(block);
    struct hk_own_run *run = hk_own_run_at(block->start);
    if (heap != NULL)
        hk_own_free_waiting(heap);
    if (run == NULL)
        return heap != NULL && size > HK_RUN_PAGES_MAX * HK_PAGE / 2 ? resize_huge(heap, block, size) : NULL;
    if (!run->large || hk_own_is_piece(16, size) || size < hk_block_half(block) || roomy > HK_SPACE_MOST)
        return NULL;
    hk_lock(&heap->lock);
    bool done = !heap->broken && resize_run(run, size, hk_max(roomy, size));
    hk_unlock(&heap->lock);
    return done ? block->start : NULL;
}
