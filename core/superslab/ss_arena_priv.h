/* SPDX-License-Identifier: MIT
 *
 * ss_arena_priv: what the files of the ss_arena box share; included by ss_arena*.c only. All of it is guarded by the
 * arena lock.
 */
#ifndef HK_SUPERSLAB_SS_ARENA_PRIV_H
#define HK_SUPERSLAB_SS_ARENA_PRIV_H

#include "os/numa.h"
#include "superslab/registry.h"
#include "superslab/ss_arena.h"

/* A page is named by arena << PAGE_BITS | page number; NO_PAGE is none. */
#define PAGE_BITS 22
#define ARENAS_MAX 1023u
#define NO_PAGE UINT32_MAX
#define UNIT_PAGES ((uint32_t)(HK_SUPERSLAB_SIZE / HK_PAGE)) /* a SuperSlab's */
#define BINS 168u

enum page_kind {
    PAGE_INTERIOR = 0, /* not the first page of a run, nor the last of a free one */
    PAGE_RUN,          /* first page of a live run */
    PAGE_SUPERSLAB,    /* first page of a SuperSlab */
    PAGE_PURGING,      /* first page of a run that the purge has taken out for a moment */
    PAGE_FREE,         /* first page of a free run: may have dirty pages */
    PAGE_FREE_REFUSED, /* the same: the system refused to take them back, at the time of the stamp */
    PAGE_FREE_EDGES,   /* the same: dirty only where a kernel page is shared with a neighbour, nothing to purge */
    PAGE_FREE_CLEAN,   /* first page of a free run without dirty pages */
    PAGE_FREE_TAIL,    /* last page of a free run of more than one page */
};

/* Only the first page of a run, and the last of a free one, have a record; all others are zero. */
struct page {
    uint32_t word;       /* pages << 4 | kind */
    uint32_t next, prev; /* first page of a free run: neighbours in its bin; prev is NO_PAGE at the front */
    uint32_t stamp;      /* first page of a free run: ms of the clock when it became free */
};

/* Free runs of one kind by size. */
struct bins {
    uint64_t filled[(BINS + 63) / 64]; /* bins that are not empty */
    uint32_t bin[BINS];                /* first run; valid where `filled` is set */
};

/* What the arenas of one node have. */
struct arena_node {
    uint32_t count;           /* arenas */
    struct bins dirty, clean; /* runs that have pages to purge (PAGE_FREE, PAGE_FREE_REFUSED), and the others */
};

struct arena {
    char *base;              /* of page 0; a multiple of 2 MiB */
    uint32_t pages;          /* a multiple of 512 */
    uint32_t ready;          /* pages below are committed */
    uint32_t step;           /* pages to commit next time */
    char *start;             /* of the reservation, whose head are the three tables that follow */
    struct page *edge;       /* records of the first and the last page of every unit of 2 MiB */
    uint64_t *dirty;         /* one bit per page; clear in live runs */
    struct page *inner;      /* records of the pages between, by page number */
    size_t mapped;           /* bytes of the reservation */
    bool no_huge;            /* the system was told to make no huge pages here */
    uint32_t node;           /* whose pages it prefers; constant */
    struct arena_node *bins; /* of that node; constant */
};

struct arenas {
    struct hk_lock lock;
    uint32_t count;
    size_t mapped;          /* bytes reserved */
    _Atomic size_t live;    /* bytes in live runs; relaxed: a statistic and the limit's estimate */
    _Atomic size_t charged; /* bytes outside that count against the limit; relaxed as above */
    struct arena_node node[HK_NUMA_NODES];
    struct arena arena[ARENAS_MAX];
};

extern HK_HIDDEN struct arenas hk_arenas;

/* Bins hold exact lengths below 8 pages, then eighths of doublings. */
static inline unsigned bin_of(uint32_t pages)
{
    if (pages < 8)
        return pages;
    unsigned e = hk_log2(pages);
    return 8 * (e - 2) + ((pages >> (e - 3)) & 7);
}

static inline struct arena *arena_of(uint32_t ref)
{
    return &hk_arenas.arena[ref >> PAGE_BITS];
}

