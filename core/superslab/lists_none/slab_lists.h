/* SPDX-License-Identifier: MIT
 *
 * slab_lists, none: no front but that of the slabs' own lists (-Dfront=slab) has anything beside a slab's record.
 * Included by superslab/slab.h only; its functions are called where lists_private has something to do, and do nothing.
 */
#ifndef HK_SUPERSLAB_SLAB_LISTS_H
#define HK_SUPERSLAB_SLAB_LISTS_H

/* No byte. */
struct hk_private {
};

static inline void hk_private_close(struct hk_private *list)
{
}

static inline uint32_t hk_private_reclaim(struct hk_private *list, uint32_t *used)
{
    return 0;
}

#endif
