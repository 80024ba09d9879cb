/* SPDX-License-Identifier: MIT
 *
 * statistic_list: every figure that is returned, printed or drawn, once: its name, its unit, which boxes count it, a
 * sentence, and where it comes from. From these tables follow hak_stats and hak_stats_classes, the JSON, the page of
 * HAKMEM_STATS=1, the totals of the picture, and docs/statistics.md (tools/gen_statistics_doc.py). The structures of
 * include/hakmem/hakmem.h have the same fields in the same order, or statistics.c does not compile.
 *
 * Knows nothing: the last columns are for whoever has what they name.
 */
#ifndef HK_API_STATISTIC_LIST_H
#define HK_API_STATISTIC_LIST_H

/* Of the process, from struct hak_stats's third field on: type, name, unit, built (ALWAYS; TELEMETRY: zero without it),
 * boxes, sentence, value. The value is made of `u`, a reading (api/usage.h); of an array it is the function that fills
 * it. New ones come last. */
#define HK_STATISTICS(X)                                                                                               \
    X(uint32_t, threads, THREADS, ALWAYS, "heap", "threads that have a heap now", (uint32_t)u->threads)                \
    X(size_t, live_bytes, BYTES, ALWAYS, "slab, ss_arena, huge, side",                                                 \
      "in the program's hands, in block sizes, touched or not", u->live)                                               \
    X(size_t, live_blocks, BLOCKS, ALWAYS, "slab, ss_arena, huge, side", "blocks in the program's hands",              \
      u->live_blocks)                                                                                                  \
    X(size_t, live_resident_bytes, BYTES, ALWAYS, "usage", "resident part of live_bytes", u->live_resident)            \
    X(size_t, front_bytes, BYTES, ALWAYS, "front, transfer, remote",                                                   \
      "free, in front caches for their thread or on the way to their owner", u->front)                                 \
    X(size_t, slab_free_bytes, BYTES, ALWAYS, "slab", "resident and free beside live blocks of the same class",        \
      u->slab_free)                                                                                                    \
    X(size_t, empty_bytes, BYTES, ALWAYS, "pool", "resident in EMPTY slabs, free for any class", u->empty)             \
    X(size_t, run_free_bytes, BYTES, ALWAYS, "ss_arena", "resident in free page runs, for blocks above 32 KiB",        \
      u->run_free)                                                                                                     \
    X(size_t, metadata_bytes, BYTES, ALWAYS, "meta, registry, ss_arena, side",                                         \
      "resident records of the allocator itself", u->metadata)                                                         \
    X(size_t, resident_bytes, BYTES, ALWAYS, "usage", "resident pages of all our mappings", u->resident)               \
    X(size_t, mapped_bytes, BYTES, ALWAYS, "space, meta, huge, side", "address space held, most of it untouched",      \
      u->mapped)                                                                                                       \
    X(size_t, peak_mapped_bytes, BYTES, ALWAYS, "os", "the most that mapped_bytes was so far, even for a moment",      \
      hk_max(hk_os_held_most(), u->mapped))                                                                            \
    X(uint64_t, acquired_partial, SLABS, ALWAYS, "pool", "slabs taken over from threads that ended",                   \
      hk_pool_stage_count(HK_STAGE_PARTIAL, 0))                                                                        \
    X(uint64_t, acquired_empty, SLABS, ALWAYS, "pool", "EMPTY slabs taken from the shared pool",                       \
      hk_pool_stage_count(HK_STAGE_EMPTY, 0))                                                                          \
    X(uint64_t, acquired_unused, SLABS, ALWAYS, "pool", "UNUSED slabs taken from the shared pool",                     \
      hk_pool_stage_count(HK_STAGE_UNUSED, 0))                                                                         \
    X(uint64_t, acquired_new, SLABS, ALWAYS, "pool", "slabs for which a SuperSlab was made",                           \
      hk_pool_stage_count(HK_STAGE_NEW, 0))                                                                            \
    X(uint64_t, refills, BATCHES, ALWAYS, "heap", "batches of blocks moved from slabs to fronts", u->refills)          \
    X(uint64_t, flushes, BATCHES, ALWAYS, "heap", "batches of blocks moved from fronts to slabs", u->flushes)          \
    X(uint64_t, remote_chains, CHAINS, ALWAYS, "heap", "chains of blocks pushed to slabs of other threads", u->chains) \
    X(uint64_t, purged_bytes, BYTES, ALWAYS, "purge", "given back to the system since the start", hk_purge_total())    \
    X(uint64_t, os_calls, CALLS, ALWAYS, "os", "system calls made to manage memory", hk_os_calls())                    \
    X(size_t, huge_bytes, BYTES, ALWAYS, "huge", "part of live_bytes above 32 MiB, in mappings of their own", u->huge) \
    X(size_t, run_bytes, BYTES, ALWAYS, "ss_arena", "part of live_bytes above 32 KiB, in page runs", u->runs)          \
    X(uint64_t, refilled, BLOCKS, ALWAYS, "front", "blocks moved from slabs to fronts", u->refilled)                   \
    X(uint64_t, flushed, BLOCKS, ALWAYS, "front", "blocks moved from fronts to slabs", u->flushed)                     \
    X(size_t, hot_slabs, SLABS, ALWAYS, "slab", "owned slabs of which more than three quarters are used", u->hot)      \
    X(size_t, cold_slabs, SLABS, ALWAYS, "slab", "the other owned slabs", u->slabs - u->hot)                           \
    X(uint64_t, malloc_hits, BLOCKS, TELEMETRY, "front", "blocks of classes that the front cache had",                 \
      u->hits.malloc_hits)                                                                                             \
    X(uint64_t, malloc_misses, BLOCKS, TELEMETRY, "front", "blocks of classes that the front cache had not",           \
      u->hits.malloc_misses)                                                                                           \
    X(uint64_t, free_hits, BLOCKS, TELEMETRY, "front", "blocks that the front cache had room for", u->hits.free_hits)  \
    X(uint64_t, free_misses, BLOCKS, TELEMETRY, "front", "blocks that the front cache had no room for",                \
      u->hits.free_misses)                                                                                             \
    X(hk_page_counts, first_pages, PAGES, TELEMETRY, "slab, ss_arena, huge",                                           \
      "pages handed out for the first time since they came from the system, by what for", count_pages)                 \
    X(uint64_t, transfers, BATCHES, ALWAYS, "transfer", "batches of blocks that went from front to front",             \
      u->transfers)                                                                                                    \
    X(size_t, peak_live_bytes, BYTES, ALWAYS, "peak",                                                                  \
      "the most that live_bytes was so far; slabs of small blocks count whole", peak_live(u))                          \
    X(size_t, guarded_blocks, BLOCKS, ALWAYS, "guarded", "of live_blocks those between pages that nobody may touch",   \
      u->guarded.live_blocks)                                                                                          \
    X(uint64_t, guarded_taken, BLOCKS, ALWAYS, "guarded", "such blocks that were handed out so far", u->guarded.taken)

