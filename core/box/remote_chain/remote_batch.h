/* SPDX-License-Identifier: MIT
 *
 * remote_batch, -Dremote=chain: the blocks of a batch are gathered by slab, so that a slab of which a batch has many
 * costs one CAS. A batch is its thread's alone; what it sends follows the protocol in box/remote.h. Included by
 * box/heap.c only.
 */
#ifndef HK_BOX_REMOTE_BATCH_H
#define HK_BOX_REMOTE_BATCH_H

#include "box/remote.h"

/* Chains that a batch gathers at a time. */
#define HK_REMOTE_SLOTS 8u
_Static_assert(HK_REMOTE_SLOTS <= HK_REMOTE_SPARE, "the last chains of a batch may each report an owner");

struct hk_remote_batch {
    struct hk_remote_sent sent;
    struct hk_chain chain[HK_REMOTE_SLOTS]; /* direct-mapped, so that a scattered batch costs no search */
};

/* Makes a batch empty. */
static inline void hk_remote_begin(struct hk_remote_batch *batch)
{
    for (unsigned i = 0; i < HK_REMOTE_SLOTS; i++)
        batch->chain[i].slab = NULL;
    batch->sent.owners = 0;
    batch->sent.chains = 0;
}

/* Adds blocks[i] of `slab`, and as many of blocks[i + 1 ... n) as lie in what was carved of the same slab; returns
 * where it stopped. */
static inline unsigned hk_remote_add(struct hk_remote_batch *batch, struct hk_slab *slab, void **blocks, unsigned i,
                                     unsigned n)
{
    struct hk_chain *chain = &batch->chain[((uintptr_t)blocks[i] >> 16) % HK_REMOTE_SLOTS];
    if (chain->slab != slab) {
        if (chain->slab != NULL)
            hk_remote_send(&batch->sent, chain);
        *chain = (struct hk_chain){slab, NULL, blocks[i], 0};
    }
    uintptr_t base = (uintptr_t)hk_slab_base(slab), length = hk_slab_length_out(slab);
    do {
        hk_link_first(blocks[i], chain->first);
        chain->first = blocks[i];
        chain->count++;
        i++;
    } while (i < n && (uintptr_t)blocks[i] - base < length);
    return i;
}

/* Sends what is still in the batch. Owners that wait then are the caller's to collect for. */
static inline void hk_remote_end(struct hk_remote_batch *batch)
{
    for (unsigned i = 0; i < HK_REMOTE_SLOTS; i++) {
        if (batch->chain[i].slab != NULL)
            hk_remote_send(&batch->sent, &batch->chain[i]);
    }
}

#endif