/* The node whose bins the free runs of this arena are in. */
static inline struct arena_node *node_of(uint32_t ref)
{
    return HK_NUMA ? arena_of(ref)->bins : &hk_arenas.node[0];
}

/* Number of the page within its arena. */
static inline uint32_t number_of(uint32_t ref)
{
    return ref & (((uint32_t)1 << PAGE_BITS) - 1);
}

/* SuperSlabs, and what is left between them, start and end at units: their records lie together, so that those of a
 * whole arena touch one page of memory and not two for each SuperSlab. */
static inline struct page *record_of(const struct arena *a, uint32_t number)
{
    uint32_t edge = (number + 1) % UNIT_PAGES;
    return edge < 2 ? &a->edge[(number + 1) / UNIT_PAGES * 2 + edge] : &a->inner[number];
}

static inline struct page *page_of(uint32_t ref)
{
    return record_of(arena_of(ref), number_of(ref));
}

static inline char *address_of(uint32_t ref)
{
    return arena_of(ref)->base + (size_t)number_of(ref) * HK_PAGE;
}

static inline uint32_t pages_of(const struct page *p)
{
    return p->word >> 4;
}

static inline enum page_kind kind_of(const struct page *p)
{
    return (enum page_kind)(p->word & 15);
}

static inline bool is_free(const struct page *p)
{
    return kind_of(p) >= PAGE_FREE && kind_of(p) <= PAGE_FREE_CLEAN;
}

static inline void set_page(struct page *p, uint32_t pages, enum page_kind kind)
{
    p->word = pages << 4 | (uint32_t)kind;
}

/* The stamp of two parts of a run together, of which this page begins one. */
static inline uint32_t younger(uint32_t stamp, const struct page *p)
{
    return kind_of(p) != PAGE_FREE_CLEAN && (int32_t)(p->stamp - stamp) > 0 ? p->stamp : stamp;
}

/* So many pages more of that kind are live, or with a negative number less. */
static inline void count_live(enum page_kind kind, size_t pages)
{
    hk_add_relaxed(&hk_arenas.live, pages * HK_PAGE);
    if (kind == PAGE_RUN)
        hk_add_relaxed(&hk_arena_run_pages, pages);
}

/* Adds an arena of a node with room for `pages`; false when the system refuses. (ss_arena_grow.c) */
bool hk_arena_grow(size_t pages, unsigned node);

/* Commits up to page `end` of the arena. (ss_arena_grow.c) */
bool hk_arena_commit(struct arena *a, uint32_t end);

/* The page that an address lies in, or NO_PAGE. */
uint32_t hk_arena_page(const void *ptr);

/* The bins of a node that free runs of that kind are in. */
static inline struct bins *bins_for(struct arena_node *n, enum page_kind kind)
{
    return kind <= PAGE_FREE_REFUSED ? &n->dirty : &n->clean;
}

/* Enters a free run, merging it with free neighbours; its dirty bits are set already. What is dirty in the whole is as
 * young as the youngest part. Returns its first page. */
uint32_t hk_arena_insert(uint32_t ref, uint32_t pages, uint32_t stamp);

/* Puts a free run first in its bin, and takes it out. */
void hk_arena_link(uint32_t ref, uint32_t pages, enum page_kind kind, uint32_t stamp);
void hk_arena_unlink(uint32_t ref);

/* Cuts [place, place + pages) out of the free run `ref`; what is left on both sides goes back. */
void hk_arena_cut(uint32_t ref, uint32_t place, uint32_t pages);

/* The first page of the run that a page is in. */
uint32_t hk_arena_start_of(uint32_t ref);

/* SuperSlabs where they do not come from arenas: mapped and unmapped one by one. All but the _locked ones take the
 * lock. (ss_arena_single.c, with -Dss_arena=disabled) */
void *hk_arena_single_take(unsigned node, uint32_t *clean);
bool hk_arena_single_give(void *ptr);
struct hk_run hk_arena_single_find_locked(const void *ptr);
void hk_arena_single_visit_locked(void (*visit)(void *ctx, void *start, size_t size, enum hk_run_kind kind), void *ctx);
size_t hk_arena_single_bytes(void);

#endif
