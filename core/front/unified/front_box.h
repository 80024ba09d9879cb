/* SPDX-License-Identifier: MIT
 *
 * front_box, unified: one large array of ready blocks per thread and tiny class, last in first out. A miss fills half
 * of it straight from the active slab, in one batch; there is no list in between.
 *
 * A tiny class has its whole room from its first miss on, as many blocks as HAKMEM_TINY_UNIFIED_C0...C7 says for its
 * group, and nothing makes it larger; what the budget cannot give it does without. Mid classes are as in v2. Included
 * by front/front.h only. The thread's own; nobody synchronises. Must not know how the thread's budget is shared out:
 * room.c asks here what a bin would like, and decides.
 */
#ifndef HK_FRONT_BOX_H
#define HK_FRONT_BOX_H

#include "base/options.h"
#include "front/array.h"
#include "front/room.h"

#define HK_UNIFIED_MOST 256u /* blocks of one class: the upper bound of the options */
#define HK_FRONT_SLOTS \
    (HK_TINY_LAST * (HK_UNIFIED_MOST + 1) + (HK_CLASS_COUNT - 1 - HK_TINY_LAST) * (HK_MID_ROOM(0) + 1)) /* at most */

/* This front's part of a thread's record. */
struct hk_front_own {
    struct hk_room room;
    unsigned slots_used;
    void **base[HK_CLASS_COUNT]; /* the array of a class; base[0] is never used. NULL before the class is first used */
    void *slots[HK_FRONT_SLOTS]; /* all arrays, in the order of first use; the rest is never touched */
};

/* Bytes of it that are zero for a new thread; the arrays behind them need not be. */
#define HK_FRONT_FRESH offsetof(struct hk_front_own, slots)

#endif
