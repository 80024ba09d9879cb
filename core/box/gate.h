/* SPDX-License-Identifier: MIT
 *
 * gate: who is inside the allocator. Every slow path goes in here and comes out again; inside it takes locks and
 * changes what threads share. fork closes the gate and waits until nobody is inside. Then no lock is held and every
 * structure is whole, and so it is in the child.
 *
 * Nobody waits at a closed gate who was called by a program: it may hold a lock, of libc's or of its own, that the fork
 * is waiting for. It is turned away and makes do with the side box (box/side.h). So is a signal handler that
 * interrupted its own thread inside: it never meets a lock that its thread holds.
 *
 * A thread shows that it is inside by a word in its record, its pass. Threads without a record (at their beginning, or
 * past their end) go in by one of a few doors, one at a time by each. Any thread; knows os only, and must not know what
 * is done inside.
 *
 * Model: docs/models/gate.pml.
 */
#ifndef HK_BOX_GATE_H
#define HK_BOX_GATE_H

#include "base/atomic.h"
#include "base/compiler.h"
#include "os/thread.h"

enum hk_pass_state {
    HK_PASS_OUTSIDE = 0,
    HK_PASS_INSIDE,
    HK_PASS_PARKED, /* inside, but interrupted by a signal handler that is in fork: it will not come out before that
                       ends */
};

struct hk_pass {
    _Atomic uint32_t state; /* enum hk_pass_state; written by its thread alone */
    _Atomic uint32_t forks; /* that its thread is in; its thread's, and its handlers' */
    struct hk_pass *next;   /* in the list of all passes, which only grows; constant after hk_gate_join */
};

/* The door of this thread while it has no pass, below HK_GATE_DOORS; always the same. */
#define HK_GATE_DOORS 16u
static inline unsigned hk_gate_door(void)
{
    return (unsigned)((uint64_t)hk_thread_self() * 0x9e3779b97f4a7c15u >> 60);
}
_Static_assert(HK_GATE_DOORS == 1u << 4, "four bits of the product tell the door");

/* Forks in progress; the gate is open while there are none. */
extern HK_HIDDEN _Atomic uint32_t hk_gate_forks;

/* Enters a zeroed pass, for ever. */
void hk_gate_join(struct hk_pass *pass);

HK_SLOW_PATH bool hk_gate_enter_stranger(void);
HK_SLOW_PATH void hk_gate_leave_stranger(void);

/* Goes in with this thread's pass, or NULL where it has none. False: turned away: no lock may be taken then. */
static inline bool hk_gate_enter(struct hk_pass *pass)
{
    if (HK_UNLIKELY(pass == NULL))
        return hk_gate_enter_stranger();
    if (HK_UNLIKELY(hk_load_relaxed(&pass->state) != HK_PASS_OUTSIDE))
        return false; /* we are a handler */
    if (hk_single_threaded())
        hk_store_relaxed(&pass->state, HK_PASS_INSIDE);
    else
        hk_swap_full(&pass->state, HK_PASS_INSIDE); /* I am seen by a fork, or see it: pairs with hk_gate_close */
    hk_fence_signal();                              /* a handler finds the pass taken before anything is changed */
    if (HK_UNLIKELY(hk_load_full(&hk_gate_forks) != 0)) {
        hk_store_release(&pass->state, HK_PASS_OUTSIDE);
        return false;
    }
    return true;
}

static inline void hk_gate_leave(struct hk_pass *pass)
{
    if (HK_UNLIKELY(pass == NULL))
        hk_gate_leave_stranger();
    else
        hk_store_release(&pass->state, HK_PASS_OUTSIDE); /* pairs with hk_gate_close */
}

/* As hk_gate_enter, but waits while others fork. For what the program does not call while it holds a lock of libc's:
 * the end of a thread, hak_trim. False: this thread is inside already or is the one that forks. */
HK_SLOW_PATH bool hk_gate_wait(struct hk_pass *pass);

/* Is this thread inside? A handler that interrupted it asks. */
bool hk_gate_is_inside(struct hk_pass *pass);

/* ---- fork; `mine` is the forking thread's pass or NULL ---- */

/* From now on nobody but this thread, if a handler in it called fork, is inside. Several threads may fork at once. */
void hk_gate_close(struct hk_pass *mine);

/* The fork is done. True: no other is in progress, and none of a handler in between had made this process. */
bool hk_gate_open(struct hk_pass *mine);

/* In the child: this thread is the only one. Locks were reset before. */
void hk_gate_reset(struct hk_pass *mine);

#endif
