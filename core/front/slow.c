/* SPDX-License-Identifier: MIT */
#include "front/slow.h"

#include "large/page_heap.h"
#include "box/purge.h"
#include "box/side.h"
#include "front/fast.h"
#include "front/wrong.h"

#include <errno.h>
#include <string.h>

/* Allocations that failed for good, in all threads. Each thread gives up what its front holds when it sees that there
 * was another one: at its next slow call, which nobody waits for. Relaxed: a call sooner or later. */
static _Atomic uint32_t refusals;

static HK_SLOW_PATH void give_up_front(struct hk_thread *thread)
{
    int saved = *thread->error; /* who goes in saves it afterwards */
    thread->refusals = hk_load_relaxed(&refusals);
    hk_front_flush_all(thread);
    *thread->error = saved;
}

/* Goes in; `thread` may be NULL. Who then takes or gives blocks ends with leave_and_report. */
static inline bool enter(struct hk_thread *thread)
{
    if (HK_UNLIKELY(!hk_gate_enter(hk_front_pass(thread))))
        return false;
    if (thread != NULL && HK_UNLIKELY(hk_load_relaxed(&refusals) != thread->refusals))
        give_up_front(thread);
    return true;
}

/* ---- allocation ---- */

/* Telemetry; `thread` may be NULL. */
static void count_malloc_miss(struct hk_thread *thread, unsigned cls)
{
    if (HK_TELEMETRY && thread != NULL)
        hk_poke_add(&thread->hits[cls].malloc_misses, 1);
}

/* Ends every call that may have found a corrupted list. */
static inline void leave_and_report(struct hk_pass *pass)
{
    hk_gate_leave(pass);
    hk_corrupt_report();
}

/* One block of a class, through the front if this thread has one. NULL: no memory. Inside the gate. */
static inline void *take_block(struct hk_thread *thread, unsigned cls)
{
    void *block = NULL;
    count_malloc_miss(thread, cls);
    if (thread != NULL)
        block = hk_front_refill(thread, cls);
    else
        hk_heap_take(&hk_orphan_heap, cls, &block, 1);
    if (block != NULL)
        ((uintptr_t *)block)[1] = 0; /* takes the free mark away */
    return block;
}

static void *fail(void)
{
    errno = ENOMEM;
    return NULL;
}

/* What a block is wanted for. */
struct want {
    size_t size, align; /* align above 16: from the page heap */
    bool zero;          /* out: it is known to be zero */
};

static void *take(struct hk_thread *thread, struct want *w)
{
    if (w->size <= HK_MID_MAX && w->align <= 16)
        return take_block(thread, hk_class_of(w->size));
    return hk_page_heap_alloc(hk_max(w->size, 1), w->align, &w->zero);
}

/* Everything that is free comes together, so that it can serve any size: the few blocks that a front keeps can pin
 * hundreds of SuperSlabs. Whether anything goes back to the system does not matter. */
static void make_room(struct hk_thread *thread)
{
    if (thread != NULL)
        give_up_front(thread);
    hk_purge_now(0);
}

/* What other threads' fronts hold may be all that there is for the next one. This thread's holds nothing. */
static void refuse(struct hk_thread *thread)
{
    uint32_t before = hk_add_relaxed(&refusals, 1);
    if (thread != NULL && thread->refusals == before)
        thread->refusals = before + 1;
}

/* When there was nothing. NULL: it fails for good. */
static HK_SLOW_PATH void *take_last(struct hk_thread *thread, struct want *w)
{
    make_room(thread);
    void *ptr = take(thread, w);
    if (ptr == NULL)
        ptr = hk_page_heap_alloc_alone(w->size, w->align, &w->zero);
    if (ptr == NULL)
        refuse(thread);
    return ptr;
}

/* Goes in and takes a block. Before that fails for good everything that is free is given back. Who is turned away gets
 * a block that belongs to no heap. */
static void *take_inside(struct want *w)
{
    int saved = errno;
    if (w->size > HK_SIZE_MOST || w->align > HK_SIZE_MOST)
        return fail();
    hk_arena_learn(); /* may come back to malloc: the front is whole here */
    struct hk_thread *thread = hk_front_thread_or_new();
    void *ptr;
    if (HK_LIKELY(enter(thread))) {
        ptr = take(thread, w);
        if (HK_UNLIKELY(ptr == NULL))
            ptr = take_last(thread, w);
        if (thread != NULL)
            hk_purge_took(&thread->ticks);
        leave_and_report(hk_front_pass(thread));
    } else {
        ptr = hk_side_alloc(w->align, w->size);
    }
    if (HK_UNLIKELY(ptr == NULL))
        return fail();
    errno = saved;
    return ptr;
}

