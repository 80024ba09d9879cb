/* SPDX-License-Identifier: MIT
 *
 * room: how many blocks each bin of a thread may hold. Fronts that keep blocks by the piece share it; how they keep
 * them is their own business (the functions named hk_bin_ in front.h).
 *
 * A bin grows where it misses, as long as the thread's budget lasts; a thread that only frees scattered blocks is
 * drained. The thread's own; nobody synchronises (statistics read counts and know that they may be a moment old).
 */
#ifndef HK_FRONT_ROOM_H
#define HK_FRONT_ROOM_H

#include "box/heap.h"

/* Room of one bin. */
struct hk_cap {
    uint16_t now;    /* blocks it may hold now */
    uint16_t max;    /* and ever */
    uint16_t misses; /* refills and flushes, halved each time the budget's hand passes */
};

struct hk_room {
    size_t bytes;       /* sum over classes of cap * size; at most twice hk_front_limit */
    unsigned scattered; /* flushes of blocks from many slabs, less refills: is the thread only freeing? */
    bool draining;      /* it is: bins are kept nearly empty */
    unsigned flushes;   /* counts to the next look at what the front really holds */
    unsigned hand;      /* next class whose cap the budget looks at */
    struct hk_cap cap[HK_CLASS_COUNT];
};

#endif
