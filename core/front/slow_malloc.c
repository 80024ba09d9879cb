/* SPDX-License-Identifier: MIT
 *
 * What malloc leaves to: empty bins, large sizes, first use of a thread, no memory.
 */
#include "front/slow.h"

#include "box/purge.h"
#include "box/side.h"
#include "front/fast.h"
#include "front/guard.h"
#include "front/hardened/hard.h"
#include "front/inside.h"
#include "front/profiled.h"
#include "front/steps.h"
#include "large/page_heap.h"

#include <errno.h>
#include <string.h>

_Atomic uint32_t hk_front_refusals;

HK_SLOW_PATH void hk_front_give_up(struct hk_thread *thread)
{
    int saved = *thread->error; /* who goes in saves it afterwards */
    thread->refusals = hk_load_relaxed(&hk_front_refusals);
    hk_front_flush_own(thread);
    *thread->error = saved;
}

/* Telemetry; `thread` may be NULL. */
static void count_malloc_miss(struct hk_thread *thread, unsigned cls)
{
    if (HK_TELEMETRY && thread != NULL)
        hk_poke_add(&thread->hits[cls].malloc_misses, 1);
}

/* One block of a class, through the front if this thread has one. NULL: no memory. Inside the gate. */
static inline void *take_of_class(struct hk_thread *thread, unsigned cls)
{
    void *block = NULL;
    count_malloc_miss(thread, cls);
    if (HK_FRONT_BINS && thread != NULL && HK_UNLIKELY(hk_front_is_unopened(thread, cls)))
        hk_front_open_class(thread, cls);
    if (thread != NULL) /* a handler may have filled it, or it was not asked: a refill would lose what it has */
        hk_bin_pop(hk_front_bin(hk_front_self(), hk_code_of_class(cls)), &block);
    if (block == NULL && thread != NULL)
        block = hk_front_refill(thread, cls);
    else if (block == NULL)
        hk_heap_take(&hk_orphan_heap, cls, &block, 1);
    if (block != NULL)
        hk_slab_unmark(block);
    return block;
}

static void *fail_for_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* Where there is no slab for a wide block there may be a run: of free memory that is no 2 MiB long. */
static void *take_any(struct hk_thread *thread, struct hk_want *w)
{
    if (hk_front_has_class(w->size) && w->align <= 16) {
        void *block = take_of_class(thread, hk_class_of(w->size));
        if (HK_LIKELY(block != NULL) || w->size <= HK_MID_MAX)
            return block;
    }
    void *block = hk_page_heap_alloc(hk_max(w->size, 1), w->align, &w->zero);
    if (w->fills && block != NULL)
        hk_page_heap_fill(block, w->size);
    return block;
}

/* Everything that is free comes together, so that it can serve any size: the few blocks that a front keeps can pin
 * hundreds of SuperSlabs. Whether anything goes back to the system does not matter. */
static void give_all_back(struct hk_thread *thread)
{
    if (thread != NULL) {
        hk_front_give_up(thread);
        if (HK_FRONT_PERCPU)
            hk_front_flush_all(thread);
    }
    if (HK_DELAY)
        hk_hard_let_all_go_inside();
    hk_purge_now(0);
}

/* What other threads' fronts hold may be all that there is for the next one. This thread's holds nothing. */
static void note_refusal(struct hk_thread *thread)
{
    uint32_t before = hk_add_relaxed(&hk_front_refusals, 1);
    if (thread != NULL && thread->refusals == before)
        thread->refusals = before + 1;
}

/* When there was nothing. NULL: it fails for good. */
static HK_SLOW_PATH void *take_after_giving_back(struct hk_thread *thread, struct hk_want *w)
{
    give_all_back(thread);
    void *ptr = take_any(thread, w);
    if (ptr == NULL && w->size <= HK_WIDE_MAX) /* a SuperSlab takes more than free memory: its records */
        ptr = hk_page_heap_alloc(hk_max(w->size, 1), hk_max(w->align, HK_PAGE), &w->zero);
    if (ptr == NULL)
        ptr = hk_page_heap_alloc_alone(w->size, w->align, &w->zero);
    if (ptr == NULL)
        note_refusal(thread);
    return ptr;
}

/* Goes in and takes a block. Before that fails for good everything that is free is given back. Who is turned away gets
 * a block that belongs to no heap. */
void *hk_step_through_gate(struct hk_want *w)
{
    int saved = errno;
    if (w->size > HK_SIZE_MOST || w->align > HK_SIZE_MOST)
        return fail_for_memory();
    hk_arena_learn(); /* may come back to malloc: the front is whole here */
    struct hk_thread *thread = hk_front_thread_or_new();
    void *ptr;
    if (HK_LIKELY(hk_front_go_in(thread))) {
        ptr = take_any(thread, w);
        if (HK_UNLIKELY(ptr == NULL))
            ptr = take_after_giving_back(thread, w);
        if (thread != NULL)
            hk_purge_took(&thread->ticks);
        hk_front_come_out(hk_front_pass(thread));
    } else {
        ptr = hk_side_alloc(w->align, w->size);
    }
    if (HK_UNLIKELY(ptr == NULL))
        return fail_for_memory();
    errno = saved;
    return ptr;
}

HK_NOINLINE void *hk_step_sized(size_t size)
{
    return hk_step_through_gate(&(struct hk_want){.size = size, .align = 16, .fills = true});
}

/* A page run, or whatever else is larger than what has a class. */
static HK_NOINLINE void *malloc_run(size_t size)
{
    void *run = hk_malloc_run(size);
    return HK_LIKELY(run != NULL) ? run : hk_step_sized(size);
}

