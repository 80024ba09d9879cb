/* SPDX-License-Identifier: MIT
 *
 * realloc: in place where that is possible, else by a copy. Where there is no memory for a smaller copy the block stays
 * where it is.
 */
#include "front/resize.h"

#include "box/peak.h"
#include "box/purge.h"
#include "front/block.h"
#include "front/fast.h"
#include "front/inside.h"
#include "front/owned.h"
#include "front/profiled.h"
#include "front/slow.h"
#include "large/page_heap.h"

#include <errno.h>
#include <string.h>

/* What grows above the Mid classes is a run, which may grow on where it is. NULL: it is none. */
static void *take_for_grown(const struct hk_block *block, size_t size)
{
    bool grows = size > block->size && size > HK_MID_MAX;
    return grows && !hk_profile_is_on() ? hk_malloc_run(size) : NULL;
}

static void *move_to_new(const struct hk_block *block, size_t size)
{
    size_t roomy = size > block->size ? hk_with_headroom(size) : size;
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
    if (block->kind == HK_BLOCK_SLAB) {
        hk_free_fast(block->start);
        return to;
    }
    hk_free_large(block);
    hk_front_free_deferred();
    return to;
}

void *hk_resize_large(const struct hk_block *block, size_t size)
{
    struct hk_thread *thread = hk_front_thread();
    bool grows = size > block->size;
    if ((grows && !hk_page_heap_may_grow(block, size)) || !hk_front_go_in(thread))
        return NULL;
    if (block->kind == HK_BLOCK_HUGE && !grows)
        hk_peak_look(0);
    size_t roomy = grows ? hk_with_headroom(size) : size;
    void *to =
        hk_profile_is_used() ? hk_front_resize_profiled(block, size, roomy) : hk_page_heap_resize(block, size, roomy);
    if (to != NULL && !grows)
        hk_purge_tick(); /* else the free of what is copied does that */
    hk_front_come_out(hk_front_pass(thread));
    return to;
}

void *hk_shrink_where_it_is(const struct hk_block *block, size_t size)
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
            return hk_front_own_resize(block, size, size > block->size ? hk_with_headroom(size) : size);
        to = hk_resize_large(block, size);
    }
    errno = saved;
    if (to == NULL)
        to = move_to_new(block, size);
    if (HK_UNLIKELY(to == NULL) && size <= block->size) {
        to = hk_shrink_where_it_is(block, size);
        errno = saved;
    }
    return to;
}

void *hk_resize(void *ptr, size_t size)
{
    struct hk_block block = hk_block_find(ptr, "realloc");
    if (HK_LIKELY(hk_stays_as_it_is(&block, size)))
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
