/* SPDX-License-Identifier: MIT
 *
 * pool_priv: what the files of the pool box share. Included by box/pool*.c only. All of it is guarded by the pool's
 * lock.
 */
#ifndef HK_BOX_POOL_PRIV_H
#define HK_BOX_POOL_PRIV_H

#include "base/options.h"
#include "box/pool.h"
#include "config.h"
#include "os/numa.h"
#include "pages/space.h"

/* The sets of SuperSlabs that a stage chooses from: those with a run of at least n EMPTY slabs, those with a run of at
 * least n usable ones (hk_pool_usable), and those of huge pages with a run of at least n UNUSED ones. */
enum unit_set { SET_EMPTY = 0, SET_USABLE = HK_SPAN_MAX, SET_HUGE = 2 * HK_SPAN_MAX, SET_COUNT = 3 * HK_SPAN_MAX };
/* + n - 1 */

/* Members of all sets (by registry unit, so within a GiB by address) as three levels of bits. A word of each set lies
 * beside that of the others, so that a small heap touches one page of each level. */
struct unit_sets {
    uint64_t tops[HK_UNITS_MAX / 64 / 64 / 64 + 1][SET_COUNT];
    uint64_t groups[HK_UNITS_MAX / 64 / 64 + 1][SET_COUNT];
    uint64_t (*bits)[SET_COUNT]; /* in the table, as far as there are units of the node */
    struct hk_table table;
};

/* What the SuperSlabs of one NUMA node have. */
struct pool_node {
    struct hk_list same[HK_CLASS_COUNT]; /* EMPTY spans by the class they last held, latest first */
    unsigned gone; /* SuperSlabs that went back to the SSArena and were not taken again: their pages may be resident */
    struct unit_sets sets;
};

struct pool {
    struct hk_lock lock;
    struct hk_list all;                              /* SuperSlabs in use */
    struct hk_list records;                          /* records of SuperSlabs that went back */
    unsigned idle;                                   /* SuperSlabs without an owned slab */
    uint64_t served[HK_STAGE_COUNT][HK_CLASS_COUNT]; /* statistics read them without the lock */
    struct pool_node *further[HK_NUMA_NODES];        /* from node 1 on; NULL until there is a SuperSlab of the node */
    struct pool_node first;                          /* of node 0 */
};

extern HK_HIDDEN struct pool hk_pool;

/* NULL: there is no SuperSlab of that node. */
static inline struct pool_node *hk_pool_node(unsigned node)
{
    return !HK_NUMA || HK_LIKELY(node == 0) ? &hk_pool.first : hk_pool.further[node];
}

/* The lowest unit of the node that has a run of `slabs` slabs in the kind of set, or HK_UNITS_MAX. */
size_t hk_pool_lowest(const struct pool_node *node, enum unit_set kind, unsigned slabs);

/* The same, but the highest below that unit (HK_UNITS_MAX: of all). */
size_t hk_pool_highest(const struct pool_node *node, enum unit_set kind, unsigned slabs, size_t below);

/* A SuperSlab that has left the pool, and which of its slabs are known to be zero. Its memory is the caller's then, to
 * be given back without the lock. */
struct hk_leaving {
    char *base; /* NULL: none */
    uint32_t clean;
    bool huge; /* huge pages were asked for: what comes there next may be sparse */
};

/* One that has left to the SSArena, without the lock; returns the bytes that went on to the system. */
HK_SLOW_PATH size_t hk_pool_let_go(const struct hk_leaving *leaving);

/* After slabs of a SuperSlab became EMPTY or UNUSED: it stays, and the sets are brought in line, or it leaves. */
struct hk_leaving hk_pool_settle(struct hk_superslab *ss);

/* Makes room for a unit in the node's sets; false: no memory. */
bool hk_pool_reach(unsigned node, size_t unit);

/* Brings the sets in line with a SuperSlab's masks. */
void hk_pool_index(struct hk_superslab *ss);

/* Takes it out of all sets. */
void hk_pool_unindex(struct hk_superslab *ss);

