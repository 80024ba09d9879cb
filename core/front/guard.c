/* SPDX-License-Identifier: MIT
 *
 * Which malloc gets a guarded block, and how such a block is freed.
 */
#include "front/guard.h"

#include "base/options.h"
#include "base/held.h"
#include "front/inside.h"
#include "front/profiled.h"
#include "front/steps.h"
#include "front/wrong.h"
#include "os/os.h"

#include <errno.h>

_Atomic bool hk_guard_on;
_Atomic uint32_t hk_guard_mid;
_Atomic uint64_t hk_guard_spent;
_Atomic uint32_t hk_guard_rarely = HK_GUARD_RARELY;

static const struct hk_guard_above *_Atomic above; /* relaxed: constant once there is a block */

/* ---- choosing ---- */

/* What one step takes at most, as it is counted: more is a pause that others made. */
#define STEP_MOST 300u

static void count_time(uint64_t since)
{
    hk_add_relaxed(&hk_guard_spent, hk_min(hk_os_now_us() - since, STEP_MOST)); /* a measure */
}

/* Without a thread: one slow path in so many looks at the clock. What the blocks before have taken says when it is time
 * for the next. */
#define LOOKS_IN 16u

static bool is_time(struct hk_thread *thread)
{
    static _Atomic uint64_t last, counted; /* relaxed: whoever writes `last` has the block */
    if (++thread->guard_looks % LOOKS_IN != 0)
        return false;
    uint64_t now = hk_os_now_us(), before = hk_load_relaxed(&last), spent = hk_load_relaxed(&hk_guard_spent);
    uint64_t pause = (spent - hk_load_relaxed(&counted)) * 1000 / (uint64_t)hk_opt(HK_OPT_GUARD_COST);
    if (now - before < hk_max(pause, 1000) || !hk_cas_relaxed(&last, &before, now))
        return false;
    hk_store_relaxed(&counted, spent);
    return true;
}

/* ---- which call of the program asks ---- */

/* How many blocks of each call were guarded so far, by a hash of where it returns to and how deep the stack is there:
 * that tells calls of a function that many use from each other. Relaxed: a measure. */
#define CALLS 4096u

static _Atomic uint8_t guarded_of[CALLS];

static unsigned call_of(const void *first, const void *frame)
{
    uintptr_t depth = hk_thread_self() - (uintptr_t)frame; /* the same in each thread */
    return (unsigned)(((uintptr_t)first ^ depth << 24) * 0x9e3779b97f4a7c15u >> 52);
}
_Static_assert(CALLS == 1u << (64 - 52), "calls by the upper bits");

/* One that has had none is; then once in 4, in 16... So what seldom asks is found, and what asks often does not take
 * all slots. */
static bool is_chosen_call(unsigned call)
{
    unsigned had = hk_load_relaxed(&guarded_of[call]), shift = hk_min(2 * had, hk_load_relaxed(&hk_guard_rarely));
    if (hk_ticks() * 0x9e3779b97f4a7c15u >> 32 & ((1u << shift) - 1))
        return false;
    if (had < UINT8_MAX)
        hk_store_relaxed(&guarded_of[call], (uint8_t)(had + 1));
    return true;
}

/* What a look costs, by which a thread's next ones are put off. */
#define LOOKS_IN_US 25u

/* Its codes come back. */
static void end_turn(struct hk_thread *thread, unsigned looks)
{
    hk_add_relaxed(&hk_guard_spent, looks / LOOKS_IN_US);
    hk_front_write_codes(thread);
    hk_poke_release(&thread->guard,
                    0); /* last: from now on they may be taken again. Pairs with arm in guard_thread.c */
    hk_guard_wake_thread();
}

/* A small size, of a thread whose codes are gone: after some calls they come back. */
static bool is_its_turn(struct hk_thread *thread, unsigned call)
{
    unsigned left = hk_peek_acquire(&thread->guard); /* pairs with the release of our thread */
    if (left == 0) {
        hk_front_mend_codes(thread); /* a profile ended while they were gone, or they were taken twice */
        return false;
    }
    bool chosen = hk_load_relaxed(&hk_guard_on) && is_chosen_call(call);
    unsigned then = left - 1 - (chosen ? HK_GUARD_BLOCK : 0);
    if (then % HK_GUARD_BLOCK == 0 || then < HK_GUARD_BLOCK)
        end_turn(thread, HK_GUARD_LOOKS - then % HK_GUARD_BLOCK);
    else
        hk_poke(&thread->guard, (uint16_t)then);
    return chosen;
}

