/* SPDX-License-Identifier: MIT
 *
 * owned: how heaps of one's own (large/own.h) are reached: through the gate, with what is to be done when there is no
 * memory, and with a message for what is wrong. Included by front/ANY.c, front/hardened/ANY.h and api/heaps.c only.
 *
 * Any thread. No block of such a heap is ever in a bin, and none is sampled by a profile. Must not know the public
 * names.
 */
#ifndef HK_FRONT_OWNED_H
#define HK_FRONT_OWNED_H

#include "large/own.h"

/* A heap, or NULL and ENOMEM. Waits while another thread forks, as do the next two. */
HK_SLOW_PATH struct hk_own *hk_front_own_new(size_t limit);

/* False and EAGAIN: a handler that interrupted malloc calls, or who is in a fork; or, after a message, `heap` is none.
 */
HK_SLOW_PATH bool hk_front_own_destroy(struct hk_own *heap);

/* A block; NULL and ENOMEM, in such a handler too. `heap` is one. */
HK_NOINLINE void *hk_front_own_take(struct hk_own *heap, struct hk_own_want *want);

/* Puts any block without a code down, to be freed later: who frees it is turned away. */
HK_SLOW_PATH void hk_front_defer(const struct hk_block *block);

/* Resizes a block of such a heap within it; NULL and ENOMEM, and the block as it was; but to a smaller size never. It
 * holds `roomy` bytes where they are there. */
HK_SLOW_PATH void *hk_front_own_resize(const struct hk_block *block, size_t size, size_t roomy);

/* False: as hk_front_own_destroy, without a message. */
HK_SLOW_PATH bool hk_front_own_count(struct hk_own *heap, struct hk_own_sums *sums);

#endif
