/* SPDX-License-Identifier: MIT
 *
 * What the sources of the own box share: how heaps, runs and pieces look. Included by large/own*.c only.
 */
#ifndef HK_LARGE_OWN_PRIV_H
#define HK_LARGE_OWN_PRIV_H

#include "base/list.h"
#include "large/own.h"
#include "os/lock.h"
#include "pages/space.h"
#include "pages/ss_arena.h"
#include "superslab/size_class.h"

/* Before each block. Of whoever holds the heap's lock, but for the block's owner, who looks and may free later. */
struct hk_own_head {
    uint32_t bytes; /* of the piece, this included; 0: a large block. Of an aligned block: how far before it the piece's
                       own head stands */
    _Atomic uint32_t check; /* hk_own_check_of a state */
};
#define HK_OWN_HEAD sizeof(struct hk_own_head)

enum hk_own_state {
    HK_OWN_LIVE = 0x51c3,
    HK_OWN_FREE = 0xa93d,
    HK_OWN_ALIGNED = 0x2f77, /* a live block further on in its piece, */
    HK_OWN_OUTER = 0x1b69,   /* and the head of that piece */
    HK_OWN_LATER = 0x74d9,   /* either of them, freed without the lock */
    HK_OWN_ALIGNED_LATER = 0xc8b5,
};

/* At the start of each run. */
struct hk_own_run {
    struct hk_node node; /* in its heap's list; the heap's lock */
    struct hk_own *heap; /* constant */
    uint32_t bytes;      /* of the run; the heap's lock */
    uint32_t first;      /* where the first head stands; constant */
    uint32_t cut;        /* where the next piece is cut off; the heap's lock */
    uint32_t live;       /* pieces that are not free, or the large block; the heap's lock */
    bool large;          /* a run for one block; constant */
    bool zero;           /* what is behind `cut` is known to be zero; the heap's lock */
};
#define HK_OWN_START 64u /* where the first block lies, and so less 8 the first head */
_Static_assert(sizeof(struct hk_own_run) + HK_OWN_HEAD <= HK_OWN_START, "a head fits behind the record of a run");

/* The links of a free piece lie where its block was. */
struct hk_own_free {
    struct hk_node node; /* in the list of its class */
};
#define HK_OWN_PIECE_LEAST (HK_OWN_HEAD + sizeof(struct hk_own_free))

/* In the first run. */
struct hk_own {
    uintptr_t mark;      /* hk_own_mark of it while it lives; written under the list's lock */
    struct hk_node all;  /* in the list of all heaps; its lock */
    struct hk_lock lock; /* guards the rest, and the runs */
    bool broken;         /* left behind half changed: see hk_own_fork_child */
    bool limited;        /* the limit refused something since this was cleared */
    struct hk_list runs;
    struct hk_own_run *cutting; /* pieces are cut from it; never NULL */
    size_t limit;               /* bytes; SIZE_MAX: none. Constant */
    size_t run_bytes, run_count, peak;
    size_t live_bytes, live_blocks;
    size_t huge_bytes, huge_blocks; /* mappings; parts of live */
    uint64_t refused;
    void *_Atomic later; /* blocks that were freed without the lock, linked through their first word */
    struct hk_list free[HK_CLASS_COUNT];
};

static inline uintptr_t hk_own_mark(const struct hk_own *heap)
{
    return (uintptr_t)heap ^ (uintptr_t)0x6b1f83d0c7a52e94;
}

static inline uint32_t hk_own_check_of(const struct hk_own_head *head, enum hk_own_state state)
{
    return (uint32_t)((uintptr_t)head >> 3) * 0x9e3779b1u ^ state;
}

static inline bool hk_own_is(const struct hk_own_head *head, enum hk_own_state state)
{
    return hk_load_relaxed(&head->check) == hk_own_check_of(head, state); /* handed over with the block */
}

/* Of several that change it from what it was one does. */
static inline bool hk_own_change(struct hk_own_head *head, enum hk_own_state from, enum hk_own_state to)
{
    uint32_t expected = hk_own_check_of(head, from);
    return hk_cas_relaxed(&head->check, &expected, hk_own_check_of(head, to)); /* as above */
}

static inline bool hk_own_is_live(const struct hk_own_head *head)
{
    return hk_own_is(head, HK_OWN_LIVE) || hk_own_is(head, HK_OWN_ALIGNED);
}

