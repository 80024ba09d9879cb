/* SPDX-License-Identifier: MIT
 *
 * bin_box, ring: how rings ask for room, and hand blocks over.
 *
 * Included by front/bin.h only. Who synchronises: as there.
 */
#ifndef HK_BIN_BOX_H
#define HK_BIN_BOX_H

#include "front/steps_bin.h"

#define HK_BIN_LENT HK_RING_MOST

static inline unsigned hk_bin_wanted(const struct hk_cap *cap, unsigned cls)
{
    return hk_room_half_more(cap->now, cls, cap->max);
}

void **hk_bin_top(struct hk_thread *thread, unsigned cls, unsigned n, void **lent);
void *hk_bin_fill(struct hk_thread *thread, unsigned cls, void **top, unsigned n, unsigned got);
void **hk_bin_oldest(struct hk_thread *thread, unsigned cls, unsigned *n, void **lent);
void hk_bin_drop(struct hk_thread *thread, unsigned cls, unsigned n);

#endif
