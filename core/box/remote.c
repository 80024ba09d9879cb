/* SPDX-License-Identifier: MIT
 *
 * Pushes, to the remote word and to the wake stack; taking from them is inline. How batches become chains:
 * remote_batch.h.
 */
#include "box/remote.h"

_Atomic uint32_t hk_remote_patience = HK_REMOTE_QUEUED;

void hk_remote_wake(struct hk_owner *owner, struct hk_slab *slab)
{
    uintptr_t first = hk_load_relaxed(&owner->wake);
    do {
        slab->wake_next = (struct hk_slab *)first;
    } while (!hk_cas_weak_release(&owner->wake, &first, (uintptr_t)slab)); /* pairs with take_woken */
}

struct hk_owner *hk_remote_push(const struct hk_chain *chain)
{
    struct hk_slab *slab = chain->slab;
    uint32_t slabs = slab->slabs; /* once they are pushed, the slab may be opened anew */
    uint64_t before = hk_load_relaxed(&slab->remote);
    uint64_t after;
    do {
        hk_link_to(chain->last, hk_remote_first(before));
        after = (uint64_t)(hk_remote_length(before) + chain->count) << HK_REMOTE_POINTER_BITS | (uintptr_t)chain->first;
        /* Release: hk_remote_take sees the links. Acquire: whoever makes a zero word nonzero writes wake_next, and the
         * collector that made it zero has read that before. */
    } while (!hk_cas_weak_acq_rel(&slab->remote, &before, after));
    if (before != 0)
        return NULL; /* already on a wake stack */
    struct hk_owner *owner = hk_slab_owner(slab);
    hk_remote_wake(owner, slab);
    hk_fence_full(); /* pairs with the fence of the thread that sets the state to GONE: my push is seen, or I see the
                        state */
    if (hk_load_relaxed(&owner->state) != HK_OWNER_ALIVE)
        return owner;
    uint32_t queued = hk_add_relaxed(&owner->queued, slabs);
    return queued >= hk_load_relaxed(&hk_remote_patience) ? owner : NULL; /* a hint */
}