/* The common case of hk_step_through_gate: a block of a class, for a thread that has a record. */
void *hk_step_missed(size_t size)
{
    struct hk_thread *thread = hk_front_thread();
    if (HK_UNLIKELY(thread == NULL || !hk_front_go_in(thread)))
        return hk_step_sized(size);
    int saved = *thread->error;
    void *block = take_of_class(thread, hk_class_of(size));
    hk_purge_took(&thread->ticks);
    hk_front_come_out(&thread->pass);
    *thread->error = saved;
    return HK_LIKELY(block != NULL) ? block : hk_step_sized(size);
}

/* One block of a Mid class that the front bypasses; NULL: the ordinary way knows more. */
static void *take_bypassed(struct hk_thread *thread, unsigned cls)
{
    if (!hk_front_go_in(thread))
        return NULL;
    void *block = hk_heap_take_one(hk_front_heap(thread), cls);
    hk_front_come_out(&thread->pass);
    if (HK_UNLIKELY(block == NULL))
        return NULL;
    count_malloc_miss(thread, cls);
    hk_slab_unmark(block);
    return block;
}

/* The bin of a Mid class is empty. Out of line, or the common way has its frame. */
HK_NOINLINE void *hk_step_mid_missed(size_t size)
{
    struct hk_thread *thread = hk_front_thread();
    unsigned cls = hk_class_of(size);
    void *block = NULL;
    if (!HK_TLS_SLL && thread != NULL && hk_front_is_bypassed(thread, cls))
        block = take_bypassed(thread, cls);
    return HK_LIKELY(block != NULL) ? block : hk_step_missed(size);
}

/* As hk_malloc_fast, for a Mid or a wide class. */
static HK_ALWAYS_INLINE void *malloc_of_class(size_t size, unsigned cls)
{
    struct hk_front HK_TLS_SPACE *front = hk_front_self();
    unsigned code = hk_code_of_class(cls);
    void *block;
    if (HK_UNLIKELY(!hk_front_hold(front)))
        return hk_step_mid_missed(size);
    bool found = hk_bin_pop(hk_front_bin(front, code), &block);
    hk_front_let_go(front);
    if (HK_UNLIKELY(!found))
        return hk_step_mid_missed(size);
    if (HK_TELEMETRY)
        hk_front_hits(front, code)->malloc_hits++;
    hk_slab_unmark(block);
    return block;
}

static HK_NOINLINE void *malloc_wide(size_t size)
{
    return malloc_of_class(size, hk_class_of_wide(size));
}

/* Mid and large sizes come to the end where a profile has ended just now: their bins may be full. */
void *hk_malloc_slow(size_t size)
{
    if (HK_LIKELY(size - (HK_TINY_MAX + 1) < HK_OPERAND(hk_front_ways.mid_sizes)))
        return malloc_of_class(size, hk_class_of_mid(size));
    if (size >= HK_OPERAND(hk_front_ways.large_from))
        return malloc_run(size);
    uint32_t watchers = hk_front_watched_by();
    if (HK_UNLIKELY(watchers != 0)) {
        const void *first = __builtin_return_address(0);
        return watchers == HK_WATCH_PROFILE ? hk_profiled_malloc(size, first) : hk_watched_malloc(size, first);
    }
    if (HK_LIKELY(size <= HK_TINY_MAX))
        return hk_step_missed(size);
    if (size <= HK_MID_MAX)
        return malloc_of_class(size, hk_class_of_mid(size));
    return hk_front_has_class(size) ? malloc_wide(size) : malloc_run(size);
}

/* Virgin memory is zero already and stays untouched. */
HK_NOINLINE void *hk_step_virgin(size_t size)
{
    struct hk_thread *thread = hk_front_thread();
    unsigned cls = hk_class_of(size);
    if (thread == NULL || !hk_front_is_empty(thread, cls) || !hk_front_go_in(thread))
        return NULL;
    void *block = hk_heap_take_zero(hk_front_heap(thread), cls);
    hk_purge_took(&thread->ticks);
    hk_front_come_out(&thread->pass);
    if (block != NULL)
        count_malloc_miss(thread, cls);
    return block;
}

void *hk_calloc_slow(size_t size)
{
    struct hk_want w = {.size = size, .align = 16};
    void *ptr = NULL;
    if (hk_profile_is_on())
        return hk_profiled_calloc(size, __builtin_return_address(0));
    if (!hk_front_has_class(size)) {
        ptr = hk_step_through_gate(&w);
        if (ptr == NULL)
            return NULL;
    } else if (size > HK_TINY_MAX) {
        int saved = errno;
        ptr = hk_step_virgin(size);
        w.zero = ptr != NULL;
        errno = saved;
    }
    if (ptr == NULL)
        ptr = hk_malloc_fast(size, hk_malloc_slow);
    if (ptr != NULL && !w.zero)
        memset(ptr, 0, size);
    return ptr;
}

void *hk_malloc_aligned(size_t align, size_t size)
{
    if (size < HK_OPERAND(hk_front_ways.classes_below) && align <= HK_PAGE) {
        unsigned cls = hk_class_of_aligned(size, align);
        void *ptr = hk_malloc_fast(hk_class_size(cls), hk_malloc_slow);
        if (HK_LIKELY((uintptr_t)ptr % align == 0)) /* NULL, too */
            return ptr;
        hk_free_outside(ptr); /* from the side box, whose blocks lie anywhere */
    } else if (hk_profile_is_on()) {
        return hk_profiled_aligned(align, size, __builtin_return_address(0));
    }
    struct hk_want w = {.size = size, .align = align};
    return hk_step_through_gate(&w);
}
