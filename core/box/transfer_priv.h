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

/* NULL before the first batch. A node's places lie beside each other. */
extern HK_HIDDEN struct array *_Atomic hk_transfer_arrays[HK_NUMA_NODES * HK_TRANSFER_PLACES][HK_CLASS_COUNT];
extern HK_HIDDEN _Atomic size_t hk_transfer_waiting; /* bytes in all of them; relaxed: about right is enough */
extern HK_HIDDEN struct hk_lock hk_transfer_making;  /* held while an array is made */

static inline struct array *array_at(unsigned place, unsigned cls)
{
    return hk_load_acquire(&hk_transfer_arrays[place][cls]); /* pairs with the release in make_array */
}

#endif
