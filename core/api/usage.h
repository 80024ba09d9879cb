/* SPDX-License-Identifier: MIT
 *
 * usage: where the memory is, worked out on request by walking all boxes. The one source of every statistic that is
 * printed or returned.
 *
 * Any thread that holds no lock; takes each box's lock in turn, so figures of a busy program belong to slightly
 * different moments. Allocates nothing. A reading asks the system which pages are resident (mincore), or makes no
 * system call and takes for resident what the boxes count as touched: what programs call that did not ask for a report
 * of ours.
 */
#ifndef HK_API_USAGE_H
#define HK_API_USAGE_H

#include "box/guarded.h"
#include "front/front.h"

struct hk_class_usage {
    size_t slabs;    /* owned by heaps; a span counts once, as it has one record */
    size_t hot;      /* of these, densely used */
    size_t used;     /* blocks outside slabs, fronts and chains included */
    size_t front;    /* blocks in fronts */
    size_t remote;   /* blocks in chains that wait for their owner */
    size_t carved;   /* blocks ever handed out by the present slabs */
    size_t resident; /* bytes */
    struct hk_front_metrics moved;
    struct hk_front_hits hits[HK_TELEMETRY];
};

struct hk_usage {
    bool counted;             /* HK_USAGE_COUNTED */
    size_t live, live_blocks; /* what the program holds: bytes of blocks, touched or not */
    size_t runs, run_blocks;  /* part of live in page runs */
    size_t huge, huge_blocks; /* part of live with a mapping of its own */
    /* Resident bytes; these add up to `resident`. Counted: live blocks are touched as a whole, and there is no
     * metadata.
     */
    size_t live_resident, front, slab_free, empty, run_free, metadata;
    size_t resident;
    size_t front_blocks; /* in fronts, on their way to another, and in chains */
    size_t free_blocks;  /* carved and free in slabs */
    size_t mapped;
    size_t superslabs, threads;
    size_t slabs, hot; /* owned by heaps, a span once; of these, densely used */
    uint64_t refills, flushes, chains, transfers;
    uint64_t refilled, flushed; /* blocks */
    struct hk_front_hits hits;  /* zero without telemetry */
    struct hk_guarded_sums guarded;
    struct hk_class_usage cls[HK_CLASS_COUNT];
};

enum hk_usage_source { HK_USAGE_RESIDENT, HK_USAGE_COUNTED };

void hk_usage_read(struct hk_usage *u, enum hk_usage_source source);

#endif
