/* SPDX-License-Identifier: MIT
 *
 * steps_bin: the answers of bins that grow step by step, where they miss.
 *
 * Included by front/ANY/bin_box.h only. Who synchronises: as in front/bin.h.
 */
#ifndef HK_FRONT_STEPS_BIN_H
#define HK_FRONT_STEPS_BIN_H

/* Where there is no room for a step, none of it is worth having. */
static inline bool hk_bin_takes_rest(unsigned cls)
{
    return false;
}

static inline unsigned hk_bin_batch(unsigned cap, unsigned cls)
{
    return hk_room_half(cap, cls);
}

#endif
