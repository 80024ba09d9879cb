/* SPDX-License-Identifier: MIT
 *
 * realloc: in place where that is possible, else by a copy. Where there is no memory for a smaller copy the block stays
 * where it is.
 */
#include "front/slow.h"

#include "box/peak.h"
#include "box/purge.h"
#include "front/block.h"
#include "front/fast.h"
#include "front/inside.h"
#include "front/owned.h"
#include "front/profiled.h"
#include "large/page_heap.h"

#include <errno.h>
#include <string.h>

/* Untouched room for a block that grows, so that growing step by step does not copy each time. */
static size_t with_headroom(size_t size)
{
    return size > HK_TINY_MAX ? size + size / 8 : size;
}

/* What grows above the Mid classes is a run, which may grow on where it is. NULL: it is none. */
static void *take_for_grown(const struct hk_block *block, size_t size)
{
    bool grows = size > block->size && size > HK_MID_MAX;
    return grows && !hk_profile_is_on() ? hk_malloc_run(size) : NULL;
}

static void *move_to_new(const struct hk_block *block, size_t size)
{
    size_t roomy = size > block->size ? with_headroom(size) : size;
    int saved = errno;
    void *to = take_for_grown(block, roomy);
    if (to == NULL)
        to = hk_malloc_fast(roomy, hk_malloc_slow);
    if (to == NULL && roomy > size)
        to = hk_malloc_fast(size, hk_malloc_slow);
    if (to == NULL)
        return NULL;
    errno = saved;
    memcpy(to, block->start, hk_min(block->size, size));
    if (block->kind == HK_BLOCK_SLAB)
        hk_free_fast(block->start);
    else
        hk_free_large(block);
    return to;
}

/* Up to so many bytes half of a block is left as it is; half of a larger one is memory that others can use. */
#define HALF_KEPT 8192u

/* Is it so near to what the block holds that it is left as it is? */
static bool is_kept(const struct hk_block *block, size_t size)
{
    size_t have = block->size;
    size_t less = have - have / 8;
    if (block->kind == HK_BLOCK_SIDE)
        less = have / 4;
    else if (have <= HALF_KEPT)
        less = hk_block_half(block);
    else if (have <= HK_MID_MAX)
        less = have / 2 + 1;
    else if (block->kind == HK_BLOCK_SLAB)
        less = have - have / 4; /* no part of it could go back: it is copied */
    return size <= have && size >= less;
}

/* A run or a huge block, in place when the neighbours allow it; NULL: by a copy. */
static void *resize_large(const struct hk_block *block, size_t size)
{
    struct hk_thread *thread = hk_front_thread();
    bool grows = size > block->size;
    if ((grows && !hk_page_heap_may_grow(block, size)) || !hk_front_go_in(thread))
        return NULL;
    if (block->kind == HK_BLOCK_HUGE && !grows)
        hk_peak_look(0);
    size_t roomy = grows ? with_headroom(size) : size;
    void *to =
        hk_profile_is_used() ? hk_front_resize_profiled(block, size, roomy) : hk_page_heap_resize(block, size, roomy);
    if (to != NULL && !grows)
        hk_purge_tick(); /* else the free of what is copied does that */
    hk_front_come_out(hk_front_pass(thread));
    return to;
}

/* There is no memory for a smaller copy. What is behind `size` goes back as far as its box can do that without memory:
 * others may wait for it. */
static HK_SLOW_PATH void *shrink_where_it_is(const struct hk_block *block, size_t size)
{
    struct hk_thread *thread = hk_front_thread();
    bool large = block->kind == HK_BLOCK_RUN || block->kind == HK_BLOCK_HUGE;
    if (!large || !hk_front_go_in(thread))
        return block->start;
    hk_peak_look(0);
    void *to = hk_profile_is_used() ? hk_front_resize_profiled(block, size, 0) : hk_page_heap_shrink(block, size);
    hk_front_come_out(hk_front_pass(thread));
    return to != NULL ? to : block->start;
}

/* Where the block cannot stay as it is. */
static HK_NOINLINE void *resize_or_move(const struct hk_block *block, size_t size)
{
    int saved = errno;
    void *to = NULL;
    if (block->kind >= HK_BLOCK_RUN) {
        if (HK_UNLIKELY(block->kind == HK_BLOCK_OWN)) /* in which it stays */
            return hk_front_own_resize(block, size, size > block->size ? with_headroom(size) : size);
        to = resize_large(block, size);
    }
    errno = saved;
    if (to == NULL)
        to = move_to_new(block, size);
    if (HK_UNLIKELY(to == NULL) && size <= block->size) {
        to = shrink_where_it_is(block, size);
        errno = saved;
    }
    return to;
}

void *hk_resize(void *ptr, size_t size)
{
    struct hk_block block = hk_block_find(ptr, "realloc");
    if (HK_LIKELY(is_kept(&block, size)))
        return ptr;
    if (block.kind == HK_BLOCK_NONE) {
        errno = EINVAL;
        return NULL;
    }
    if (size > HK_SIZE_MOST) {
        errno = ENOMEM;
        return NULL;
    }
    return resize_or_move(&block, size);
}