/* Of one class, from struct hak_class_stats's first field on; the value is made of `c`, what the reading says of class
 * `cls`. */
#define HK_CLASS_STATISTICS(X)                                                                                         \
    X(size_t, block_bytes, BYTES, ALWAYS, "size_class", "what a block has room for", hk_class_size(cls))               \
    X(size_t, slabs, SLABS, ALWAYS, "slab", "owned slabs, hot and cold; a span of neighbours counts once", c->slabs)   \
    X(size_t, hot_slabs, SLABS, ALWAYS, "slab", "slabs of which more than three quarters are used", c->hot)            \
    X(size_t, live_blocks, BLOCKS, ALWAYS, "slab", "blocks in the program's hands",                                    \
      c->used - hk_min(c->used, c->front + c->remote))                                                                 \
    X(size_t, cached_blocks, BLOCKS, ALWAYS, "front, transfer, remote",                                                \
      "free blocks in front caches or on their way to their owner", c->front + c->remote)                              \
    X(size_t, free_blocks, BLOCKS, ALWAYS, "slab", "free blocks in the slabs, handed out before",                      \
      c->carved - hk_min(c->used, c->carved))                                                                          \
    X(size_t, resident_bytes, BYTES, ALWAYS, "usage", "resident pages of the slabs", c->resident)                      \
    X(uint64_t, acquired_partial, SLABS, ALWAYS, "pool", "slabs taken over from threads that ended",                   \
      hk_pool_stage_count(HK_STAGE_PARTIAL, cls))                                                                      \
    X(uint64_t, acquired_empty, SLABS, ALWAYS, "pool", "EMPTY slabs taken from the shared pool",                       \
      hk_pool_stage_count(HK_STAGE_EMPTY, cls))                                                                        \
    X(uint64_t, acquired_unused, SLABS, ALWAYS, "pool", "UNUSED slabs taken from the shared pool",                     \
      hk_pool_stage_count(HK_STAGE_UNUSED, cls))                                                                       \
    X(uint64_t, acquired_new, SLABS, ALWAYS, "pool", "slabs for which a SuperSlab was made",                           \
      hk_pool_stage_count(HK_STAGE_NEW, cls))                                                                          \
    X(uint64_t, refills, BATCHES, ALWAYS, "front", "batches of blocks moved from slabs to fronts", c->moved.refills)   \
    X(uint64_t, flushes, BATCHES, ALWAYS, "front", "batches of blocks moved from fronts to slabs", c->moved.flushes)   \
    X(uint64_t, refilled, BLOCKS, ALWAYS, "front", "blocks in the refills", c->moved.refilled)                         \
    X(uint64_t, flushed, BLOCKS, ALWAYS, "front", "blocks in the flushes", c->moved.flushed)                           \
    X(uint64_t, malloc_hits, BLOCKS, TELEMETRY, "front", "blocks that the front cache had", c->hits->malloc_hits)      \
    X(uint64_t, malloc_misses, BLOCKS, TELEMETRY, "front", "blocks that the front cache had not",                      \
      c->hits->malloc_misses)                                                                                          \
    X(uint64_t, free_hits, BLOCKS, TELEMETRY, "front", "blocks that the front cache had room for", c->hits->free_hits) \
    X(uint64_t, free_misses, BLOCKS, TELEMETRY, "front", "blocks that the front cache had no room for",                \
      c->hits->free_misses)                                                                                            \
    X(size_t, chained_blocks, BLOCKS, ALWAYS, "remote",                                                                \
      "of the cached ones those in chains, on the way to their slabs", c->remote)

