/* SPDX-License-Identifier: MIT
 *
 * inside: how a slow path goes in through the gate and comes out again. Included by front/ANY.c only.
 *
 * Who is turned away takes no lock, and no block of a heap. With -Dsignals=enabled a thread inside holds its front too
 * (front.h), from before it goes in until it is out. Must not know what is done inside.
 */
#ifndef HK_FRONT_INSIDE_H
#define HK_FRONT_INSIDE_H

#include "base/assert.h"
#include "front/front.h"

/* Allocations that failed for good, in all threads. Each thread gives up what its front holds when it sees that there
 * was another one: at its next slow call, which nobody waits for. Relaxed: a call sooner or later. */
extern HK_HIDDEN _Atomic uint32_t hk_front_refusals;

/* Gives everything that the front holds away. Inside the gate. */
HK_SLOW_PATH void hk_front_give_up(struct hk_thread *thread);

/* The bins and what lies behind them are the caller's, who is no handler that interrupted its thread there; `thread`
 * may be NULL: the gate alone tells then. */
static inline bool hk_front_hold_of(struct hk_thread *thread)
{
    return !HK_SIGNALS || thread == NULL || hk_front_hold(hk_front_self());
}

static inline void hk_front_let_go_of(struct hk_pass *pass)
{
    if (HK_SIGNALS && pass != NULL)
        hk_front_let_go(hk_front_self());
}

/* Goes in; `thread` may be NULL. False: turned away. */
static inline bool hk_front_go_in(struct hk_thread *thread)
{
    if (HK_UNLIKELY(!hk_front_hold_of(thread)))
        return false;
    if (HK_UNLIKELY(!hk_gate_enter(hk_front_pass(thread)))) {
        hk_front_let_go_of(hk_front_pass(thread));
        return false;
    }
    if (thread != NULL && HK_UNLIKELY(hk_load_relaxed(&hk_front_refusals) != thread->refusals))
        hk_front_give_up(thread);
    return true;
}

/* The same, but waits while others fork: for what a program does not call while it holds a lock of libc's. False: this
 * thread is inside already, or is the one that forks. */
static inline bool hk_front_go_in_waiting(struct hk_thread *thread)
{
    if (!hk_front_hold_of(thread))
        return false;
    if (hk_gate_wait(hk_front_pass(thread)))
        return true;
    hk_front_let_go_of(hk_front_pass(thread));
    return false;
}

/* Comes out, and says what was found of a corrupted list meanwhile. */
static inline void hk_front_come_out(struct hk_pass *pass)
{
    hk_gate_leave(pass);
    hk_front_let_go_of(pass);
    hk_corrupt_report();
}

#endif
