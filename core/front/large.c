/* SPDX-License-Identifier: MIT
 *
 * Blocks above 32 KiB: page runs, which the thread keeps for its next ones, and mappings.
 */
#include "front/slow.h"

#include "box/peak.h"
#include "box/purge.h"
#include "front/block.h"
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
        run = hk_page_heap_alloc(hk_front_runs(thread), size, 16, &zero);
        hk_purge_took(&thread->ticks);
        hk_front_come_out(&thread->pass);
    }
    *thread->error = saved;
    return run;
}

/* Where the thread keeps a run that it frees. None is kept while free memory goes back: it would hold neighbours apart,
 * and come back in a heap when the piece of one call is not enough. */
static struct hk_run_cache *cache_to_put_in(struct hk_thread *thread)
{
    struct hk_run_cache *runs = hk_front_runs(thread);
    if (HK_RUN_CACHE && runs != NULL && hk_purge_is_over()) {
        hk_run_cache_give_oldest(runs);
        return NULL;
    }
    return runs;
}

/* False: there is no such block. A run that is kept changes nothing that is to go back. */
static bool give_large(struct hk_thread *thread, const struct hk_block *block)
{
    if (block->kind >= HK_BLOCK_HUGE) {
        if (HK_UNLIKELY(block->kind == HK_BLOCK_OWN))
            return hk_front_give_own(block);
        hk_peak_look(0);
    }
    size_t before = hk_arena_dirty();
    if (hk_profile_is_used())
        hk_front_forget_large(block);
    bool freed = hk_page_heap_free(cache_to_put_in(thread), block);
    size_t now = hk_arena_dirty(); /* others change it too: about what this block leaves */
    if (HK_UNLIKELY(now > before + HK_PURGE_MOST / 2))
        hk_purge_tick_long(now - before);
    else if (!HK_RUN_CACHE || thread == NULL || now != before || ++thread->ticks % 8 == 0)
        hk_purge_tick();
    return freed;
}

static void free_large(const struct hk_block *block)
{
    if (block->kind == HK_BLOCK_SIDE) {
        hk_front_free_side(block->start);
        return;
    }
    int saved = errno;
    struct hk_thread *thread = hk_front_thread();
    if (HK_UNLIKELY(!hk_front_go_in(thread))) {
        hk_front_defer(block);
        errno = saved;
        return;
    }
    bool freed = give_large(thread, block);
    hk_front_come_out(hk_front_pass(thread));
    if (HK_UNLIKELY(!freed))
        hk_wrong_unknown(block->start, "free");
    errno = saved;
}

/* The common case of a page run: this thread keeps it. False, and nothing changed: the long way knows more. */
static HK_NOINLINE bool keep_run(void *ptr)
{
    struct hk_thread *thread = hk_front_thread();
    struct hk_run_cache *runs = hk_front_runs(thread);
    if (!HK_RUN_CACHE || runs == NULL || runs->share == 0 || hk_purge_is_over() || hk_profile_is_used())
        return false;
    size_t pages = hk_arena_pages_of_live(ptr);
    if (!hk_run_cache_may_have(pages) || HK_UNLIKELY(!hk_front_go_in(thread)))
        return false;
    int saved = *thread->error;
    bool kept = hk_run_cache_keep(runs, ptr, pages);
    if (HK_UNLIKELY(++thread->ticks % 8 == 0))
        hk_purge_tick();
    hk_front_come_out(&thread->pass);
    *thread->error = saved;
    return kept;
}

void hk_free_unknown(void *ptr)
{
    if (keep_run(ptr))
        return;
    struct hk_block block = hk_block_find_large(ptr);
    free_large(&block);
}

void hk_free_large(const struct hk_block *block)
{
    free_large(block);
    hk_front_free_deferred();
}
