/* SPDX-License-Identifier: MIT
 *
 * front_box, v2: an array magazine: per thread and class an array of ready blocks, last in first out, that grows where
 * it misses.
 *
 * Included by front/front.h only. The thread's own; nobody synchronises. Must not know how the thread's budget is
 * shared out: room.c asks here what a bin would like, and decides.
 */
#ifndef HK_FRONT_BOX_H
#define HK_FRONT_BOX_H

#include "base/options.h"
#include "front/array.h"
#include "front/room.h"
#include "front/slots.h"

/* This front's part of a thread's record. */
struct hk_front_own {
    struct hk_room room;
    unsigned slots_used;
    void **base[HK_CLASS_COUNT]; /* the array of a class; base[0] is never used. NULL before the class is first used */
    void *slots[HK_FRONT_SLOTS]; /* all arrays, in the order of first use */
};

/* Bytes of it that are zero for a new thread; the arrays behind them need not be. */
#define HK_FRONT_FRESH offsetof(struct hk_front_own, slots)

/* The most blocks of a class that a bin may ever hold. */
unsigned hk_v2_most(unsigned cls);

#endif
