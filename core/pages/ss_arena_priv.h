/* SPDX-License-Identifier: MIT
 *
 * ss_arena_priv: what the files of the ss_arena box share. Included by pages/ss_arena*.c only. All of it is guarded by
 * the arena lock; the word of a page and `mapped` are read without it, too.
 */
#ifndef HK_PAGES_SS_ARENA_PRIV_H
#define HK_PAGES_SS_ARENA_PRIV_H

#include "base/options.h"
#include "os/numa.h"
#include "pages/space.h"
#include "pages/ss_arena.h"

/* A page is named by its number, from the base of the space on; NO_PAGE is none. */
#define NO_PAGE UINT32_MAX
#define UNIT_PAGES ((uint32_t)(HK_UNIT_SIZE / HK_PAGE))
#define BINS 208u
#define LONGEST (((uint32_t)1 << 28) - 1) /* pages that a record can tell: a longer free run is several */
_Static_assert(HK_SPACE_MOST / HK_PAGE < NO_PAGE, "every page has a number");

enum page_kind {
    PAGE_INTERIOR = 0, /* not the first page of a run, nor the last of a free one */
    PAGE_RUN,          /* first page of a live run */
    PAGE_SUPERSLAB,    /* first page of a SuperSlab */
    PAGE_PURGING,      /* first page of a run that the purge has taken out for a moment */
    PAGE_TAKEN,        /* first page of what is not ours: others have mapped something there */
    PAGE_FREE,         /* first page of a free run: may have dirty pages */
    PAGE_FREE_REFUSED, /* the same: the system refused to take them back, at the time of the stamp */
    PAGE_FREE_EDGES,   /* the same: dirty only where a kernel page is shared with a neighbour, nothing to purge */
    PAGE_FREE_CLEAN,   /* first page of a free run without dirty pages */
    PAGE_ABSENT,       /* first page of a free run that was unmapped: whole units */
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

/* What the units of one node have. */
struct arena_node {
    size_t units;                     /* that are mapped */
    struct bins dirty, clean, absent; /* runs that have pages to purge (PAGE_FREE, PAGE_FREE_REFUSED), that have none,
                                         and that are not mapped */
};

struct arenas {
    struct hk_lock lock;
    _Atomic uint32_t pages; /* that have records; a multiple of 512 */
    struct page *edge;      /* records of the first and the last page of every unit */
    uint64_t *dirty;        /* one bit per page; clear in live runs */
    struct page *inner;     /* records of the pages between, by page number */
    uint8_t *place;         /* the node of every unit, whose pages it prefers; with several nodes */
    size_t mapped;          /* bytes of our units; a hint without the lock */
    _Atomic size_t live;    /* bytes in live runs; relaxed: a statistic and the limit's estimate */
    _Atomic size_t charged; /* bytes outside that count against the limit; relaxed as above */
    struct arena_node node[HK_NUMA_NODES];
};

extern HK_HIDDEN struct arenas hk_arenas;

/* Where its records lie; the lock. */
struct hk_arena_tables {
    struct hk_table edges, dirty, inner, places;
};
extern HK_HIDDEN struct hk_arena_tables hk_arena_tables;

/* Bins hold exact lengths below 8 pages, then eighths of doublings. */
static inline unsigned bin_of(uint32_t pages)
{
    if (pages < 8)
        return pages;
    unsigned e = hk_log2(pages);
    return 8 * (e - 2) + ((pages >> (e - 3)) & 7);
}

/* Pages that have records, for whoever holds the lock. */
static inline uint32_t all_pages(void)
{
    return hk_load_relaxed(&hk_arenas.pages); /* written under it */
}

/* The node whose bins a free run is in. */
static inline unsigned node_of(uint32_t ref)
{
    return HK_NUMA ? hk_arenas.place[ref / UNIT_PAGES] : 0;
}

/* SuperSlabs, and what is left between them, start and end at units: their records lie together, so that those of many
 * SuperSlabs touch one page of memory and not two for each. */
static inline struct page *page_of(uint32_t ref)
{
    uint32_t edge = (ref + 1) % UNIT_PAGES;
    return edge < 2 ? &hk_arenas.edge[(ref + 1) / UNIT_PAGES * 2 + edge] : &hk_arenas.inner[ref];
}

static inline char *address_of(uint32_t ref)
{
    return (char *)hk_space_base + (size_t)ref * HK_PAGE;
}

static inline uint32_t pages_of(const struct page *p)
{
    return p->word >> 4;
}

static inline enum page_kind kind_of(const struct page *p)
{
    return (enum page_kind)(p->word & 15);
}

/* The word of a page, for whoever has no lock too: what it says of a run that is not his own is over. */
static inline struct page seen_at(uint32_t ref)
{
    return (struct page){.word = hk_peek(&page_of(ref)->word)};
}

static inline bool is_free(const struct page *p)
{
    return kind_of(p) >= PAGE_FREE && kind_of(p) <= PAGE_ABSENT;
}

static inline void set_page(struct page *p, uint32_t pages, enum page_kind kind)
{
    hk_poke(&p->word, pages << 4 | (uint32_t)kind); /* hk_arena_pages_of_live looks without the lock */
}

/* The stamp of two parts of a run together, of which this page begins one. */
static inline uint32_t younger_stamp(uint32_t stamp, const struct page *p)
{
    return kind_of(p) != PAGE_FREE_CLEAN && (int32_t)(p->stamp - stamp) > 0 ? p->stamp : stamp;
}

/* So many pages more of that kind are live, or with a negative number less; the lock. */
static inline void count_live(enum page_kind kind, size_t pages)
{
    hk_add_locked(&hk_arenas.live, pages * HK_PAGE);
    if (kind == PAGE_RUN)
        hk_add_locked(&hk_arena_run_pages, pages);
}

/* Adds units of a node with room for `pages`, new ones or some that were unmapped; false when the system refuses.
 * (ss_arena_grow.c) */
bool hk_arena_grow(uint32_t pages, unsigned node);

/* The page that an address lies in, or NO_PAGE. */
static inline uint32_t hk_arena_page(const void *ptr)
{
    size_t page = ((uintptr_t)ptr - hk_space_base) / HK_PAGE;
    return page < hk_load_acquire(&hk_arenas.pages) ? (uint32_t)page : NO_PAGE; /* pairs with move_end */
}

/* The bins of a node that free runs of that kind are in. */
static inline struct bins *bins_for(struct arena_node *n, enum page_kind kind)
{
    return kind <= PAGE_FREE_REFUSED ? &n->dirty : kind == PAGE_ABSENT ? &n->absent : &n->clean;
}

/* Enters a free run, merging it with free neighbours; its dirty bits are set already. What is dirty in the whole is as
 * young as the youngest part. Returns its first page. */
uint32_t hk_arena_insert(uint32_t ref, uint32_t pages, uint32_t stamp);

/* The same for units that are not mapped. */
void hk_arena_insert_absent(uint32_t ref, uint32_t pages);

/* Puts a free run first in its bin, and takes it out. */
void hk_arena_link(uint32_t ref, uint32_t pages, enum page_kind kind, uint32_t stamp);
void hk_arena_unlink(uint32_t ref);

/* Cuts [place, place + pages) out of the free run `ref`; what is left on both sides goes back. */
void hk_arena_cut(uint32_t ref, uint32_t place, uint32_t pages);

/* Makes a live run of that kind out of a whole unit of the node, its dirty bits untouched yet; NO_PAGE: no memory. */
uint32_t hk_arena_take_unit_locked(unsigned node, enum page_kind kind);

/* Gives a live run of that kind back, of which the slabs in `clean` are known to be zero; false, and nothing changed,
 * when none starts there. Takes the lock. */
bool hk_arena_give_run(void *ptr, enum page_kind kind, uint32_t clean);

/* Makes what was a live run free at `now`, of which the slabs in `clean` are known to be zero. */
void hk_arena_free_pages_locked(uint32_t ref, uint32_t pages, uint32_t clean, uint32_t now);

/* Takes dirty bits away from pages that become live; returns how many there were. */
static inline size_t hk_arena_clear_dirty(uint32_t ref, uint32_t pages)
{
    size_t dirty = hk_bits_clear(hk_arenas.dirty, ref, pages);
    if (dirty != 0)
        hk_add_locked(&hk_arena_dirty_pages, -dirty); /* a hint without the lock */
    return dirty;
}

/* May so many bytes more be live? No lock: threads that ask at the same moment may go over the limit together. */
static inline bool hk_arena_within_limit(size_t more)
{
    size_t limit = (size_t)hk_opt(HK_OPT_MEMORY_LIMIT);
    return limit == 0 || hk_load_relaxed(&hk_arenas.live) + hk_load_relaxed(&hk_arenas.charged) + more <= limit;
}

#endif
