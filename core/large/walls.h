/* SPDX-License-Identifier: MIT
 *
 * walls: a page behind a page run, or a mapping, that nobody may touch (-Dguards=enabled): whoever writes or reads past
 * such a block, however far, is stopped by the processor before he comes to what is another's.
 *
 * Each mapping has a wall, and one run in HAKMEM_WALL_EVERY. Such a run is a page longer than its block, and a table
 * says which runs these are: a wall has its place there by the number of its page, and where that place is another's
 * the run has none. So there are HK_WALLS at most, and the kernel, which allows a process 65530 mappings, has two more
 * for each. Nor does a run have one where the system refuses, or where its pages are larger than ours.
 *
 * Any thread; no lock: a place is taken and given by a compare-and-swap, and a wall is put up and taken away by who
 * has the run. Knows os and options; must not know what a run is.
 */
#ifndef HK_LARGE_WALLS_H
#define HK_LARGE_WALLS_H

#include "base/atomic.h"
#include "base/bits.h"
#include "config.h"

#define HK_WALLS 4096u

/* Its number, or 0. */
extern HK_HIDDEN uintptr_t hk_wall_places[HK_GUARDS ? HK_WALLS : 1];

/* What stands behind a mapping, in bytes. */
static inline size_t hk_wall_bytes(size_t page)
{
    return HK_GUARDS ? page : 0;
}

static inline uintptr_t *hk_wall_place(uintptr_t page)
{
    uintptr_t number = page / 4096;
    return &hk_wall_places[(number ^ number / HK_WALLS) % HK_COUNT(hk_wall_places)];
}

/* Is this page a wall? Right for a page of a live run of the caller's, else a hint. */
static inline bool hk_wall_is(uintptr_t page)
{
    return HK_GUARDS && hk_peek(hk_wall_place(page)) == page;
}

/* What of a live run of so many bytes is its wall; a hint where it is not the caller's. */
static inline size_t hk_wall_in(const void *run, size_t size)
{
    return hk_wall_is((uintptr_t)run + size - 4096) ? 4096 : 0;
}

/* Makes the last page of the caller's memory a wall; false: it is an ordinary page. */
bool hk_wall_put(void *page);

/* Makes a wall an ordinary page again; false: the system refuses, and it stays. */
bool hk_wall_take(void *page);

/* Is it the turn of a new run to have one? One in HAKMEM_WALL_EVERY has: to put one up and take it away is two system
 * calls. */
bool hk_wall_is_due(void);

#endif
