/* SPDX-License-Identifier: MIT
 *
 * ss_arena: the units of the space (pages/space.h), cut into runs of 4 KiB pages: SuperSlabs (2 MiB, aligned) for
 * the pool (pages/ss_arena_source.h), runs of any length for the page heap.
 *
 * Units are added as they are needed, in growing steps. Every page has a 16-byte record outside the memory itself; free
 * neighbours are always merged. Free runs are found by size in bins of an eighth of a doubling (the smallest that fits,
 * dirty ones and the most recently freed first), so dirty holes are used before virgin memory. One bit per page tells
 * whether it may be resident ("dirty"); a run without dirty pages is known to be zero. On a machine with several nodes
 * a unit belongs to one: what is free in it goes to threads there; others get it only where they could get no memory
 * otherwise. Once the system has refused memory, free units are unmapped rather than purged, so that the program's own
 * mappings, stacks of threads among them, find that address space; they are mapped again when they are needed.
 *
 * One lock, rank arena; no system call that gives memory back or moves it is made under it. Must not know slabs, pools
 * or who uses a run.
 */
#ifndef HK_PAGES_SS_ARENA_H
#define HK_PAGES_SS_ARENA_H

#include "base/bits.h"
#include "config.h"
#include "os/lock.h"
#include "os/numa.h"

#define HK_PAGE ((size_t)4096)
#define HK_RUN_PAGES_MAX ((size_t)8192) /* 32 MiB: the longest run the page heap asks for */

enum hk_run_kind {
    HK_RUN_NONE,      /* not in an arena */
    HK_RUN_LIVE,      /* the start of a live run */
    HK_RUN_FREED,     /* in a free run */
    HK_RUN_SUPERSLAB, /* in a SuperSlab */
    HK_RUN_INTERIOR,  /* inside a live run */
};

struct hk_run {
    enum hk_run_kind kind;
    void *start;  /* of the live run */
    size_t pages; /* its length */
};

/* A run of `pages`, of the calling thread's node if there are several, whose start is a multiple of `align` bytes (a
 * power of two, a page to 2 MiB); *zero tells whether its contents are known to be zero. NULL: no memory, or
 * HAKMEM_MEMORY_LIMIT. */
void *hk_arena_take(size_t pages, size_t align, bool *zero);

/* Gives a run back; it counts as dirty. False, and nothing changed, when ptr is not the start of a live run. */
bool hk_arena_give(void *ptr);

/* Makes the first unit, if there is none. False: no memory. */
bool hk_arena_start(void);

/* Nodes are known from now on: what was mapped before belongs to node 0. (ss_arena_numa.c) */
void hk_arena_place(void);

/* Learns the nodes of the machine where that was not possible before. The caller holds no lock, and its thread's front
 * is whole: it may come back to malloc. */
static inline void hk_arena_learn(void)
{
    if (HK_NUMA && hk_numa_learn())
        hk_arena_place();
}

/* Changes the length of a live run where it lies: to `roomy` pages, or to `pages` where there are not so many; false
 * when its neighbours do not allow that either. */
bool hk_arena_resize(void *ptr, size_t pages, size_t roomy);

/* Could a live run of `have` pages have `pages`? No lock, and a hint: whoever gets a yes tries. */
bool hk_arena_may_grow(const void *ptr, size_t have, size_t pages);

/* Pages of a live run that starts there, 0: none does. Takes no lock: nobody else changes the record of a live run. (Of
 * what is not live the answer is a hint: hk_arena_give looks again.) */
size_t hk_arena_pages_of_live(const void *ptr);

/* What lies at an address. */
struct hk_run hk_arena_find(const void *ptr);

/* The most that goes back to the system in one call of it. */
#define HK_PURGE_MOST ((size_t)2 * HK_MIB)

/* How long ago a refusal must be before the system is asked for that memory again, even by those who do not want to
 * wait: a page may be locked for ever. */
HK_SLOW_PATH uint32_t hk_purge_again_ms(uint32_t delay_ms);

/* Gives one piece back to the system: the highest dirty pages (allocations take the lowest) of a run that has been free
 * for delay_ms at `now`, at most `most` bytes rounded up to the kernel's pages. Long runs come first. The rest of the
 * run stays where allocations find it. Returns the bytes that went; 0: there is no such run, or the system refused
 * (*refused is set then, and that run is not asked for again before hk_purge_again_ms). */
size_t hk_arena_purge(uint32_t now, uint32_t delay_ms, size_t most, bool *refused);

/* Memory was refused before: free units are unmapped rather than purged, and what is free should be where anybody can
 * have it. Relaxed: a hint. */
extern HK_HIDDEN _Atomic bool hk_arena_scarce;

static inline bool hk_arena_is_scarce(void)
{
    return hk_load_relaxed(&hk_arena_scarce);
}

/* The system refused `bytes` to somebody else of us: free units go back, if that can help. Any thread. */
void hk_arena_lacks(size_t bytes);

/* Where memory was refused before: unmaps all free units without dirty pages. */
void hk_arena_unmap_clean(void);

/* Pages of free runs that may be resident. Relaxed: changed under the lock, a hint when read without it. */
extern HK_HIDDEN _Atomic size_t hk_arena_dirty_pages;

static inline size_t hk_arena_dirty(void)
{
    return hk_load_relaxed(&hk_arena_dirty_pages) * HK_PAGE;
}

/* Pages of live runs, without SuperSlabs. Relaxed, as above. */
extern HK_HIDDEN _Atomic size_t hk_arena_run_pages;

/* Pages without contents that went into live runs so far: each takes a page fault. Changed under the lock. */
extern HK_HIDDEN _Atomic size_t hk_arena_clean_taken;

/* Bytes mapped, tables included (takes the lock), and bytes in live runs (SuperSlabs included). */
size_t hk_arena_mapped(void);
size_t hk_arena_live(void);

/* Accounts memory outside the arenas (huge blocks) against HAKMEM_MEMORY_LIMIT; false: over the limit, nothing charged.
 */
bool hk_arena_charge(size_t bytes);
void hk_arena_uncharge(size_t bytes);

/* Calls `visit` under the lock for every run (live: HK_RUN_LIVE, free: HK_RUN_FREED, SuperSlab:
 * HK_RUN_SUPERSLAB), and for the tables (HK_RUN_NONE). */
void hk_arena_visit(void (*visit)(void *ctx, void *start, size_t size, enum hk_run_kind kind), void *ctx);

struct hk_lock *hk_arena_lock(void);

/* Walks every record. (ss_arena_check.c: tests and -Dcheck) */
bool hk_arena_check(void);

#endif
