/* SPDX-License-Identifier: MIT
 *
 * remote: how a thread gives blocks back to a slab that another heap owns: it pushes a chain of them onto the slab's
 * remote word with one CAS; whoever makes the word nonzero also pushes the slab onto its owner's wake stack. -Dremote=
 * chooses how long chains are (remote_batch.h in the folder of the choice): `chain` gathers a batch's blocks by slab
 * first, `cas` pushes each block at once.
 *
 * Protocol, the same for both. The remote word is the only authority.
 *  - Word nonzero <=> the slab is on one wake stack, or its pusher is about to put it there, or its collector has just
 *    taken it off. So a slab is on at most one stack, once.
 *  - Only the thread that took the slab off a wake stack takes the chain (hk_remote_take), and holds the lock of the
 * heap that owns the slab while it does. A slab that meanwhile belongs to somebody else is forwarded by the collector.
 *  - Blocks in a chain count as used: a slab with a nonzero word is never EMPTY and never recycled.
 *  - After pushing, the pusher looks at the owner's state; a heap whose thread has ended sets that state before it
 *    looks at its stack for the last time. One of the two sees the other (two full fences), so no chain is left behind.
 *  - Owners are never unmapped.
 * Every interleaving of it is checked in a model, docs/models/remote.pml.
 *
 * Pushes need no lock; a batch is its thread's alone. Must not know heaps: an owner is its mailbox.
 */
#ifndef HK_BOX_REMOTE_H
#define HK_BOX_REMOTE_H

#include "superslab/slab.h"

enum hk_owner_state {
    HK_OWNER_NONE = 0, /* record without a thread and without slabs */
    HK_OWNER_ALIVE,    /* its thread will collect */
    HK_OWNER_GONE,     /* its thread has ended, or stayed behind in the parent of a fork: pushers collect themselves */
};

struct hk_owner {
    _Atomic uintptr_t wake;  /* first slab of the wake stack, linked through wake_next */
    _Atomic uint32_t queued; /* slabs pushed since the last collect, spans by their length; relaxed: tells pushers that
                                the owner may be asleep */
    _Atomic uint32_t state;  /* enum hk_owner_state */
} HK_ALIGNED(HK_CACHE_LINE);

/* Blocks of one slab on their way back to it, linked through their first words. */
struct hk_chain {
    struct hk_slab *slab;
    void *first, *last;
    unsigned count;
};

/* The remote word: the first block of the chain, and above it how many there are. */
#define HK_REMOTE_POINTER_BITS 48

static inline void *hk_remote_first(uint64_t word)
{
    return (void *)(uintptr_t)(word & (((uint64_t)1 << HK_REMOTE_POINTER_BITS) - 1));
}

static inline unsigned hk_remote_length(uint64_t word)
{
    return (unsigned)(word >> HK_REMOTE_POINTER_BITS);
}

/* An owner that lets so many slabs (2 MiB of them) wait is asleep or only frees elsewhere; a span of five counts five.
 * `hk_remote_patience` is how many it may: that, or less where there are many owners. Who counts these writes it;
 * relaxed. */
#define HK_REMOTE_QUEUED 32u

extern HK_HIDDEN _Atomic uint32_t hk_remote_patience;

/* Pushes a chain. Returns the owner when it should be collected on its behalf (its thread is gone, or lets many slabs
 * wait), else NULL. Any thread that holds the chain's blocks. */
struct hk_owner *hk_remote_push(const struct hk_chain *chain);

/* What a batch has sent, and what came of it: the part of struct hk_remote_batch that both choices have. */
#define HK_REMOTE_OWNERS 8u
#define HK_REMOTE_SPARE 8u

struct hk_remote_sent {
    struct hk_owner *owner[HK_REMOTE_OWNERS + HK_REMOTE_SPARE]; /* to collect for, as hk_remote_push says */
    unsigned owners;                                            /* in `owner` */
    unsigned chains;                                            /* pushed so far */
};

/* Is there no more room but for what ends the batch? Then the caller collects for the owners and empties the list. */
static inline bool hk_remote_is_full(const struct hk_remote_sent *sent)
{
    return sent->owners >= HK_REMOTE_OWNERS;
}

/* Pushes a chain and remembers an owner to collect for. */
static inline void hk_remote_send(struct hk_remote_sent *sent, const struct hk_chain *chain)
{
    struct hk_owner *owner = hk_remote_push(chain);
    sent->chains++;
    if (HK_UNLIKELY(owner != NULL) && (sent->owners == 0 || sent->owner[sent->owners - 1] != owner))
        sent->owner[sent->owners++] = owner;
}

/* Puts a slab, whose word is nonzero and which is on no stack, onto its owner's wake stack. */
void hk_remote_wake(struct hk_owner *owner, struct hk_slab *slab);

static inline bool hk_remote_has_woken(struct hk_owner *owner)
{
    return hk_load_relaxed(&owner->wake) != 0; /* a hint: take_woken decides */
}

/* Takes the whole wake stack: the first slab, linked through wake_next. The owner's lock. */
static inline struct hk_slab *hk_remote_take_woken(struct hk_owner *owner)
{
    if (!hk_remote_has_woken(owner))
        return NULL;
    hk_store_relaxed(&owner->queued, 0);                       /* a hint */
    return (struct hk_slab *)hk_swap_acquire(&owner->wake, 0); /* pairs with hk_remote_wake */
}

/* Takes the chain of a slab that was just taken off a wake stack; *count is its length. The lock of the heap that owns
 * the slab. */
static inline void *hk_remote_take(struct hk_slab *slab, unsigned *count)
{
    uint64_t word = hk_swap_acq_rel(&slab->remote, 0); /* both halves pair with hk_remote_push */
    *count = hk_remote_length(word);
    return hk_remote_first(word);
}

/* Blocks that wait in the word; for statistics. */
static inline unsigned hk_remote_count(struct hk_slab *slab)
{
    return hk_remote_length(hk_load_relaxed(&slab->remote));
}

#endif
