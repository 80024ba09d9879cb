/* SPDX-License-Identifier: MIT
 *
 * steps: what the slow paths of malloc are made of. Included by front/slow_malloc.c,
 * front/profiled_malloc.c, front/guard.c and front/hardened/ANY.c only.
 *
 * Who synchronises: as in slow.h. Must not know what a profile is.
 */
#ifndef HK_FRONT_STEPS_H
#define HK_FRONT_STEPS_H

#include "base/compiler.h"

/* What a block is wanted for. */
struct hk_want {
    size_t size, align; /* align above 16: from the page heap */
    bool fills;         /* it will probably be written from end to end */
    bool zero;          /* out: it is known to be zero */
};

/* A block from behind the fronts, or of a class whose bin is empty; NULL and ENOMEM. */
void *hk_step_through_gate(struct hk_want *w);
HK_NOINLINE void *hk_step_sized(size_t size);

/* One of a class whose bin is empty: any up to 32 KiB, or a Mid one. */
void *hk_step_missed(size_t size);
HK_NOINLINE void *hk_step_mid_missed(size_t size);

/* What malloc does without a profile: a block that lies ready in its bin, or else one of the above. `thread` may be
 * NULL.
 */
struct hk_thread;
void *hk_step_ready(struct hk_thread *thread, size_t size);

/* A Mid one that is known to be zero, where no front has any; NULL: take another. May set errno. */
HK_NOINLINE void *hk_step_virgin(size_t size);

#endif