static HK_NOINLINE void *take_sized(size_t size)
{
    return take_inside(&(struct want){.size = size, .align = 16});
}

/* The common case of take_inside: a block of a class, for a thread that has a record. */
static void *malloc_missed(size_t size)
{
    struct hk_thread *thread = hk_front_thread();
    if (HK_UNLIKELY(size > HK_MID_MAX || thread == NULL || !enter(thread)))
        return take_sized(size);
    int saved = *thread->error;
    void *block = take_block(thread, hk_class_of(size));
    hk_purge_took(&thread->ticks);
    leave_and_report(&thread->pass);
    *thread->error = saved;
    return HK_LIKELY(block != NULL) ? block : take_sized(size);
}

/* One block of a Mid class that the front bypasses; NULL: the ordinary way knows more. */
static void *take_bypassed(struct hk_thread *thread, unsigned cls)
{
    if (!enter(thread))
        return NULL;
    uintptr_t *block = hk_heap_take_one(&thread->heap, cls);
    leave_and_report(&thread->pass);
    if (HK_UNLIKELY(block == NULL))
        return NULL;
    count_malloc_miss(thread, cls);
    block[1] = 0;
    return block;
}

/* The bin of a Mid class is empty. Out of line, or the common way has its frame. */
static HK_NOINLINE void *mid_missed(size_t size)
{
    struct hk_thread *thread = hk_front_thread();
    unsigned cls = hk_class_of_mid(size);
    void *block = NULL;
    if (!HK_TLS_SLL && thread != NULL && hk_front_is_bypassed(thread, cls))
        block = take_bypassed(thread, cls);
    return HK_LIKELY(block != NULL) ? block : malloc_missed(size);
}

static void *not_tiny(size_t size)
{
    return size <= HK_MID_MAX ? mid_missed(size) : malloc_missed(size);
}

void *hk_malloc_slow(size_t size)
{
    return size <= HK_TINY_MAX ? malloc_missed(size) : hk_malloc_mid(size, not_tiny);
}

/* Virgin memory is zero already and stays untouched. */
static void *take_zero(size_t size)
{
    struct hk_thread *thread = hk_front_thread();
    unsigned cls = hk_class_of(size);
    if (thread == NULL || !hk_front_is_empty(thread, cls) || !enter(thread))
        return NULL;
    void *block = hk_heap_take_zero(&thread->heap, cls);
    hk_purge_took(&thread->ticks);
    leave_and_report(&thread->pass);
    if (block != NULL)
        count_malloc_miss(thread, cls);
    return block;
}

