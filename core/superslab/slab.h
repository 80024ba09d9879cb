/* SPDX-License-Identifier: MIT
 *
 * slab: the records of a SuperSlab and its 32 slabs, and the two things an owner does with a slab: take blocks, give
 * blocks.
 *
 * A slab's owner-side fields are guarded by the lock of the heap that owns it; a slab in the shared pool is guarded by
 * the pool's lock. Records lie in metadata memory, away from the blocks, and are never unmapped. Must not know heaps,
 * pools or fronts: an owner is an opaque pointer.
 */
#ifndef HK_SUPERSLAB_SLAB_H
#define HK_SUPERSLAB_SLAB_H

#include "base/assert.h"
#include "base/list.h"
#include "slab_lists.h"
#include "superslab/link.h"
#include "superslab/registry.h"

struct hk_owner;

enum hk_slab_state {
    HK_SLAB_FREE = 0, /* EMPTY or UNUSED: in the pool; the SuperSlab's masks say which */
    HK_SLAB_ACTIVE,   /* the one its owner takes blocks of this class from */
    HK_SLAB_PARTIAL,  /* in its owner's partial list: has free blocks */
    HK_SLAB_FULL,     /* in its owner's full list: no free block that the owner knows of */
};

/* The record of a span is that of its first slab; the others only know how far away that is. */
struct hk_slab {
    /* owner side */
    void *free;          /* list of free blocks, linked through their first word */
    void *spare;         /* a second such list: a collected chain, until `free` is used up */
    uint32_t used;       /* blocks outside the slab: with the program, in fronts, in chains; written once per batch, and
                            read without the lock by statistics, and by a thread in a drain that asks whether it is 0 */
    uint32_t carved;     /* blocks handed out at least once since the slab was acquired; those above have no link. Read
                            without the lock by whoever frees, and statistics */
    uint32_t capacity;   /* blocks in the span */
    uint32_t block_size; /* bytes */
    uint8_t cls;         /* of an EMPTY slab: the class it held last, in each record of the span; 0: none yet. Read
                            without the owner's lock, as is `head`, by whoever looks for sparse slabs */
    uint8_t slabs;       /* length of the span */
    uint8_t state;       /* enum hk_slab_state; read without the owner's lock by statistics, and where sparse slabs are
                            looked for */
    uint8_t index;       /* of this slab in its SuperSlab; constant */
    uint8_t head;        /* how many slabs before this one the span starts */
    bool zero;           /* the blocks above `carved` are known to be zero */
    uint16_t marked;     /* starts that carry the mark of a free block, or did before they were handed out; of an EMPTY
                            slab too, for the class that it held */
    char *base;          /* first byte of the slab; constant while its SuperSlab is registered */
    struct hk_node node; /* in the owner's partial or full list */

    /* any thread; a line of its own, so that pushes do not take the owner's line away */
    _Atomic uint64_t remote HK_ALIGNED(HK_CACHE_LINE); /* count << 48 | first block of the chain; see box/remote.h */
    struct hk_slab *wake_next;                         /* in a wake stack; owned by whoever pushed or took that */
};

struct hk_superslab {
    char *base;                /* constant while registered */
    uint32_t empty_mask;       /* EMPTY slabs: touched, nothing lives in them. Pool's lock */
    uint32_t unused_mask;      /* UNUSED slabs: known to be zero. Pool's lock */
    uint32_t purged_mask;      /* those of unused_mask that were in use once. Pool's lock; only pictures read it */
    uint32_t refused_mask;     /* EMPTY slabs that the system refused to take back at `since`. Pool's lock */
    uint32_t sets;             /* a bit for each of the pool's sets that it is in. Pool's lock */
    uint32_t node;             /* whose memory it is (os/numa.h). Constant while registered */
    bool huge;                 /* huge pages were asked for, and nothing of it went back since. Pool's lock; who looks
                                  for sparse slabs reads it without */
    uint8_t first[HK_SHUFFLE]; /* one or none: where its slabs are taken from first. Constant while registered */
    struct hk_node list;       /* in the pool's list of all SuperSlabs, or of free records. Pool's lock */
    uint32_t since[HK_SLABS];  /* ms of the clock when a slab became EMPTY. Pool's lock */
    struct hk_owner *_Atomic owner[HK_SLABS]; /* read by every flush; written when a slab changes hands */
    /* Telemetry, else no byte: a bit per 4 KiB of a slab that was handed out since it came from the system. Owner's
     * lock, or the pool's while the slab is there. */
    uint16_t handed[HK_TELEMETRY * HK_SLABS];
    struct hk_slab slab[HK_SLABS];
    struct hk_private lists[HK_SLABS]; /* no byte without -Dfront=slab (superslab/lists_<choice>/slab_lists.h) */
};

