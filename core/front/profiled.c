/* SPDX-License-Identifier: MIT
 *
 * Sampled blocks, and how a profile begins and ends in all threads.
 */
#include "front/profiled.h"

#include "box/guarded.h"
#include "box/side.h"
#include "front/hardened/hard.h"
#include "front/inside.h"
#include "front/wrong.h"
#include "large/page_heap.h"

#include <errno.h>

_Atomic uint32_t hk_front_watchers;
struct hk_front_ways hk_front_ways = {HK_MID_SIZES, HK_WIDE_MAX + 1, HK_MID_MAX + 1};

static void set_ways(size_t mid_sizes, size_t large_from, size_t classes_below)
{
    hk_poke(&hk_front_ways.mid_sizes, mid_sizes);
    hk_poke(&hk_front_ways.large_from, large_from);
    hk_poke(&hk_front_ways.classes_below, classes_below);
}

/* ---- codes ---- */

void hk_front_clear_codes(struct hk_front *front)
{
    for (unsigned i = 0; i < HK_COUNT(front->code_of); i++)
        hk_poke(&front->code_of[i], 0);
}

/* Sizes below a cache line: a class of which several blocks share one is opened by its first malloc; see front.h. */
#define SHARING (HK_CACHE_LINE / 16)
_Static_assert(SHARING <= 8, "a bit for each smaller class");

static void write_codes(struct hk_front *front, unsigned opened)
{
    for (unsigned i = 0; i < SHARING; i++) {
        unsigned cls = hk_tiny_class[i];
        if (!HK_FRONT_BINS || hk_class_size(cls) >= HK_CACHE_LINE || (opened >> cls & 1) != 0)
            hk_poke(&front->code_of[i], (uint8_t)hk_code_of_class(cls));
    }
    for (unsigned i = SHARING; i < HK_COUNT(front->code_of); i++)
        hk_poke(&front->code_of[i], (uint8_t)hk_code_of_class(hk_tiny_class[i]));
}

/* I have written my table, and look whether a profile is made; who begins one says so, and then clears my table. So one
 * of us clears it. Pairs with hk_front_profile_begin. */
static void look_again(struct hk_thread *thread)
{
    hk_fence_full();
    if (hk_profile_is_on())
        hk_front_clear_codes(thread->front);
}

void hk_front_write_codes(struct hk_thread *thread)
{
    if (!hk_profile_is_on())
        write_codes(thread->front, thread->opened);
    look_again(thread);
}

void hk_front_mend_codes(struct hk_thread *thread)
{
    if (thread->front->code_of[HK_COUNT(thread->front->code_of) - 1] == 0)
        hk_front_write_codes(thread);
}

void hk_front_set_codes(struct hk_thread *thread)
{
    hk_poke(&thread->opened, 0);
    hk_poke(&thread->guard, 0);
    thread->self.names = 0; /* the record may be one of an earlier thread */
    if (!hk_profile_is_on())
        write_codes(thread->front, 0);
    look_again(thread);
}

void hk_front_note_opened(struct hk_thread *thread, unsigned cls)
{
    if (hk_class_size(cls) < HK_CACHE_LINE)
        hk_poke(&thread->opened, (uint8_t)(thread->opened | 1u << cls));
    if (hk_profile_is_on())
        return;
    for (unsigned i = 0; i <= hk_class_size(cls) / 16; i++) {
        if (hk_tiny_class[i] == cls)
            hk_poke(&thread->front->code_of[i], (uint8_t)hk_code_of_class(cls));
    }
    look_again(thread);
}

void hk_front_close_ways(void)
{
    hk_poke(&hk_front_ways.mid_sizes, 0);
}

/* As look_again. */
void hk_front_open_ways(void)
{
    if (!hk_profile_is_on())
        hk_poke(&hk_front_ways.mid_sizes, HK_MID_SIZES);
    hk_fence_full();
    if (hk_profile_is_on())
        hk_front_close_ways();
}

/* Of each thread whose table is there: the heap's lock keeps it. */
static void visit_tables(void (*change)(struct hk_thread *thread, struct hk_front *front))
{
    for (struct hk_heap *heap = NULL; (heap = hk_heap_next(heap)) != NULL;) {
        struct hk_thread *thread = hk_thread_of(heap);
        if (heap == &hk_orphan_heap || heap->shared)
            continue;
        hk_lock(&heap->lock);
        struct hk_front *front = hk_load_acquire(&thread->seen); /* pairs with the release in make_record */
        if (front != NULL)
            change(thread, front);
        hk_unlock(&heap->lock);
    }
}

static void clear_table(struct hk_thread *thread, struct hk_front *front)
{
    hk_front_clear_codes(front);
}

static void write_table(struct hk_thread *thread, struct hk_front *front)
{
    write_codes(front, hk_peek(&thread->opened));
}

/* ---- sampled blocks ---- */

void *hk_front_take_sampled(struct hk_thread *thread, const struct hk_wish *wish)
{
    struct hk_stack stack;
    int saved = errno;
    size_t bytes = hk_front_bytes(wish->size, wish->align);
    hk_profile_look(&stack, wish->first, &thread->self);
    if (!hk_front_go_in(thread)) {
        errno = saved;
        return NULL;
    }
    void *ptr = hk_side_alloc(wish->align, bytes);
    if (ptr != NULL)
        hk_side_mark(ptr, bytes, hk_profile_note(&stack, bytes));
    else
        hk_profile_miss();
    hk_front_come_out(&thread->pass);
    errno = saved;
    return ptr;
}

