/* SPDX-License-Identifier: MIT
 *
 * -Dremote=chain: the blocks of a batch are gathered by slab, so that a slab of which a batch has many costs one CAS.
 */
#include "box/remote.h"

void hk_remote_begin(struct hk_remote_batch *batch)
{
    for (unsigned i = 0; i < HK_REMOTE_SLOTS; i++)
        batch->chain[i].slab = NULL;
    batch->owners = 0;
    batch->pushed = 0;
}

static void send(struct hk_remote_batch *batch, struct hk_chain *chain)
{
    hk_remote_send(batch, chain);
    chain->slab = NULL;
}

/* At most one chain makes room for another. */
unsigned hk_remote_add(struct hk_remote_batch *batch, struct hk_slab *slab, void **blocks, unsigned i, unsigned n)
{
    struct hk_chain *chain = &batch->chain[((uintptr_t)blocks[i] >> 16) % HK_REMOTE_SLOTS];
    uintptr_t base = (uintptr_t)hk_slab_base(slab), length = slab->slabs * HK_SLAB_SIZE;
    if (chain->slab != slab) {
        if (chain->slab != NULL)
            send(batch, chain);
        *chain = (struct hk_chain){slab, NULL, blocks[i], 0};
    }
    unsigned first = i;
    void *head = chain->first;
    do {
        *(void **)blocks[i] = head;
        head = blocks[i];
        i++;
    } while (i < n && (uintptr_t)blocks[i] - base < length);
    chain->first = head;
    chain->count += i - first;
    return i;
}

void hk_remote_end(struct hk_remote_batch *batch)
{
    for (unsigned i = 0; i < HK_REMOTE_SLOTS; i++) {
        if (batch->chain[i].slab != NULL)
            send(batch, &batch->chain[i]);
    }
}
