/* SPDX-License-Identifier: MIT
 *
 * What is said of a pointer that is no live block.
 */
#include "front/wrong.h"

#include "base/held.h"
#include "large/huge.h"
#include "large/own.h"
#include "box/profile.h"
#include "box/side.h"
#include "front/front.h"
#include "front/guard.h"
#include "pages/ss_arena.h"

/* What it is taken for. */
struct finding {
    enum hk_misuse kind;
    const void *block; /* of an interior pointer */
    size_t size;
};

/* ---- who asked for it ---- */

hk_wrong_teller *_Atomic hk_wrong_tell;

/* Inside the gate. 0: not known. */
static uintptr_t find_tag(const void *block)
{
    uintptr_t tag = 0;
    if (hk_side_is_used())
        tag = hk_side_last_tag(block);
    if (tag == 0)
        tag = hk_profile_look_up(block);
    return tag != 0 ? tag : hk_profile_look_up_freed(block);
}

static const struct hk_stack *find_who_asked(const void *block)
{
    struct hk_pass *pass = hk_front_pass(hk_front_thread());
    if (!hk_profile_is_used() || !hk_gate_enter(pass))
        return NULL;
    const struct hk_stack *stack = hk_profile_stack_if(find_tag(block));
    hk_gate_leave(pass);
    return stack;
}

void hk_wrong_say(enum hk_misuse kind, const char *verb, const void *ptr, const void *block, size_t size)
{
    const struct hk_stack *asked_by = find_who_asked(block != NULL ? block : ptr);
    if (!hk_misuse_say(kind, verb, ptr, block, size))
        return;
    if (asked_by != NULL && asked_by->depth != 0)
        hk_load_relaxed (&hk_wrong_tell)(asked_by);
    hk_misuse_end(kind);
}

/* ---- what it is ---- */

static struct finding find_in_slab(const void *ptr)
{
    struct hk_slab *slab = hk_slab_of(ptr);
    bool was_block = slab->block_size != 0 && hk_slab_is_block(slab, ptr);
    return (struct finding){was_block ? HK_MISUSE_DOUBLE_FREE : HK_MISUSE_INVALID, NULL, slab->block_size};
}

/* Without the locks, which may be this thread's own, nothing is known of runs and huge blocks. */
static struct finding find_what_it_is(const void *ptr, bool may_lock)
{
    struct hk_superslab *ss = hk_registry_superslab(ptr);
    struct hk_run run = {ss != NULL ? HK_RUN_SUPERSLAB : HK_RUN_NONE, NULL, 0};
    size_t size;
    void *start;
    if (may_lock && hk_own_is_used()) {
        struct hk_own_finding own = hk_own_find_wrong(ptr);
        if (own.block != NULL)
            return (struct finding){own.kind, own.block, own.size};
    }
    if (may_lock)
        run = hk_arena_find(ptr);
    if (run.kind == HK_RUN_INTERIOR)
        return (struct finding){HK_MISUSE_INTERIOR, run.start, run.pages * HK_PAGE};
    if (run.kind == HK_RUN_FREED && (uintptr_t)ptr % HK_PAGE == 0)
        return (struct finding){HK_MISUSE_DOUBLE_FREE, NULL, 0};
    if (run.kind == HK_RUN_SUPERSLAB && ss != NULL)
        return find_in_slab(ptr);
    if (hk_side_is_used() && (start = (void *)(uintptr_t)hk_side_around(ptr, &size)) != NULL)
        return (struct finding){HK_MISUSE_INTERIOR, start, size};
    if (hk_side_has(ptr) && (uintptr_t)ptr % 16 == 0)
        return (struct finding){HK_MISUSE_DOUBLE_FREE, NULL, 0};
    if (may_lock && (start = hk_huge_around(ptr, &size)) != NULL)
        return (struct finding){HK_MISUSE_INTERIOR, start, size};
    return (struct finding){HK_MISUSE_INVALID, NULL, 0};
}

/* With -Dcheck: a signal handler calls that has interrupted its thread. */
static bool is_in_handler(void)
{
    return HK_CHECK_FAST && hk_gate_is_inside(hk_front_pass(hk_front_thread()));
}

void hk_wrong_unknown(const void *ptr, const char *verb)
{
    if (hk_guarded_has(ptr)) {
        hk_front_wrong_guarded(ptr, verb);
        return;
    }
    struct hk_pass *pass = hk_front_pass(hk_front_thread());
    bool inside = hk_gate_enter(pass);
    struct finding found = find_what_it_is(ptr, inside);
    if (inside)
        hk_gate_leave(pass);
    bool in_handler = is_in_handler();
    hk_in_handler_begin(in_handler);
    hk_wrong_say(found.kind, verb, ptr, found.block, found.size);
    hk_in_handler_end(in_handler);
}

void hk_wrong_in_heap(const void *ptr, const char *verb)
{
    struct hk_pass *pass = hk_front_pass(hk_front_thread());
    struct hk_own_finding found = {HK_MISUSE_ELSEWHERE, NULL, 0};
    if (hk_gate_enter(pass)) {
        found = hk_own_find_wrong(ptr);
        hk_gate_leave(pass);
    }
    if (found.kind == HK_MISUSE_INVALID || found.block == NULL ||
        (found.kind == HK_MISUSE_INTERIOR && found.block == ptr))
        found.kind = HK_MISUSE_ELSEWHERE;
    bool in_handler = is_in_handler();
    hk_in_handler_begin(in_handler);
    hk_misuse(found.kind, verb, ptr, found.block, found.size);
    hk_in_handler_end(in_handler);
}

void hk_wrong_in_slab(const void *ptr, const struct hk_slab *slab, const char *verb)
{
    size_t offset = (size_t)((const char *)ptr - hk_slab_base(slab));
    const char *start = (const char *)ptr - offset % slab->block_size;
    bool out = hk_slab_was_out(slab, ptr) || (!slab->zero && hk_slab_is_marked(ptr)); /* or it was */
    bool in_handler = is_in_handler();
    hk_in_handler_begin(in_handler);
    if (hk_slab_is_block(slab, ptr) && out)
        hk_misuse(HK_MISUSE_DOUBLE_FREE, verb, ptr, NULL, slab->block_size);
    else if (hk_slab_is_block(slab, ptr) || offset / slab->block_size >= slab->capacity)
        hk_misuse(HK_MISUSE_INVALID, verb, ptr, NULL, 0);
    else
        hk_misuse(HK_MISUSE_INTERIOR, verb, ptr, start, slab->block_size);
    hk_in_handler_end(in_handler);
}
