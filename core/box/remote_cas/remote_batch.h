/* SPDX-License-Identifier: MIT
 *
 * remote_batch, -Dremote=cas: every block is sent at once, with a CAS of its own; a batch holds nothing back. A batch
 * is its thread's alone; what it sends follows the protocol in box/remote.h. Included by box/heap.c only.
 */
#ifndef HK_BOX_REMOTE_BATCH_H
#define HK_BOX_REMOTE_BATCH_H

#include "box/remote.h"

/* Chains that a batch gathers at a time. */
#define HK_REMOTE_SLOTS 0u

struct hk_remote_batch {
    struct hk_remote_sent sent;
};

/* Makes a batch empty. */
static inline void hk_remote_begin(struct hk_remote_batch *batch)
{
    batch->sent.owners = 0;
    batch->sent.chains = 0;
}

/* Sends blocks[i] of `slab`, and as many of blocks[i + 1 ... n) as lie in what was carved of the same slab; returns
 * where it stopped. Each may report an owner, because the slab may change hands meanwhile. */
static inline unsigned hk_remote_add(struct hk_remote_batch *batch, struct hk_slab *slab, void **blocks, unsigned i,
                                     unsigned n)
{
    uintptr_t base = (uintptr_t)hk_slab_base(slab), length = hk_slab_length_out(slab);
    do {
        struct hk_chain chain = {slab, blocks[i], blocks[i], 1};
        hk_link_first(blocks[i], NULL);
        hk_remote_send(&batch->sent, &chain);
        i++;
    } while (i < n && (uintptr_t)blocks[i] - base < length && !hk_remote_is_full(&batch->sent));
    return i;
}

/* Nothing is left to send. */
static inline void hk_remote_end(struct hk_remote_batch *batch)
{
}

#endif
