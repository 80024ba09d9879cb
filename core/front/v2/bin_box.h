/* SPDX-License-Identifier: MIT
 *
 * bin_box, v2: how arrays that grow step by step ask for room.
 *
 * Included by front/bin.h only. Who synchronises: as there.
 */
#ifndef HK_BIN_BOX_H
#define HK_BIN_BOX_H

#include "front/array_bin.h"
#include "front/steps_bin.h"

static inline unsigned hk_bin_wanted(const struct hk_cap *cap, unsigned cls)
{
    return hk_room_half_more(cap->now, cls, (unsigned)hk_min(cap->max, (size_t)hk_opt(HK_OPT_FRONT_V2_CAP)));
}

#endif