static bool is_turn_of_mid(unsigned call)
{
    uint32_t wanted = HK_GUARD_WANTED;
    if (hk_load_relaxed(&hk_guard_mid) != HK_GUARD_WANTED || !is_chosen_call(call))
        return false;
    if (hk_load_relaxed(&hk_guard_mid) != HK_GUARD_WANTED || !hk_cas_relaxed(&hk_guard_mid, &wanted, HK_GUARD_HEARD))
        return false;
    hk_front_open_ways();
    hk_store_release(&hk_guard_mid, 0); /* as above */
    return true;
}

/* Codes come back here also when there is no thread any more, or nothing is to be guarded. */
static bool is_chosen(struct hk_thread *thread, size_t size, unsigned call)
{
    if (thread == NULL)
        return false;
    bool its_turn = size <= HK_TINY_MAX ? is_its_turn(thread, call) : is_turn_of_mid(call);
    return hk_load_relaxed(&hk_guard_on) && (its_turn || (!hk_guard_has_thread() && is_time(thread)));
}

/* A profile that wants the block gets it, too. */
static void *take_guarded(struct hk_thread *thread, size_t size, const void *first)
{
    struct hk_wish wish = {size, 16, first};
    int saved = errno;
    if (size > hk_guarded_most())
        return NULL;
    uint64_t began = hk_os_now_us();
    hk_load_relaxed(&above)->look_after();
    void *block = hk_guarded_take(hk_max(size, 1), first);
    if (block != NULL && hk_profile_is_on())
        hk_front_note_guarded(thread, &wish, block);
    count_time(began);
    errno = saved;
    return block;
}

void *hk_watched_malloc(size_t size, const void *first)
{
    struct hk_thread *thread = hk_front_thread_or_new();
    if (is_chosen(thread, size, call_of(first, __builtin_frame_address(0)))) {
        void *block = take_guarded(thread, size, first);
        if (block != NULL)
            return block;
    }
    if (hk_profile_is_on())
        return hk_profiled_malloc(size, first);
    return hk_step_ready(thread, size);
}

/* ---- freeing ---- */

/* The line is on stderr. */
static void tell(const struct hk_guarded_block *block)
{
    struct hk_guarded_stack now;
    hk_guarded_look(&now, NULL);
    hk_load_relaxed(&above)->tell(block, &now);
}

/* The caller ignores the call where this returns. */
static HK_NOINLINE void report(enum hk_misuse kind, const char *verb, const void *ptr,
                               const struct hk_guarded_block *block)
{
    if (!hk_misuse_say(kind, verb, ptr, (const void *)block->start, block->size))
        return;
    tell(block);
    hk_misuse_end(kind);
}

void hk_front_wrong_guarded(const void *ptr, const char *verb)
{
    struct hk_guarded_block block;
    if (!hk_guarded_find((uintptr_t)ptr, &block)) {
        hk_misuse(HK_MISUSE_INVALID, verb, ptr, NULL, 0);
        return;
    }
    bool starts = block.start == (uintptr_t)ptr;
    if (starts && block.state != HK_GUARDED_LIVE)
        report(HK_MISUSE_DOUBLE_FREE, verb, ptr, &block);
    else if (HK_TAIL && starts)
        report(HK_MISUSE_PAST_END, verb, ptr, &block);
    else if ((uintptr_t)ptr - block.start < block.size)
        report(HK_MISUSE_INTERIOR, verb, ptr, &block);
    else
        report(HK_MISUSE_INVALID, verb, ptr, &block);
}

static HK_NOINLINE void report_damage(const void *at, const void *ptr)
{
    struct hk_guarded_block block;
    if (hk_guarded_find((uintptr_t)ptr, &block))
        report(HK_MISUSE_BESIDE, "free", at, &block);
}

void hk_front_free_guarded(void *ptr)
{
    int saved = errno;
    uintptr_t tag = hk_guarded_has(ptr) ? hk_guarded_tag(ptr) : 0;
    if (!hk_guarded_claim(ptr)) {
        hk_front_wrong_guarded(ptr, "free");
        errno = saved;
        return;
    }
    uint64_t began = hk_os_now_us();
    const void *damage = hk_guarded_damage(ptr);
    if (damage != NULL)
        report_damage(damage, ptr);
    hk_guarded_hide(ptr);
    count_time(began);
    if (tag != 0)
        hk_front_forget_guarded(tag);
    errno = saved;
}

/* ---- life ---- */

bool hk_front_guard_begin(const struct hk_guard_above *who)
{
    int saved = errno;
    hk_unwind_start();
    if (!hk_guarded_start((size_t)hk_opt(HK_OPT_GUARD_SLOTS))) {
        errno = saved;
        return false;
    }
    hk_store_relaxed(&above, who);
    hk_store_relaxed(&hk_guard_on, true);
    hk_front_watch(HK_WATCH_GUARD);
    errno = saved;
    return true;
}

/* A thread whose codes are gone gets them back by its next malloc. */
void hk_front_guard_end(void)
{
    hk_store_relaxed(&hk_guard_on, false);
    hk_guard_stop_thread();
}
