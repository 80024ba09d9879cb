/* SPDX-License-Identifier: MIT */
#include "large/page_heap.h"

#include "base/assert.h"
#include "large/own.h"
#include "large/walls.h"
#include "os/os.h"
#include "superslab/size_class.h"

static size_t pages_for(size_t size)
{
    return hk_max((size + HK_PAGE - 1) / HK_PAGE, 1);
}

/* ---- walls ---- */

static char *last_page(const void *run, size_t pages)
{
    return (char *)(uintptr_t)run + (pages - 1) * HK_PAGE;
}

static bool has_wall(const void *run, size_t pages)
{
    return hk_wall_in(run, pages * HK_PAGE) != 0;
}

/* Without one where there is no page more; where it cannot stand the block has that page. */
static void *take_run(size_t pages, size_t align, bool *zero)
{
    void *run = NULL;
    if (HK_GUARDS && hk_wall_is_due() && (run = hk_arena_take(pages + 1, align, zero)) != NULL)
        hk_wall_put(last_page(run, pages + 1));
    return run != NULL ? run : hk_arena_take(pages, align, zero);
}

/* Runs whose walls the system would not take away, linked through their first words: theirs is the memory of no one
 * until it does. The other pages have gone back to it. */
static void *_Atomic left;

static void leave_run(void *run)
{
    void *first = hk_load_relaxed(&left); /* only written here */
    do {
        *(void **)run = first;
    } while (!hk_cas_weak_release(&left, &first, run)); /* pairs with give_left */
}

static bool has_gone(void *run, size_t pages)
{
    return !has_wall(run, pages) || hk_wall_take(last_page(run, pages));
}

static HK_NOINLINE void give_left(void)
{
    void *run = hk_swap_acq_rel(&left, NULL); /* pairs with leave_run */
    while (run != NULL) {
        void *next = *(void **)run;
        if (!has_gone(run, hk_arena_pages_of_live(run)))
            leave_run(run);
        else
            hk_arena_give(run);
        run = next;
    }
}

static bool give_walled(void *run, size_t pages)
{
    if (HK_UNLIKELY(hk_load_relaxed(&left) != NULL)) /* a hint: else the next one */
        give_left();
    if (has_gone(run, pages))
        return hk_arena_give(run);
    for (size_t at = 0; at < pages - 1; at += HK_PURGE_MOST / HK_PAGE)
        hk_os_purge((char *)run + at * HK_PAGE, hk_min(pages - 1 - at, HK_PURGE_MOST / HK_PAGE) * HK_PAGE);
    leave_run(run);
    return true;
}

static bool give_run(void *run)
{
    size_t pages = HK_GUARDS ? hk_arena_pages_of_live(run) : 0; /* 0: none lives there */
    return HK_GUARDS && pages != 0 ? give_walled(run, pages) : hk_arena_give(run);
}

/* The wall goes first where the run becomes shorter, and where it grows, last: until then it may have to stay. */
static bool resize_walled(void *run, size_t have, size_t pages, size_t roomy)
{
    char *wall = last_page(run, have);
    bool grows = pages >= have - 1;
    if (!grows && !hk_wall_take(wall))
        return false;
    if (!hk_arena_resize(run, pages + 1, hk_max(roomy, pages) + 1))
        return false; /* it grows: what is shorter has room */
    if (grows && !hk_wall_take(wall)) {
        bool back = hk_arena_resize(run, have, have);
        HK_ASSERT(back);
        (void)back;
        return false;
    }
    hk_wall_put(last_page(run, hk_arena_pages_of_live(run)));
    return true;
}

static bool resize_run(void *run, size_t pages, size_t roomy)
{
    size_t have = HK_GUARDS ? hk_arena_pages_of_live(run) : 0;
    if (HK_GUARDS && have != 0 && has_wall(run, have))
        return resize_walled(run, have, pages, roomy);
    return hk_arena_resize(run, pages, roomy);
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
    if (block->kind == HK_BLOCK_RUN)
        return give_run(block->start);
    return HK_UNLIKELY(block->kind == HK_BLOCK_OWN) ? hk_own_free(block) : hk_huge_free(block->start);
}

/* A run stays one while it shrinks to half at most: it may grow again. Of less the copy is cheap, and what is left of a
 * longer run would hold it apart: no other of that length fits in again. Small ones lie in slabs. */
static bool may_stay_run(const struct hk_block *block, size_t size)
{
    return size > HK_MID_MAX / 2 && size >= hk_block_half(block);
}

/* What shrinks stays what it is, unless it becomes a small part of that: a huge block a mapping of its own, and a run a
 * run: no copy is made, and its end goes. */
void *hk_page_heap_resize(const struct hk_block *block, size_t size, size_t roomy)
{
    if (block->kind == HK_BLOCK_HUGE)
        return size > HK_RUN_MAX / 2 ? hk_huge_resize(block->start, size) : NULL;
    if (!may_stay_run(block, size) || size > HK_RUN_MAX)
        return NULL;
    size_t most = hk_min(roomy, HK_RUN_MAX);
    return resize_run(block->start, pages_for(size), pages_for(most)) ? block->start : NULL;
}

bool hk_page_heap_may_grow(const struct hk_block *block, size_t size)
{
    if (block->kind == HK_BLOCK_HUGE)
        return true;
    size_t wall = has_wall(block->start, block->size / HK_PAGE + 1);
    return size <= HK_RUN_MAX && hk_arena_may_grow(block->start, block->size / HK_PAGE + wall, pages_for(size) + wall);
}

void *hk_page_heap_shrink(const struct hk_block *block, size_t size)
{
    if (block->kind == HK_BLOCK_HUGE)
        return hk_huge_resize(block->start, size);
    return resize_run(block->start, pages_for(size), pages_for(size)) ? block->start : NULL;
}