/* Per class, above (offset in the slab) * hk_class_inverse of every block that was ever handed out, in any slab. What
 * is as large is no start, or the tail behind the last block, or a start that no slab has come to yet. 0 where nothing
 * was handed out. Of longer spans in the first slab; the last one is for HK_CODE_SECOND, and stays 0. Raised before
 * the blocks are handed over; relaxed. */
extern HK_HIDDEN _Atomic uint32_t hk_slab_bound[HK_CLASS_COUNT + 1];

/* Is the product as large as that of a doubled class? */
static HK_ALWAYS_INLINE bool hk_slab_is_beyond(uint32_t product, unsigned code)
{
    char *bound = (char *)hk_slab_bound + code * (sizeof(uint32_t) / 2);
    return HK_REACHES(product, *(_Atomic uint32_t *)(void *)bound); /* came with the block */
}

/* The SuperSlab of a block of ours (its code is not 0), and the number there of the slab it lies in. */
static inline struct hk_superslab *hk_superslab_of(const void *ptr)
{
    return hk_registry_superslab_of_block(ptr);
}

static inline unsigned hk_slab_index_of(const void *ptr)
{
    return ((uintptr_t)ptr >> 16) % HK_SLABS;
}

/* The span that a block of ours lies in. */
static inline struct hk_slab *hk_slab_of(const void *ptr)
{
    struct hk_slab *slab = &hk_superslab_of(ptr)->slab[hk_slab_index_of(ptr)];
    return slab - slab->head;
}

static inline struct hk_superslab *hk_slab_superslab(const struct hk_slab *slab)
{
    return HK_CONTAINER(slab - slab->index, struct hk_superslab, slab);
}

static inline struct hk_private *hk_private_of(const struct hk_slab *slab)
{
    return &hk_slab_superslab(slab)->lists[slab->index];
}

static inline char *hk_slab_base(const struct hk_slab *slab)
{
    return slab->base;
}

/* Changes while nobody holds its old owner's lock are seen with the remote protocol's re-check (box/remote.h). */
static inline struct hk_owner *hk_slab_owner(const struct hk_slab *slab)
{
    return hk_load_acquire(&hk_slab_superslab(slab)->owner[slab->index]); /* pairs with hk_slab_set_owner */
}

static inline void hk_slab_set_owner(struct hk_slab *slab, struct hk_owner *owner)
{
    hk_store_release(&hk_slab_superslab(slab)->owner[slab->index], owner); /* pairs with hk_slab_owner */
}

/* Is `owner` the owner of the slab in this SuperSlab? The caller holds that owner's lock, so a yes stays true. */
static inline bool hk_slab_is_owned(const struct hk_superslab *ss, const struct hk_slab *slab,
                                    const struct hk_owner *owner)
{
    return hk_load_relaxed(&ss->owner[slab->index]) == owner;
}

/* No block left for the owner to take. */
static inline bool hk_slab_is_exhausted(const struct hk_slab *slab)
{
    return slab->free == NULL && slab->spare == NULL && slab->carved == slab->capacity;
}

/* A slab of it that nobody can foresee. */
static inline unsigned hk_superslab_first(const struct hk_superslab *ss)
{
    return HK_SHUFFLE ? *ss->first : 0;
}

/* Prepares the records of a SuperSlab at `base`, all slabs UNUSED. */
void hk_superslab_init(struct hk_superslab *ss, char *base);

/* Telemetry: the pages of these slabs have come from the system anew, or (clean = false) not all of them. */
static HK_ALWAYS_INLINE void hk_slab_forget_pages(struct hk_superslab *ss, uint32_t mask, bool clean)
{
    for (; HK_TELEMETRY && mask != 0; mask &= mask - 1)
        ss->handed[hk_lowest(mask)] = clean ? 0 : UINT16_MAX;
}

/* Makes slabs [index, index + span of cls) a span of the class, without any block out. The caller has just taken them
 * from the pool. */
struct hk_slab *hk_slab_open(struct hk_superslab *ss, unsigned index, unsigned cls, bool zero);

/* Forgets every free block of a slab with used == 0: it is carved anew from its start, which is faster than its list.
 */
static inline void hk_slab_reset(struct hk_slab *slab)
{
    slab->free = NULL;
    slab->spare = NULL;
    hk_poke(&slab->carved, 0);
    slab->zero = false;
}