void *hk_calloc_slow(size_t size)
{
    struct want w = {.size = size, .align = 16};
    void *ptr = NULL;
    if (size > HK_MID_MAX) {
        ptr = take_inside(&w);
        if (ptr == NULL)
            return NULL;
    } else if (size > HK_TINY_MAX) {
        int saved = errno;
        ptr = take_zero(size);
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
    if (size <= HK_MID_MAX && align <= HK_PAGE) {
        unsigned cls = hk_class_of_aligned(size, align);
        void *ptr = cls != 0 ? hk_malloc_fast(hk_class_size(cls), hk_malloc_slow) : NULL;
        if (cls != 0 && HK_LIKELY((uintptr_t)ptr % align == 0)) /* NULL, too */
            return ptr;
        hk_free_slow(ptr); /* from the side box, whose blocks lie anywhere */
    }
    struct want w = {.size = size, .align = align};
    return take_inside(&w);
}

/* The slab of a live block; NULL after a message. The code of ptr is not 0. */
static inline struct hk_slab *slab_of_live(const void *ptr, const char *verb)
{
    struct hk_slab *slab = hk_slab_of(ptr);
    if (HK_LIKELY(hk_slab_is_block(slab, ptr) && hk_slab_was_out(slab, ptr) && !hk_slab_is_marked(ptr)))
        return slab;
    hk_wrong_in_slab(ptr, slab, verb);
    return NULL;
}

/* Who is turned away may be a handler that interrupted this thread under one of these locks: it looks without them. */
static size_t size_of_large(const void *ptr)
{
    struct hk_pass *pass = hk_front_pass(hk_front_thread());
    if (HK_UNLIKELY(!hk_gate_enter(pass)))
        return hk_page_heap_size_of_live(ptr);
    size_t size = hk_page_heap_size(ptr);
    leave_and_report(pass);
    return size;
}

size_t hk_block_size(const void *ptr, const char *verb)
{
    if (hk_registry_code(ptr) != 0) {
        struct hk_slab *slab = slab_of_live(ptr, verb);
        return slab != NULL ? slab->block_size : 0;
    }
    size_t size = hk_side_is_used() ? hk_side_size(ptr) : 0;
    if (size == 0)
        size = size_of_large(ptr);
    if (size == 0)
        hk_wrong_unknown(ptr, verb);
    return size;
}

/* ---- free ---- */

static void free_large(void *ptr)
{
    if (hk_side_is_used() && hk_side_free(ptr))
        return;
    int saved = errno;
    struct hk_thread *thread = hk_front_thread();
    if (HK_UNLIKELY(!enter(thread))) {
        hk_side_defer(ptr);
        errno = saved;
        return;
    }
    size_t before = hk_arena_dirty();
    bool freed = hk_page_heap_free(ptr);
    size_t now = hk_arena_dirty(); /* others change it too: about what this block leaves */
    if (HK_UNLIKELY(now > before + HK_PURGE_MOST / 2))
        hk_purge_tick_long(now - before);
    else
        hk_purge_tick();
    leave_and_report(hk_front_pass(thread));
    if (HK_UNLIKELY(!freed))
        hk_wrong_unknown(ptr, "free");
    errno = saved;
}

/* Where this thread has no record, or is turned away. */
static HK_SLOW_PATH void put_elsewhere(struct hk_slab *slab, void *ptr)
{
    int saved = errno;
    if (hk_front_thread() == NULL && hk_gate_enter(NULL)) {
        hk_heap_give_one(&hk_orphan_heap, slab, ptr);
        hk_purge_tick();
        leave_and_report(NULL);
    } else {
        hk_side_defer(ptr);
    }
    errno = saved;
}

/* Puts a checked and marked block into this thread's front. */
static HK_NOINLINE void put_in_front(struct hk_slab *slab, void *ptr)
{
    struct hk_thread *thread = hk_front_thread_or_new();
    if (HK_UNLIKELY(thread == NULL || !enter(thread))) {
        put_elsewhere(slab, ptr);
        return;
    }
    int saved = *thread->error;
    if (HK_TELEMETRY)
        hk_poke_add(&thread->hits[slab->cls].free_misses, 1);
    hk_front_put(thread, slab, ptr);
    hk_purge_tick_short(&thread->ticks);
    leave_and_report(&thread->pass);
    *thread->error = saved;
}

/* What was put down while its threads were turned away. It was checked then as far as that was possible. */
static HK_NOINLINE void free_deferred(void)
{
    struct hk_side_note *note = hk_side_take_deferred();
    while (note != NULL) {
        struct hk_side_note *next = note->next;
        void *ptr = note->ptr;
        hk_side_free(note);
        if (hk_registry_code(ptr) != 0)
            put_in_front(hk_slab_of(ptr), ptr);
        else
            free_large(ptr);
        note = next;
    }
}

void hk_front_free_deferred(void)
{
    if (hk_side_has_deferred())
        free_deferred();
}

/* Not NULL. */
static inline void free_one(void *ptr)
{
    if (hk_registry_code(ptr) == 0) {
        free_large(ptr);
        return;
    }
    struct hk_slab *slab = slab_of_live(ptr, "free");
    if (HK_UNLIKELY(slab == NULL))
        return;
    ((uintptr_t *)ptr)[1] = hk_free_mark(ptr);
    /* Spans of several slabs fail the fast path's test of block starts: their bin may well have room. */
    struct hk_bin HK_TLS_SPACE *bin = hk_front_bin(hk_front_self(), hk_code_of_class(slab->cls));
    struct hk_spot spot;
    if (bin->inverse == 0 && hk_bin_has_room(bin, hk_front_self()->thread, ptr, &spot)) {
        hk_bin_push(bin, spot, ptr);
        if (HK_TELEMETRY)
            hk_poke_add(&hk_front_thread()->hits[slab->cls].free_hits, 1);
        return;
    }
    put_in_front(slab, ptr);
}

void hk_free_slow(void *ptr)
{
    if (ptr == NULL)
        return;
    free_one(ptr);
    hk_front_free_deferred();
}

bool hk_trim(size_t keep)
{
    int saved = errno;
    struct hk_thread *thread = hk_front_thread();
    struct hk_pass *pass = hk_front_pass(thread);
    if (!hk_gate_wait(pass))
        return false; /* in a fork handler, or in one that interrupted malloc */
    if (thread != NULL)
        hk_front_flush_all(thread);
    bool given = hk_purge_now(keep) != 0;
    leave_and_report(pass);
    errno = saved;
    return given;
}
