/* SPDX-License-Identifier: MIT
 *
 * The remote word and the wake stack. How batches become chains: remote_batch.h.
 */
#include "box/remote.h"

/* An owner that lets so many slabs (2 MiB of them) wait is asleep or only frees elsewhere. */
#define QUEUED_MAX 32u

#define POINTER_BITS 48
#define POINTER_MASK (((uint64_t)1 << POINTER_BITS) - 1)

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
    uint64_t before = hk_load_relaxed(&slab->remote);
    uint64_t after;
    do {
        *(void **)chain->last = (void *)(uintptr_t)(before & POINTER_MASK);
        after = ((before >> POINTER_BITS) + chain->count) << POINTER_BITS | (uintptr_t)chain->first;
        /* Release: hk_remote_take sees the links. Acquire: who makes a zero word nonzero writes wake_next, and the
         * collector that made it zero has read that before. */
    } while (!hk_cas_weak_acq_rel(&slab->remote, &before, after));
    if (before != 0)
        return NULL; /* already on a wake stack */
    struct hk_owner *owner = hk_slab_owner(slab);
    hk_remote_wake(owner, slab);
    hk_fence_full(); /* pairs with the fence of who sets the state to GONE: my push is seen, or I see the state */
    if (hk_load_relaxed(&owner->state) != HK_OWNER_ALIVE)
        return owner;
    return hk_add_relaxed(&owner->queued, 1) >= QUEUED_MAX ? owner : NULL; /* a hint */
}

struct hk_slab *hk_remote_take_woken(struct hk_owner *owner)
{
    if (!hk_remote_has_woken(owner))
        return NULL;
    hk_store_relaxed(&owner->queued, 0);                       /* a hint */
    return (struct hk_slab *)hk_swap_acquire(&owner->wake, 0); /* pairs with hk_remote_wake */
}

void *hk_remote_take(struct hk_slab *slab, unsigned *count)
{
    uint64_t word = hk_swap_acq_rel(&slab->remote, 0); /* both halves pair with hk_remote_push */
    *count = (unsigned)(word >> POINTER_BITS);
    return (void *)(uintptr_t)(word & POINTER_MASK);
}