/* Slabs of `mask` become EMPTY, or stop being so: mask and counts. The sets are brought in line by the caller. */
void hk_pool_enter_empty(struct hk_superslab *ss, uint32_t mask);
void hk_pool_leave_empty(struct hk_superslab *ss, uint32_t mask);

/* Enters an EMPTY span into the list of the class that it held. (-Dempty_reuse=enabled) */
void hk_pool_remember(struct hk_slab *slab);

/* Takes every span that the slabs of `mask` are part of out of its class's list. (-Dempty_reuse=enabled) */
void hk_pool_forget(struct hk_superslab *ss, uint32_t mask);

/* Slabs of `mask`, EMPTY ones, that held a Mid class. */
static inline size_t hk_pool_count_mid(const struct hk_superslab *ss, uint32_t mask)
{
    size_t n = 0;
    for (; mask != 0; mask &= mask - 1)
        n += ss->slab[hk_lowest(mask)].cls > HK_TINY_LAST;
    return n;
}

/* The SuperSlab of a link in hk_pool.all. */
static inline struct hk_superslab *superslab_of(struct hk_node *node)
{
    return HK_CONTAINER(node, struct hk_superslab, list);
}

static inline bool is_idle(const struct hk_superslab *ss)
{
    return (ss->empty_mask | ss->unused_mask) == UINT32_MAX;
}

/* May an EMPTY slab be taken as it is? Else it has to be purged first. */
static inline bool hk_pool_reuses(void)
{
    return HK_EMPTY_REUSE && hk_opt(HK_OPT_SS_EMPTY_REUSE) != 0;
}

/* UNUSED slabs that anybody may take: those of huge pages are for slabs that will be filled. */
static inline uint32_t hk_pool_unused(const struct hk_superslab *ss)
{
    return ss->huge ? 0 : ss->unused_mask;
}

/* It is no SuperSlab of huge pages any more; its masks are the caller's. */
static inline void hk_pool_end_huge(struct hk_superslab *ss)
{
    hk_poke(&ss->huge, false);
    hk_sub_relaxed(&hk_pool_huge_unused, hk_count64(ss->unused_mask));
}

/* Slabs that the stage of UNUSED ones may take. */
static inline uint32_t hk_pool_usable(const struct hk_superslab *ss)
{
    return hk_pool_reuses() ? ss->empty_mask | hk_pool_unused(ss) : hk_pool_unused(ss);
}

/* Where in a mask of a SuperSlab a span for the class is taken: tiny classes from below, Mid ones from above, so that
 * slabs of which tiny classes touch a few pages are not those that Mid blocks touch all over. With -Dshuffle=enabled
 * both begin somewhere, and go round. HK_SLABS: there is none. */
static inline unsigned hk_pool_place(const struct hk_superslab *ss, uint32_t mask, unsigned cls)
{
    unsigned slabs = hk_class_slabs(cls), at = HK_SLABS;
    bool up = cls <= HK_TINY_LAST;
    if (HK_SHUFFLE) {
        uint32_t above = UINT32_MAX << hk_superslab_first(ss);
        at = up ? hk_find_run32(mask & above, slabs) : hk_find_last_run32(mask & ~above, slabs);
    }
    if (!HK_SHUFFLE || at == HK_SLABS)
        at = up ? hk_find_run32(mask, slabs) : hk_find_last_run32(mask, slabs);
    return at;
}

/* The stages: the SuperSlab and the first slab of a free span, or NULL. The first: -Dempty_reuse=enabled. */
struct hk_superslab *hk_pool_take_empty(const struct pool_node *node, unsigned cls, unsigned *index);
struct hk_superslab *hk_pool_take_unused(const struct pool_node *node, unsigned cls, unsigned *index);
struct hk_superslab *hk_pool_take_huge(const struct pool_node *node, unsigned cls, unsigned *index); /* a part of it */
struct hk_superslab *hk_pool_take_new(unsigned node, unsigned cls, unsigned *index, bool fills);

#endif