/* Takes up to n blocks: the first to top[0], the next to top[-1], and so on downwards; returns their number. Lowest
 * addresses first where the memory is virgin. Blocks of the list carry the mark of a free block. Virgin ones get it
 * only in tiny classes, where it touches no page that is not about to be used; and with them all starts on the same
 * pages, those that are not handed out yet too. What was freed there before, wrongly, is found then (hk_wild_note), and
 * the rest of the slab is not handed out. Virgin Mid blocks have no mark: they come one at a time, and alone, so that
 * none waits in a bin without one; that a batch is short then says nothing of the slab. A corrupted list ends before
 * the wrong link, and nothing comes after it. Owner's lock. */
unsigned hk_slab_take(struct hk_slab *slab, void **top, unsigned n);

/* A link that leaves the span was overwritten after its block was freed. Notes that (hk_corrupt_report), and takes the
 * slab out of use: what is on its lists and what is virgin counts as used for ever, so that it is exhausted and never
 * EMPTY. So do the `got` blocks that were just taken; returns their number, for a tail call. Owner's lock. */
HK_SLOW_PATH unsigned hk_slab_give_up(struct hk_slab *slab, unsigned got);

/* Could `block` be one of the span's? Enough to never hand out memory outside the heap. In one comparison: the bits
 * that a multiple of HK_BLOCK_MIN does not have go to the top. */
static inline bool hk_slab_link_is_sane(const struct hk_slab *slab, const void *block)
{
    size_t offset = (size_t)((const char *)block - slab->base);
    return (offset / HK_BLOCK_MIN | offset << (64 - 4)) < slab->slabs * (HK_SLAB_SIZE / HK_BLOCK_MIN);
}

/* The first block of the list, or NULL when it is empty or corrupted (there may be others yet: hk_slab_take). Owner's
 * lock. */
static inline void *hk_slab_pop(struct hk_slab *slab)
{
    void *block = slab->free;
    if (block == NULL)
        return NULL;
    if (HK_UNLIKELY(!hk_slab_link_is_sane(slab, block))) {
        hk_slab_give_up(slab, 0);
        return NULL;
    }
    slab->free = hk_link_of(block);
    hk_link_leave(block, slab->block_size);
    hk_poke_add(&slab->used, 1);
    return block;
}

/* Takes one block that is known to be zero, or NULL. Owner's lock. */
void *hk_slab_take_zero(struct hk_slab *slab);

/* Puts one block back. The caller counts `used` once per batch. Owner's lock. */
static inline void hk_slab_put(struct hk_slab *slab, void *block)
{
    hk_link_first(block, slab->free);
    slab->free = block;
}

/* Puts a chain of `n` linked blocks back and counts it. Walks the chain only when both lists are in use; a corrupted
 * one is then noted and its blocks count as used for ever. Owner's lock. */
void hk_slab_put_chain(struct hk_slab *slab, void *first, unsigned n);

/* ---- the mark of a free block: in its second word while it is free, cleared when it is handed out ---- */

#define HK_FREE_MARK                                                                                \
    0x35a7c96bu /* odd and far beyond any block, so that no address a program would store equals it \
                 */

static inline uintptr_t hk_free_mark(const void *block)
{
    return (uintptr_t)block + HK_FREE_MARK;
}

static inline bool hk_slab_is_marked(const void *block)
{
    return ((const uintptr_t *)block)[1] == hk_free_mark(block);
}

/* The block is handed out. With -Dfill something is left where the mark was not whole, for who looks. */
static HK_ALWAYS_INLINE void hk_slab_unmark(void *block)
{
    uintptr_t *second = (uintptr_t *)block + 1;
    *second = HK_FILL ? *second ^ hk_free_mark(block) : 0;
}

/* Bytes from the start of the span that were handed out since it was acquired. Whoever holds a block of it sees at
 * least so much that the block is among them, without a lock. */
static inline size_t hk_slab_length_out(const struct hk_slab *slab)
{
    return (size_t)hk_peek(&slab->carved) * slab->block_size;
}

/* Does ptr lie in these? Else whoever frees it never got it. */
static inline bool hk_slab_was_out(const struct hk_slab *slab, const void *ptr)
{
    return (size_t)((const char *)ptr - hk_slab_base(slab)) < hk_slab_length_out(slab);
}

/* True when `ptr` is where a block of the span starts. */
static inline bool hk_slab_is_block(const struct hk_slab *slab, const void *ptr)
{
    size_t offset = (size_t)((const char *)ptr - hk_slab_base(slab));
    return hk_class_divides(slab->cls, offset) && offset < (size_t)slab->capacity * slab->block_size;
}

/* Checks every invariant of a slab that the header states; owner's lock. (slab_check.c: tests and HK_EXPENSIVE) */
bool hk_slab_check(const struct hk_slab *slab);

#endif
