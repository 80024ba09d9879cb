/* SPDX-License-Identifier: MIT
 *
 * Pages of free blocks in slabs where others are in use. Where half of what was in use no longer is, and it stays so
 * for HAKMEM_PURGE_DELAY_MS, the slabs that are left are sparse: the next slow paths of free look at all of them once,
 * and give back what lies between the ends of free blocks, a piece in one call. A program that has freed all by then,
 * or has filled the slabs again, is not held up.
 */
#include "box/heap.h"
#include "box/purge.h"
#include "box/purge_priv.h"

/* So much less is in use, and so much free in slabs: else it is not worth a look. */
#define SPARSE_BYTES (4 * HK_MIB)

/* Relaxed: a look too many, or one that begins late, does no harm. */
static _Atomic size_t most_used;    /* bytes in use, the most since the last look */
static _Atomic uint32_t seen;       /* ms of the clock when half of it was found gone */
static _Atomic size_t looked_up_to; /* unit that the look has come to; 0: it has not begun */

_Atomic bool hk_purge_sparse;

/* Heaps tell a little late, so that more may have come back than was taken. */
static inline size_t used_bytes(void)
{
    size_t used = hk_load_relaxed(&hk_heap_used);
    return used <= SIZE_MAX / 2 ? used : 0;
}

static inline size_t free_in_slabs(size_t used)
{
    size_t owned = hk_load_relaxed(&hk_pool_owned) * HK_SLAB_SIZE;
    return owned - hk_min(owned, used);
}

static inline bool is_sparse(size_t used)
{
    size_t most = hk_load_relaxed(&most_used);
    return used <= most / 2 && most - used >= SPARSE_BYTES && free_in_slabs(used) >= SPARSE_BYTES;
}

void hk_purge_note_used(uint32_t now)
{
    size_t used = used_bytes();
    if (used > hk_load_relaxed(&most_used))
        hk_store_relaxed(&most_used, used);
    bool sparse = is_sparse(used);
    if (hk_load_relaxed(&looked_up_to) == 0 && hk_load_relaxed(&hk_purge_sparse) != sparse) {
        hk_store_relaxed(&seen, now);
        hk_store_relaxed(&hk_purge_sparse, sparse);
    }
}

bool hk_purge_pages(uint32_t now)
{
    size_t at = hk_load_relaxed(&looked_up_to);
    if (!hk_load_relaxed(&hk_purge_sparse) ||
        (at == 0 && hk_ms_since(now, hk_load_relaxed(&seen)) < hk_purge_delay_ms()))
        return false;
    hk_purge_count(hk_heap_give_pages(&at, HK_PURGE_MOST));
    hk_store_relaxed(&looked_up_to, at);
    if (at == 0) {
        hk_store_relaxed(&most_used, used_bytes());
        hk_store_relaxed(&hk_purge_sparse, false);
    }
    return at != 0;
}

size_t hk_purge_pages_now(size_t keep)
{
    size_t at = 0;
    return free_in_slabs(used_bytes()) > keep ? hk_heap_give_pages(&at, SIZE_MAX) : 0;
}