static void put_large(const void *ptr, uintptr_t tag, size_t bytes)
{
    if (tag != 0 && !hk_profile_put(ptr, tag, bytes))
        hk_profile_forget(tag, bytes);
}

void hk_front_note_sampled(struct hk_thread *thread, const struct hk_wish *wish, void *ptr)
{
    struct hk_stack stack;
    int saved = errno;
    size_t bytes = hk_front_bytes(wish->size, wish->align);
    hk_profile_look(&stack, wish->first, &thread->self);
    if (hk_front_go_in(thread)) {
        put_large(ptr, hk_profile_note(&stack, bytes), bytes);
        hk_front_come_out(&thread->pass);
    }
    errno = saved;
}

void hk_front_note_guarded(struct hk_thread *thread, const struct hk_wish *wish, void *ptr)
{
    struct hk_stack stack;
    size_t bytes = hk_front_bytes(wish->size, wish->align);
    if (!hk_profile_wants(&thread->sampler, bytes))
        return;
    hk_profile_look(&stack, wish->first, &thread->self);
    if (!hk_front_go_in(thread))
        return;
    hk_guarded_mark(ptr, hk_profile_note(&stack, bytes));
    hk_front_come_out(&thread->pass);
}

/* Turned away: the profile counts it for ever. */
void hk_front_forget_guarded(uintptr_t tag)
{
    struct hk_thread *thread = hk_front_thread();
    if (!hk_front_go_in(thread))
        return;
    hk_profile_forget(tag, 0);
    hk_front_come_out(hk_front_pass(thread));
}

/* Turned away: later. */
static void free_sampled(void *ptr, uintptr_t tag)
{
    int saved = errno;
    struct hk_thread *thread = hk_front_thread();
    if (!hk_front_go_in(thread)) {
        hk_side_defer(ptr);
        errno = saved;
        return;
    }
    bool freed = hk_side_free(ptr);
    if (freed)
        hk_profile_forget(tag, 0);
    hk_front_come_out(hk_front_pass(thread));
    if (HK_UNLIKELY(!freed))
        hk_wrong_unknown(ptr, "free");
    errno = saved;
}

void hk_front_free_side(void *ptr)
{
    uintptr_t tag = hk_side_tag(ptr);
    if (tag != 0)
        free_sampled(ptr, tag);
    else if (!hk_side_free(ptr))
        hk_wrong_unknown(ptr, "free");
}

void hk_front_forget_large(const struct hk_block *block)
{
    size_t bytes;
    uintptr_t tag = hk_profile_may_have(block->start) ? hk_profile_take(block->start, &bytes) : 0;
    if (tag != 0)
        hk_profile_forget(tag, bytes);
}

/* It is another block now: sampled or not as any other. */
static void note_resized(struct hk_thread *thread, void *to)
{
    struct hk_stack stack;
    size_t bytes = hk_page_heap_find(to).size;
    if (thread == NULL || !hk_profile_is_on() || !hk_profile_wants(&thread->sampler, bytes))
        return;
    hk_profile_look(&stack, __builtin_return_address(0), &thread->self);
    put_large(to, hk_profile_note(&stack, bytes), bytes);
}

void *hk_front_resize_profiled(const struct hk_block *block, size_t size, size_t roomy)
{
    size_t bytes = 0; /* taken before: as soon as it has moved, another block may lie there */
    uintptr_t tag = hk_profile_may_have(block->start) ? hk_profile_take(block->start, &bytes) : 0;
    void *to = roomy != 0 ? hk_page_heap_resize(block, size, roomy) : hk_page_heap_shrink(block, size);
    if (to == NULL) {
        put_large(block->start, tag, bytes);
        return NULL;
    }
    hk_profile_forget(tag, bytes);
    note_resized(hk_front_thread(), to);
    return to;
}

/* ---- life ---- */

bool hk_front_profile_begin(size_t interval, hk_wrong_teller *tell)
{
    int saved = errno;
    struct hk_thread *thread = hk_front_thread_or_new();
    if (!hk_front_go_in_waiting(thread))
        return false;
    hk_store_relaxed(&hk_wrong_tell, tell);
    bool begun = hk_profile_begin(interval);
    if (begun) {
        hk_front_watch(HK_WATCH_PROFILE);
        hk_fence_full(); /* pairs with look_again, and with hk_front_open_ways */
        set_ways(0, SIZE_MAX, 0);
        visit_tables(clear_table);
    }
    hk_front_come_out(hk_front_pass(thread));
    errno = saved;
    return begun;
}

void hk_front_profile_end(void)
{
    struct hk_thread *thread = hk_front_thread();
    if (!hk_profile_is_on() || !hk_front_go_in_waiting(thread))
        return;
    hk_profile_end();
    hk_and_relaxed(&hk_front_watchers, ~HK_WATCH_PROFILE);
    set_ways(HK_MID_SIZES, HK_WIDE_MAX + 1, HK_MID_MAX + 1);
    visit_tables(write_table);
    hk_front_come_out(hk_front_pass(thread));
}

bool hk_front_profile_read(struct hk_profile_result *result)
{
    struct hk_thread *thread = hk_front_thread();
    if (HK_DELAY)
        hk_hard_let_all_go();
    if (!hk_front_go_in_waiting(thread))
        return false;
    bool got = hk_profile_read(result);
    hk_front_come_out(hk_front_pass(thread));
    return got;
}
