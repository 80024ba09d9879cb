/* SPDX-License-Identifier: MIT
 *
 * transfer_priv: what the files of the transfer box share, the arrays and their locks. Included by box/transfer*.c
 * only. Synchronisation is in transfer.h.
 */
#ifndef HK_BOX_TRANSFER_PRIV_H
#define HK_BOX_TRANSFER_PRIV_H

#include "box/transfer.h"
#include "os/numa.h"

struct array {
    struct hk_lock lock;
    _Atomic uint32_t count;          /* blocks in it; written under the lock, a hint without */
    _Atomic uint32_t offered;        /* blocks since some were wanted, those that were refused included; relaxed */
    uint64_t batches;                /* put into it so far; the lock, but for statistics */
    void *block[HK_TRANSFER_BLOCKS]; /* the newest last; the lock */
};

/* What its threads count of one place, on a line of its own. Relaxed: about right is enough. */
struct place {
    HK_ALIGNED(HK_CACHE_LINE) _Atomic size_t waiting; /* bytes in its arrays */
    _Atomic size_t told;                              /* what of it is in the sum of all */
};

/* NULL before the first batch. A node's places lie beside each other. */
extern HK_HIDDEN struct array *_Atomic hk_transfer_arrays[HK_NUMA_NODES * HK_TRANSFER_PLACES][HK_CLASS_COUNT];
extern HK_HIDDEN struct place hk_transfer_places[HK_NUMA_NODES * HK_TRANSFER_PLACES];
extern HK_HIDDEN _Atomic size_t hk_transfer_told;     /* bytes in all arrays, as far as it was told; relaxed */
extern HK_HIDDEN struct hk_lock hk_transfer_making;   /* held while an array is made */
extern HK_HIDDEN struct hk_lock hk_transfer_sweeping; /* by who sweeps, and by who counts what is where */

static inline unsigned place_count(void)
{
    return hk_numa_nodes() * HK_TRANSFER_PLACES;
}

static inline struct array *array_at(unsigned place, unsigned cls)
{
    return hk_load_acquire(&hk_transfer_arrays[place][cls]); /* pairs with the release in make_array */
}

#endif