/* Of one kind of lock, from struct hk_lock_figures's first field on. */
#define HK_LOCK_STATISTICS(X)                                                                                      \
    X(uint64_t, taken, TIMES, TELEMETRY, "os", "taken and given back", l->taken)                                   \
    X(uint64_t, waited, TIMES, TELEMETRY, "os", "found held, by who then waits, or goes without", l->waited)       \
    X(uint64_t, held_ticks, TICKS, TELEMETRY, "os", "between taking and giving back, all together", l->held_ticks) \
    X(uint64_t, held_99_ticks, TICKS, TELEMETRY, "os", "the same without the longest 1 % of the times",            \
      l->held_99_ticks)                                                                                            \
    X(uint64_t, busiest_ticks, TICKS, TELEMETRY, "os", "held_ticks of the lock of the kind that was held longest", \
      l->busiest_ticks)

/* What the JSON has beside these, in its order: name, unit, built, boxes, sentence. The statistics of the process stand
 * behind `pid`, those of a class in each element of `classes`, those of a kind of lock in `locks`, by its name. */
#define HK_JSON_ONLY(X)                                                                                           \
    X(version, NUMBER, ALWAYS, "api", "of this list of names: 1")                                                 \
    X(hakmem, TEXT, ALWAYS, "api", "version of the library")                                                      \
    X(pid, NUMBER, ALWAYS, "os", "process id")                                                                    \
    X(process_resident_bytes, BYTES, ALWAYS, "os",                                                                \
      "resident pages of the whole process, ours among them; 0 without /proc")                                    \
    X(classes, CLASSES, ALWAYS, "api", "an object for each size class that was ever used, smallest blocks first") \
    X(locks, LOCKS, TELEMETRY, "os", "an object for each kind of lock that was ever taken, under its name")       \
    X(shared_words, LOCKS, TELEMETRY, "os, ss_arena, transfer",                                                   \
      "how often words were written that all threads write without a common lock")

#endif
