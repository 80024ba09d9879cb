/* SPDX-License-Identifier: MIT */
#include "front/owned.h"

#include "box/peak.h"
#include "box/purge.h"
#include "box/side.h"
#include "front/hardened/hard.h"
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
    if (HK_DELAY)
        hk_hard_let_all_go_inside();
    hk_purge_now(0);
}

/* The call that follows unmaps what handlers have freed. */
static void look_before_mappings_go(void)
{
    if (hk_own_has_waiting())
        hk_peak_look(0);
}

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

/* From the one look on by which the heap is the caller's nobody else has it. Who is inside it still, by a mistake of
 * the program's, is waited for: the sums take its lock. */
static bool destroy(struct hk_own *heap)
{
    if (!hk_own_leave(heap))
        return false;
    look_before_mappings_go();
    struct hk_own_sums had = hk_own_count(heap);
    if (had.large_blocks != 0)
        hk_peak_look(0);
    hk_own_drop(heap);
    tick(had.held_bytes);
    return true;
}

bool hk_front_own_destroy(struct hk_own *heap)
{
    int saved = errno;
    struct hk_thread *thread = hk_front_thread();
    if (!go_in(thread)) {
        errno = EAGAIN;
        return false;
    }
    bool destroyed = destroy(heap);
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
    look_before_mappings_go();
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

static void *take(struct hk_own *heap, struct hk_own_want *want)
{
    hk_arena_learn(); /* may come back to malloc: the front is whole here */
    struct hk_thread *thread = hk_front_thread_or_new();
    want->limited = false;
    if (HK_UNLIKELY(!go_in(thread)))
        return NULL;
    look_before_mappings_go();
    void *block = hk_own_take(heap, want);
    if (HK_UNLIKELY(block == NULL) && !want->refused)
        block = take_after_giving_back(thread, heap, want);
    if (thread != NULL)
        hk_purge_took(&thread->ticks);
    hk_front_come_out(hk_front_pass(thread));
    return block;
}

static HK_SLOW_PATH void *fail_to_take(struct hk_own *heap, const struct hk_own_want *want)
{
    struct hk_thread *thread = hk_front_thread();
    if (want->limited && go_in(thread)) {
        hk_own_count_refusal(heap);
        hk_front_come_out(hk_front_pass(thread));
    }
    return fail_with(ENOMEM);
}

void *hk_front_own_take(struct hk_own *heap, struct hk_own_want *want)
{
    int saved = errno;
    if (want->size > HK_SIZE_MOST || want->align > HK_SIZE_MOST)
        return fail_with(ENOMEM);
    void *block = take(heap, want);
    if (HK_UNLIKELY(block == NULL))
        return fail_to_take(heap, want);
    errno = saved;
    return block;
}

void hk_front_defer(const struct hk_block *block)
{
    if (block->kind != HK_BLOCK_OWN || !hk_own_free_later(block))
        hk_side_defer(block->start);
}

/* ---- realloc ---- */

static void *resize_in_place(const struct hk_block *block, size_t size, size_t roomy)
{
    struct hk_thread *thread = hk_front_thread();
    if (block->size <= HK_MID_MAX / 2 || !go_in(thread))
        return NULL;
    if (size < block->size || hk_own_has_waiting())
        hk_peak_look(0);
    void *to = hk_own_resize(block, size, roomy);
    if (size < block->size)
        hk_purge_tick();
    hk_front_come_out(hk_front_pass(thread));
    return to;
}

static void *move(struct hk_own *heap, const struct hk_block *block, size_t size, size_t roomy)
{
    struct hk_own_want want = {.align = 16, .size = roomy};
    void *to = take(heap, &want);
    want.size = size;
    if (to == NULL && roomy > size)
        to = take(heap, &want);
    if (to != NULL) {
        memcpy(to, block->start, hk_min(block->size, size));
        hk_free_large(block);
        return to;
    }
    return size <= block->size ? block->start : fail_to_take(heap, &want);
}

void *hk_front_own_resize(const struct hk_block *block, size_t size, size_t roomy)
{
    int saved = errno;
    void *to = resize_in_place(block, size, roomy);
    struct hk_own *heap = to == NULL ? hk_own_of(block) : NULL;
    if (heap != NULL)
        to = move(heap, block, size, roomy);
    if (to != NULL)
        errno = saved;
    return to;
}
