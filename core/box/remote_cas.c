/* SPDX-License-Identifier: MIT
 *
 * -Dremote=cas: every block is pushed at once, with a CAS of its own; a batch holds nothing back.
 */
#include "box/remote.h"

void hk_remote_begin(struct hk_remote_batch *batch)
{
    batch->owners = 0;
    batch->pushed = 0;
}

/* Each push may report an owner: the slab can change hands meanwhile. */
unsigned hk_remote_add(struct hk_remote_batch *batch, struct hk_slab *slab, void **blocks, unsigned i, unsigned n)
{
    uintptr_t base = (uintptr_t)hk_slab_base(slab), length = slab->slabs * HK_SLAB_SIZE;
    do {
        struct hk_chain chain = {slab, blocks[i], blocks[i], 1};
        hk_remote_send(batch, &chain);
        i++;
    } while (i < n && (uintptr_t)blocks[i] - base < length && !hk_remote_is_full(batch));
    return i;
}

void hk_remote_end(struct hk_remote_batch *batch)
{
    (void)batch;
}
