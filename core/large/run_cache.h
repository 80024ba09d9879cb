/* SPDX-License-Identifier: MIT
 *
 * run_cache: the page runs of 36 to 288 KiB that a thread freed last, for its next blocks of that size: without the
 * arena's lock and its search for the best fit.
 *
 * A run has no owner: whoever frees one keeps it, so nothing has to find its way back. A thread takes the shortest run
 * that it has and that is at most a quarter too long; the newest of these. All caches together hold HAKMEM_MIN_KEEP or,
 * unless HAKMEM_PURGE_DELAY_MS is 0, a third of what is in runs, whichever is more; each thread has an equal share of
 * that, in at most 250 runs, and no more than what the others leave. Where one is full its oldest runs go back until
 * half is left, under one lock. Only runs of the node that the thread is on are kept. In a process of one thread none
 * are: there the lock costs nothing, and the best fit saves memory. Nor are any with HAKMEM_MEMORY_LIMIT: what is kept
 * counts as in use.
 *
 * A run in a cache is set aside (pages/ss_arena.h): it is no block, so that a second free is found, and it may hold
 * anything. Each cache has a lock, which its thread takes for a moment; whoever sweeps for a thread that
 * may be asleep takes it, too, and no call to the arena is made under it. Must not know threads, heaps or fronts.
 */
#ifndef HK_LARGE_RUN_CACHE_H
#define HK_LARGE_RUN_CACHE_H

#include "base/bits.h"
#include "config.h"
#include "os/lock.h"
#include "pages/ss_arena.h"

#define HK_RUN_CACHE_FIRST ((size_t)9) /* pages: shorter blocks lie in slabs */
#define HK_RUN_CACHE_LENGTHS 64u       /* from there on */
#define HK_RUN_CACHE_RUNS 250u

/* A run in a cache: in the ring of all by age, which place 0 closes, and in the list of those of its length, from the
 * newest down. Place 0 holds no run. */
struct hk_kept_run {
    void *run;
    uint8_t length;       /* pages less HK_RUN_CACHE_FIRST */
    uint8_t older, newer; /* place 0 has the newest as its older, and the oldest as its newer one */
    uint8_t below, above; /* the next older and newer one of its length, or 0 */
};

/* A zeroed one is empty. */
struct hk_run_cache {
    struct hk_lock lock;
    _Atomic uint32_t count;               /* runs in it; written under the lock, as all that follows; a hint without */
    uint32_t pages;                       /* in them */
    uint64_t lengths;                     /* which there are: bit i is HK_RUN_CACHE_FIRST + i pages */
    uint8_t newest[HK_RUN_CACHE_LENGTHS]; /* place of the newest run of each length, or 0 */
    uint8_t spare;                        /* places that were used and are not now, linked by `older`; or 0 */
    uint8_t used_places;                  /* places that ever were: from 1 on */
    struct hk_kept_run kept[HK_RUN_CACHE_RUNS + 1];
    _Atomic uint32_t told;     /* of `pages`, what hk_run_cache_pages has; a hint without the lock */
    uint32_t looked_at;        /* ms of the clock when a sweep looked, or 0; the lock's */
    uint32_t fewest;           /* of `pages` since then: nobody needed these; the lock's */
    _Atomic uintptr_t sweeper; /* hk_thread_self of the thread that sweeps it, or 0; relaxed: for a fork */
    uint32_t share;            /* pages that there may be, at the last look; its thread's, as is what follows */
    uint32_t turn;             /* counts to the next look */
    unsigned node;             /* whose runs it has */
    bool used;                 /* its thread has a share */
    bool joined;               /* it is in the list of all caches, for ever */
    struct hk_run_cache *next; /* in that list; constant from then on */
};

/* Pages in all caches, about. Relaxed: a statistic. */
extern HK_HIDDEN _Atomic size_t hk_run_cache_pages;

static inline size_t hk_run_cache_bytes(void)
{
    return HK_RUN_CACHE ? hk_load_relaxed(&hk_run_cache_pages) * HK_PAGE : 0;
}

/* Nothing is in it, and nobody thinks so: without the lock a hint, as its thread or a sweep may be at it. */
static inline bool hk_run_cache_is_idle(const struct hk_run_cache *cache)
{
    return (hk_load_relaxed(&cache->count) | hk_load_relaxed(&cache->told)) == 0;
}

/* Is it a length that is kept? Of others nobody asks. */
static inline bool hk_run_cache_may_have(size_t pages)
{
    return pages - HK_RUN_CACHE_FIRST < HK_RUN_CACHE_LENGTHS;
}

/* A run of `pages` or up to a quarter more, made live, or NULL: there is none. Its thread. */
void *hk_run_cache_take(struct hk_run_cache *cache, size_t pages);

/* Keeps a live run, if it may. False, and nothing changed: it may not, or no such run is live. Its thread. */
bool hk_run_cache_keep(struct hk_run_cache *cache, void *run, size_t pages);

/* Keeps a live run, or gives it to the arena. False, and nothing changed: no such run is live. Its thread. */
bool hk_run_cache_put(struct hk_run_cache *cache, void *run, size_t pages);

/* Gives the oldest run to the arena: more is free than should be. Its thread. */
HK_SLOW_PATH void hk_run_cache_give_oldest(struct hk_run_cache *cache);

/* The thread ends: its runs go to the arena, and others have its share. */
HK_SLOW_PATH void hk_run_cache_end(struct hk_run_cache *cache);

/* What lies in caches goes to the arena, on behalf of threads that may be asleep: of `most` caches, from where the last
 * sweep ended, as many of the oldest runs as were never needed for `age` ms since a sweep first saw them; or of all
 * everything. False: there was nothing. Any thread that holds no lock. */
HK_SLOW_PATH bool hk_run_cache_sweep(unsigned most, uint32_t now, uint32_t age);
HK_SLOW_PATH void hk_run_cache_sweep_all(void);

/* In the child of a fork: no cache is held, and nobody but this thread has a share. `mine` may be NULL. */
HK_SLOW_PATH void hk_run_cache_fork_child(struct hk_run_cache *mine);

/* The list of runs against their sums, of a cache that nobody is at. (run_cache_check.c: tests only) */
bool hk_run_cache_check(struct hk_run_cache *cache);

#endif
