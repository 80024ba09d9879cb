/* SPDX-License-Identifier: MIT
 *
 * inside: how a slow path goes in through the gate and comes out again. Included by front/ANY.c only.
 *
 * Who is turned away takes no lock, and no block of a heap. Must not know what is done inside.
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

/* Goes in; `thread` may be NULL. False: turned away. */
static inline bool hk_front_go_in(struct hk_thread *thread)
{
    if (HK_UNLIKELY(!hk_gate_enter(hk_front_pass(thread))))
        return false;
    if (thread != NULL && HK_UNLIKELY(hk_load_relaxed(&hk_front_refusals) != thread->refusals))
        hk_front_give_up(thread);
    return true;
}

/* Comes out, and says what was found of a corrupted list meanwhile. */
static inline void hk_front_come_out(struct hk_pass *pass)
{
    hk_gate_leave(pass);
    hk_corrupt_report();
}

#endif
