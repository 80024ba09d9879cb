/* SPDX-License-Identifier: MIT
 *
 * bin_box, two: how stacks of two ask for room, and hand blocks over.
 *
 * Included by front/bin.h only. Who synchronises: as there.
 */
#ifndef HK_BIN_BOX_H
#define HK_BIN_BOX_H

#define HK_BIN_LENT 1u

/* Everything at the first miss. */
static inline unsigned hk_bin_wanted(const struct hk_cap *cap, unsigned cls)
{
    return cap->max;
}

/* Room for one is none: the class would be bypassed. */
static inline bool hk_bin_takes_rest(unsigned cls)
{
    return false;
}

/* The one that the program waits for. */
static inline unsigned hk_bin_batch(unsigned cap, unsigned cls)
{
    return 1;
}

void **hk_bin_top(struct hk_thread *thread, unsigned cls, unsigned n, void **lent);
void *hk_bin_fill(struct hk_thread *thread, unsigned cls, void **top, unsigned n, unsigned got);
void **hk_bin_oldest(struct hk_thread *thread, unsigned cls, unsigned *n, void **lent);
void hk_bin_drop(struct hk_thread *thread, unsigned cls, unsigned n);

#endif