static inline void hk_own_set(struct hk_own_head *head, enum hk_own_state state)
{
    hk_store_relaxed(&head->check, hk_own_check_of(head, state)); /* as above */
}

static inline struct hk_own_head *hk_own_head_at(const struct hk_own_run *run, size_t offset)
{
    return (struct hk_own_head *)(void *)((char *)(uintptr_t)run + offset);
}

static inline struct hk_own_head *hk_own_head_of(const void *block)
{
    return (struct hk_own_head *)(void *)((char *)(uintptr_t)block - HK_OWN_HEAD);
}

static inline void *hk_own_block_of(const struct hk_own_head *head)
{
    return (char *)(uintptr_t)head + HK_OWN_HEAD;
}

static inline struct hk_own_run *hk_own_run_of(struct hk_node *node)
{
    return HK_CONTAINER(node, struct hk_own_run, node);
}

static inline size_t hk_own_held(const struct hk_own *heap)
{
    return heap->run_bytes + heap->huge_bytes;
}

/* ---- own_run.c ---- */

/* The run that an address lies in, or NULL. No lock. */
struct hk_own_run *hk_own_run_at(const void *ptr);

/* A run of so many bytes, whole pages, whose start is a multiple of `align` (up to 2 MiB), known by its address; heads
 * start `first` behind its start. NULL: no memory. */
struct hk_own_run *hk_own_run_new(struct hk_own *heap, size_t bytes, size_t align, size_t first);

/* Its addresses are found up to so many bytes from its start. False: no memory. */
bool hk_own_run_reach(const struct hk_own_run *run, size_t bytes);

/* Gives one away that is in no list. */
void hk_own_run_drop(struct hk_own_run *run);

/* Puts a new run into its heap's list, or takes it out and gives it away, and counts that. The heap's lock. */
void hk_own_run_enter(struct hk_own_run *run);
void hk_own_run_leave(struct hk_own_run *run);

/* ---- own_piece.c; the heap's lock ---- */

static inline bool hk_own_is_piece(size_t align, size_t size)
{
    return align <= HK_PAGE && size <= HK_MID_MAX && size + HK_OWN_HEAD + align - 16 <= HK_MID_MAX;
}

void *hk_own_take_piece(struct hk_own *heap, struct hk_own_want *want);
void hk_own_free_piece(struct hk_own_run *run, void *block);

/* The head of the piece that a live block lies in; what the block may hold. */
struct hk_own_head *hk_own_piece_of(const void *block);

static inline size_t hk_own_usable(const struct hk_own_head *piece, const void *block)
{
    return piece->bytes - (size_t)((const char *)block - (const char *)piece);
}

/* ---- own_large.c; the heap's lock ---- */

static inline bool hk_own_is_huge(size_t align, size_t size)
{
    return align > HK_SUPERSLAB_SIZE || size + hk_max(align, HK_OWN_START) > HK_RUN_PAGES_MAX * HK_PAGE;
}

void *hk_own_take_large(struct hk_own *heap, struct hk_own_want *want);
void hk_own_free_large(struct hk_own_run *run);

/* Mappings of all heaps. Relaxed: whoever has one sees it. */
extern HK_HIDDEN _Atomic size_t hk_own_mappings;

/* Without the lock: mappings are made and given back outside it. */
void *hk_own_take_huge(struct hk_own *heap, struct hk_own_want *want);
bool hk_own_free_huge(struct hk_own *heap, void *start, uintptr_t tag);

/* Of a mapping that was freed without a lock: not the address of a heap. */
static inline uintptr_t hk_own_later_tag(const struct hk_own *heap)
{
    return (uintptr_t)heap | 1;
}

/* ---- own.c; the heap's lock ---- */

/* May the heap have `bytes` more? Notes a refusal. */
bool hk_own_may_have(struct hk_own *heap, size_t bytes);

/* So much more is live; less by what wraps around. */
static inline void hk_own_count_live(struct hk_own *heap, size_t bytes, size_t blocks)
{
    hk_poke_add(&heap->live_bytes, bytes);
    hk_poke_add(&heap->live_blocks, blocks);
}

/* Something came: the most that there was. */
static inline void hk_own_look_peak(struct hk_own *heap)
{
    if (hk_own_held(heap) > heap->peak)
        hk_poke(&heap->peak, hk_own_held(heap));
}

/* Without the lock: completes what hk_own_free_later began. */
void hk_own_free_waiting(struct hk_own *heap);

#endif
