/* SPDX-License-Identifier: MIT
 *
 * What free leaves to: full bins, spans, wrong pointers. And malloc_trim.
 */
#include "front/slow.h"

#include "box/purge.h"
#include "box/side.h"
#include "front/block.h"
#include "front/fast.h"
#include "front/hardened/hard.h"
#include "front/inside.h"

#include <errno.h>

/* Where this thread has no record, or is turned away. */
static HK_SLOW_PATH void put_without_front(struct hk_slab *slab, void *ptr)
{
    int saved = errno;
    if (hk_front_thread() == NULL && hk_gate_enter(NULL)) {
        hk_heap_give_one(&hk_orphan_heap, slab, ptr);
        hk_purge_tick();
        hk_front_come_out(NULL);
    } else {
        hk_side_defer(ptr);
    }
    errno = saved;
}

/* What one free of a wide block makes free may be more than a piece: whole arrays, and chains that waited. */
static HK_NOINLINE void tick_after_wide(struct hk_thread *thread, size_t before)
{
    size_t now = hk_purge_free_bytes(); /* others change it too: about what this block leaves */
    if (now > before + HK_PURGE_MOST / 2)
        hk_purge_tick_long(now - before);
    else
        hk_purge_tick_short(&thread->ticks);
}

/* Puts a checked and marked block into this thread's front. */
static HK_NOINLINE void put_in_front(struct hk_slab *slab, void *ptr)
{
    struct hk_thread *thread = hk_front_thread_or_new();
    if (HK_UNLIKELY(thread == NULL || !hk_front_go_in(thread))) {
        put_without_front(slab, ptr);
        return;
    }
    int saved = *thread->error;
    if (HK_TELEMETRY)
        hk_poke_add(&thread->hits[slab->cls].free_misses, 1);
    bool wide = slab->cls > HK_MID_LAST;
    size_t before = wide ? hk_purge_free_bytes() : 0;
    hk_front_put(thread, slab, ptr);
    if (HK_UNLIKELY(wide))
        tick_after_wide(thread, before);
    else
        hk_purge_tick_short(&thread->ticks);
    hk_front_come_out(&thread->pass);
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
            hk_free_unknown(ptr);
        note = next;
    }
}

/* A handler that was turned away leaves them to who comes next: it would only put them down again. */
static HK_NOINLINE bool is_turned_away(void)
{
    struct hk_thread *thread = hk_front_thread();
    if (!HK_SIGNALS || thread == NULL)
        return false;
    bool held = !hk_front_hold_of(thread);
    if (!held)
        hk_front_let_go_of(&thread->pass);
    return held;
}

void hk_front_free_deferred(void)
{
    if (hk_side_has_deferred() && !is_turned_away())
        free_deferred();
}

/* What the fast path does with other blocks: the later slabs of a span have a code of their own. False: there is no
 * room.
 */
static inline bool push_second(const struct hk_slab *slab, void *ptr)
{
    struct hk_front HK_TLS_SPACE *front = hk_front_self();
    struct hk_bin HK_TLS_SPACE *bin = hk_front_bin(front, hk_code_of_class(slab->cls));
    struct hk_spot spot;
    if (HK_UNLIKELY(!hk_front_hold(front)))
        return false;
    bool room = hk_bin_has_room(bin, front->thread, ptr, &spot) && hk_bin_push(bin, spot, ptr);
    hk_front_let_go(front);
    if (HK_TELEMETRY && room)
        hk_poke_add(&hk_front_thread()->hits[slab->cls].free_hits, 1);
    return room;
}

/* It carries the mark of a free block. */
static inline void put_somewhere(struct hk_slab *slab, void *ptr, unsigned code)
{
    if (code != HK_CODE_SECOND || !push_second(slab, ptr))
        put_in_front(slab, ptr);
}

static inline void free_in_slab(void *ptr, unsigned code)
{
    struct hk_slab *slab = hk_block_slab(ptr, "free");
    if (HK_UNLIKELY(slab == NULL))
        return;
    ((uintptr_t *)ptr)[1] = hk_free_mark(ptr);
    put_somewhere(slab, ptr, code);
}

void hk_free_slow(void *ptr, unsigned code)
{
    if (HK_LIKELY(code != 0))
        free_in_slab(ptr, code);
    else if (ptr != NULL)
        hk_free_unknown(ptr);
    hk_front_free_deferred();
}

void hk_free_checked(void *ptr, unsigned code)
{
    put_somewhere(hk_slab_of(ptr), ptr, code);
    hk_front_free_deferred();
}

void hk_free_outside(void *ptr)
{
    if (ptr != NULL)
        hk_free_slow(ptr, hk_registry_code(ptr));
}

bool hk_trim(size_t keep)
{
    int saved = errno;
    if (HK_DELAY)
        hk_hard_let_all_go();
    struct hk_thread *thread = hk_front_thread();
    struct hk_pass *pass = hk_front_pass(thread);
    if (!hk_front_hold_of(thread))
        return false; /* in a handler that interrupted malloc */
    if (!hk_gate_wait(pass)) {
        hk_front_let_go_of(pass);
        return false; /* in a fork handler, or as above */
    }
    if (thread != NULL)
        hk_front_flush_all(thread);
    bool given = hk_purge_now(keep) != 0;
    hk_front_come_out(pass);
    errno = saved;
    return given;
}
