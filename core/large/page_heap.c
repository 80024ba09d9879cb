/* SPDX-License-Identifier: MIT */
#include "large/page_heap.h"

#include "large/own.h"
#include "large/walled.h"
#include "large/walls.h"
#include "superslab/size_class.h"

static size_t pages_for(size_t size)
{
    return hk_max((size + HK_PAGE - 1) / HK_PAGE, 1);
}

/* ---- runs, with or without walls ---- */

static void *take_run(size_t pages, size_t align, bool *zero)
{
    void *run = HK_GUARDS ? hk_walled_take(pages, align, zero) : NULL;
    return run != NULL ? run : hk_arena_take(pages, align, zero);
}

static bool give_run(void *run)
{
    return HK_GUARDS ? hk_walled_give(run) : hk_arena_give(run);
}

static bool resize_pages(void *run, size_t pages, size_t roomy)
{
    return HK_GUARDS ? hk_walled_resize(run, pages, roomy) : hk_arena_resize(run, pages, roomy);
}

/* ---- blocks ---- */

void *hk_page_heap_alloc(size_t size, size_t align, bool *zero)
{
    if (size <= HK_RUN_MAX && align <= HK_SUPERSLAB_SIZE) {
        uintptr_t *run = take_run(pages_for(size), hk_max(align, HK_PAGE), zero);
        if (run != NULL && !*zero)
            run[1] = 0;
        return run;
    }
    *zero = true;
    return hk_huge_alloc(size, align);
}

void *hk_page_heap_alloc_alone(size_t size, size_t align, bool *zero)
{
    if (size > HK_RUN_MAX || align > HK_SUPERSLAB_SIZE)
        return NULL; /* it would have been one */
    *zero = true;
    return hk_huge_alloc(hk_max(size, 1), align);
}

/* A run that may have asked for huge pages is not to be one, or as long as it was. */
static void end_filled(const struct hk_block *block)
{
    if (block->size >= HK_HUGE_PAGE)
        hk_huge_pages_end(block->start, block->size);
}

/* Where a heap of one's own may have it: no run or mapping of the program's starts there, or one that has an owner. */
static HK_NOINLINE struct hk_block find_with_own(void *start, size_t huge)
{
    struct hk_block own = hk_own_find(start);
    if (own.kind != HK_BLOCK_NONE)
        return own;
    return (struct hk_block){huge != 0 ? HK_BLOCK_HUGE : HK_BLOCK_NONE, start, huge};
}

struct hk_block hk_page_heap_find(const void *ptr)
{
    void *start = (void *)(uintptr_t)ptr;
    size_t pages = hk_arena_pages_of_live(ptr);
    if (pages != 0)
        return (struct hk_block){HK_BLOCK_RUN, start, pages * HK_PAGE - hk_wall_in(ptr, pages * HK_PAGE)};
    size_t size = hk_huge_look(ptr);
    if (HK_UNLIKELY(hk_own_is_used()))
        return find_with_own(start, size);
    return (struct hk_block){size != 0 ? HK_BLOCK_HUGE : HK_BLOCK_NONE, start, size};
}

bool hk_page_heap_free(const struct hk_block *block)
{
    if (block->kind == HK_BLOCK_RUN) {
        end_filled(block);
        return give_run(block->start);
    }
    return HK_UNLIKELY(block->kind == HK_BLOCK_OWN) ? hk_own_free(block) : hk_huge_free(block->start);
}

/* A run stays one while it shrinks to half at most: it may grow again. Of less the copy is cheap, and what is left of a
 * longer run would hold it apart: no other of that length fits in again. Small ones lie in slabs. */
static bool may_stay_run(const struct hk_block *block, size_t size)
{
    return size > HK_MID_MAX / 2 && size >= hk_block_half(block);
}

static void *resize_run(const struct hk_block *block, size_t size, size_t roomy)
{
    bool grows = pages_for(size) > block->size / HK_PAGE;
    if (!grows)
        end_filled(block);
    if (!resize_pages(block->start, pages_for(size), pages_for(roomy)))
        return NULL;
    if (grows)
        hk_page_heap_fill(block->start, size);
    return block->start;
}

/* What shrinks stays what it is, unless it becomes a small part of that: a huge block a mapping of its own, and a run a
 * run: no copy is made, and its end goes. */
void *hk_page_heap_resize(const struct hk_block *block, size_t size, size_t roomy)
{
    if (block->kind == HK_BLOCK_HUGE)
        return size > HK_RUN_MAX / 2 ? hk_huge_resize(block->start, size) : NULL;
    if (!may_stay_run(block, size) || size > HK_RUN_MAX)
        return NULL;
    return resize_run(block, size, hk_min(roomy, HK_RUN_MAX));
}

bool hk_page_heap_may_grow(const struct hk_block *block, size_t size)
{
    if (block->kind == HK_BLOCK_HUGE)
        return true;
    size_t wall = hk_wall_in(block->start, block->size + HK_PAGE) / HK_PAGE;
    return size <= HK_RUN_MAX && hk_arena_may_grow(block->start, block->size / HK_PAGE + wall, pages_for(size) + wall);
}

void *hk_page_heap_shrink(const struct hk_block *block, size_t size)
{
    if (block->kind == HK_BLOCK_HUGE)
        return hk_huge_resize(block->start, size);
    return resize_run(block, size, size);
}
