/* SPDX-License-Identifier: MIT */
#include "front/owned.h"

#include "box/peak.h"
#include "box/purge.h"
#include "box/side.h"
#include "front/inside.h"
#include "front/profiled.h"
#include "front/slow.h"
#include "front/wrong.h"
#include "large/page_heap.h"

#include <errno.h>
#include <string.h>

/* There is no other heap that a block could be of while this one cannot be touched: so one waits. */
static bool go_in(struct hk_thread *thread)
{
    return HK_LIKELY(hk_front_go_in(thread)) || hk_front_go_in_waiting(thread);
}

static void *fail_with(int error)
{
    errno = error;
    return NULL;
}

/* Everything that is free comes together, as when malloc has no memory. */
static void give_all_back(struct hk_thread *thread)
{
    if (thread != NULL)
        hk_front_give_up(thread);
    hk_purge_now(0);
}

/* What became free: a mapping is gone before anybody looks at the peak. */
static void tick(size_t bytes)
{
    if (bytes > HK_PURGE_MOST / 2)
        hk_purge_tick_long(bytes);
    else
        hk_purge_tick();
}

/* ---- heaps ---- */

struct hk_own *hk_front_own_new(size_t limit)
{
    int saved = errno;
    hk_arena_learn(); /* may come back to malloc: the front is whole here */
    struct hk_thread *thread = hk_front_thread_or_new();
    if (!go_in(thread))
        return fail_with(ENOMEM);
    struct hk_own *heap = hk_own_new(limit);
    if (heap == NULL && (limit == 0 || limit >= HK_PAGE)) {
        give_all_back(thread);
        heap = hk_own_new(limit);
    }
    hk_front_come_out(hk_front_pass(thread));
    errno = heap != NULL ? saved : ENOMEM;
    return heap;
}

bool hk_front_own_destroy(struct hk_own *heap)
{
    int saved = errno;
    struct hk_thread *thread = hk_front_thread();
    if (!go_in(thread)) {
        errno = EAGAIN;
        return false;
    }
    bool destroyed = hk_own_is_heap(heap);
    if (destroyed) {
        struct hk_own_sums had = hk_own_count(heap);
        if (had.large_blocks != 0)
            hk_peak_look(0);
        destroyed = hk_own_destroy(heap);
        tick(destroyed ? had.held_bytes : 0);
    }
    hk_front_come_out(hk_front_pass(thread));
    if (!destroyed)
        hk_misuse(HK_MISUSE_HEAP, "hak_heap_destroy", heap, NULL, 0);
    errno = destroyed ? saved : EINVAL;
    return destroyed;
}

bool hk_front_own_count(struct hk_own *heap, struct hk_own_sums *sums)
{
    struct hk_thread *thread = hk_front_thread();
    if (!go_in(thread)) {
        errno = EAGAIN;
        return false;
    }
    *sums = hk_own_count(heap);
    hk_front_come_out(hk_front_pass(thread));
    return true;
}

/* ---- blocks ---- */

static HK_SLOW_PATH void *take_after_giving_back(struct hk_thread *thread, struct hk_own *heap,
                                                 struct hk_own_want *want)
{
    give_all_back(thread);
    void *block = hk_own_take(heap, want);
    if (block == NULL)
        hk_add_relaxed(&hk_front_refusals, 1);
    return block;
}

void *hk_front_own_take(struct hk_own *heap, struct hk_own_want *want)
{
    int saved = errno;
    if (want->size > HK_SIZE_MOST || want->align > HK_SIZE_MOST)
        return fail_with(ENOMEM);
    hk_arena_learn(); /* may come back to malloc: the front is whole here */
    struct hk_thread *thread = hk_front_thread_or_new();
    if (HK_UNLIKELY(!go_in(thread)))
        return fail_with(ENOMEM);
    void *block = hk_own_take(heap, want);
    if (HK_UNLIKELY(block == NULL) && !want->refused)
        block = take_after_giving_back(thread, heap, want);
    if (thread != NULL)
        hk_purge_took(&thread->ticks);
    hk_front_come_out(hk_front_pass(thread));
    if (HK_UNLIKELY(block == NULL))
        return fail_with(ENOMEM);
    errno = saved;
    return block;
}

void hk_front_defer(const struct hk_block *block)
{
    if (block->kind != HK_BLOCK_OWN || !hk_own_free_later(block))
        hk_side_defer(block->start);
}

bool hk_front_give_own(const struct hk_block *block)
{
    if (block->size > HK_RUN_MAX)
        hk_peak_look(0);
    bool freed = hk_own_free(block);
    tick(block->size);
    return freed;
}

void hk_front_own_free(const struct hk_block *block)
{
    int saved = errno;
    struct hk_thread *thread = hk_front_thread();
    if (HK_UNLIKELY(!hk_front_go_in(thread))) {
        hk_front_defer(block);
        errno = saved;
        return;
    }
    bool freed = hk_front_give_own(block);
    hk_front_come_out(hk_front_pass(thread));
    if (HK_UNLIKELY(!freed))
        hk_wrong_unknown(block->start, "free");
    errno = saved;
}

/* ---- realloc ---- */

static void *resize_in_place(const struct hk_block *block, size_t size, size_t roomy)
{
    struct hk_thread *thread = hk_front_thread();
    if (block->size <= HK_MID_MAX / 2 || !go_in(thread))
        return NULL;
    if (size < block->size)
        hk_peak_look(0);
    void *to = hk_own_resize(block, size, roomy);
    if (size < block->size)
        hk_purge_tick();
    hk_front_come_out(hk_front_pass(thread));
    return to;
}

void *hk_front_own_resize(const struct hk_block *block, size_t size, size_t roomy)
{
    int saved = errno;
    void *to = resize_in_place(block, size, roomy);
    struct hk_own *heap = to == NULL ? hk_own_of(block) : NULL;
    struct hk_own_want want = {.align = 16, .size = roomy};
    if (heap != NULL) {
        to = hk_front_own_take(heap, &want);
        want.size = size;
        if (to == NULL && roomy > size)
            to = hk_front_own_take(heap, &want);
        if (to != NULL) {
            memcpy(to, block->start, hk_min(block->size, size));
            hk_front_own_free(block);
        } else if (size <= block->size) {
            to = block->start;
        }
    }
    if (to != NULL)
        errno = saved;
    return to;
}
