/* SPDX-License-Identifier: MIT
 *
 * Blocks that no class has: page runs and mappings.
 */
#include "front/slow.h"

#include "box/peak.h"
#include "box/purge.h"
#include "front/block.h"
#include "front/guard.h"
#include "front/inside.h"
#include "front/owned.h"
#include "front/profiled.h"
#include "large/page_heap.h"

#include <errno.h>

void *hk_malloc_run(size_t size)
{
    struct hk_thread *thread = hk_front_thread();
    void *run = NULL;
    bool zero;
    if (HK_UNLIKELY(size > HK_RUN_MAX || thread == NULL))
        return NULL;
    int saved = *thread->error;
    hk_arena_learn(); /* may come back to malloc: the front is whole here */
    if (HK_LIKELY(hk_front_go_in(thread))) {
        run = hk_page_heap_alloc(size, 16, &zero);
        if (HK_LIKELY(run != NULL))
            hk_page_heap_fill(run, size);
        hk_purge_took(&thread->ticks);
        hk_front_come_out(&thread->pass);
    }
    *thread->error = saved;
    return run;
}

/* Does a mapping go, or one that a handler has freed with it? */
static bool is_mapping(const struct hk_block *block)
{
    if (HK_LIKELY(block->kind <= HK_BLOCK_HUGE))
        return block->kind == HK_BLOCK_HUGE;
    return block->size > HK_RUN_MAX || hk_own_has_waiting();
}

bool hk_give_large(const struct hk_block *block)
{
    if (is_mapping(block))
        hk_peak_look(0);
    size_t before = hk_arena_dirty();
    if (hk_profile_is_used())
        hk_front_forget_large(block);
    bool freed = hk_page_heap_free(block);
    size_t now = hk_arena_dirty(); /* others change it too: about what this block leaves */
    if (HK_UNLIKELY(now > before + HK_PURGE_MOST / 2))
        hk_purge_tick_long(now - before);
    else
        hk_purge_tick();
    return freed;
}

/* A block that is no large one; false: it is none at all. */
static HK_NOINLINE bool free_elsewhere(const struct hk_block *block)
{
    if (block->kind == HK_BLOCK_SIDE)
        hk_front_free_side(block->start);
    else if (hk_guarded_has(block->start))
        hk_front_free_guarded(block->start);
    else
        return false;
    return true;
}

void hk_free_large(const struct hk_block *block)
{
    if (HK_UNLIKELY(block->kind <= HK_BLOCK_SIDE) && free_elsewhere(block))
        return;
    int saved = errno;
    struct hk_thread *thread = hk_front_thread();
    if (HK_UNLIKELY(!hk_front_go_in(thread))) {
        hk_front_defer(block);
        errno = saved;
        return;
    }
    bool freed = hk_give_large(block);
    hk_front_come_out(hk_front_pass(thread));
    if (HK_UNLIKELY(!freed))
        hk_wrong_unknown(block->start, "free");
    errno = saved;
}

void hk_free_unknown(void *ptr)
{
    struct hk_block block = hk_block_find_large(ptr);
    hk_free_large(&block);
}
