/* SPDX-License-Identifier: MIT
 *
 * bin_box, unified: how large arrays ask for room.
 *
 * Included by front/bin.h only. Who synchronises: as there.
 */
#ifndef HK_BIN_BOX_H
#define HK_BIN_BOX_H

#include "front/array_bin.h"

static inline unsigned hk_bin_wanted(const struct hk_cap *cap, unsigned cls)
{
    return cls <= HK_TINY_LAST ? cap->max : hk_room_half_more(cap->now, cls, cap->max);
}

/* A tiny class asks for everything at once: where that is too much, it takes what there is. */
static inline bool hk_bin_takes_rest(unsigned cls)
{
    return cls <= HK_TINY_LAST;
}

static inline unsigned hk_bin_batch(unsigned cap, unsigned cls)
{
    return cls <= HK_TINY_LAST ? (unsigned)hk_max(cap / 2, 1) : hk_room_half(cap, cls);
}

#endif
