/* SPDX-License-Identifier: MIT
 *
 * heap: a thread's owner-side state: the slabs it owns, per class one active, some partial, the rest full. Fronts get
 * their blocks from here in batches and give them back in batches, whoever owns them.
 *
 * Everything in a heap is guarded by its lock, taken by its own thread once per batch and by others (purge,
 * statistics, a thread in need) when they work on it. Records are never unmapped. One more heap, the orphan heap, has
 * no thread: it owns the slabs of threads that ended until somebody who needs that class adopts them, and serves
 * threads that are past their end. Must not know fronts.
 *
 * On a machine with several NUMA nodes a heap looks, before it makes another slab the active one, where its thread runs
 * now. After a move it keeps its FULL slabs and hands the others of other nodes on, as if it ended. Slabs of threads
 * that ended are adopted on their own node; elsewhere only where there is no memory otherwise.
 */
#ifndef HK_BOX_HEAP_H
#define HK_BOX_HEAP_H

#include "base/seen.h"
#include "box/remote.h"
#include "os/lock.h"

struct hk_heap_class {
    struct hk_slab *active; /* blocks are taken from here; NULL before the first */
    struct hk_list partial; /* slabs with free blocks */
};

struct hk_heap {
    struct hk_owner owner; /* first: an owner's heap is found by its address */
    struct hk_lock lock;
    bool shared;                  /* no thread's alone, so the child of a fork has it too */
    unsigned node;                /* the NUMA node that its thread was last seen on; 0 where there is one */
    unsigned number;              /* of the record: how many were made before it */
    struct hk_list full;          /* slabs of any class without a free block */
    struct hk_node all;           /* in the list of all records, for ever */
    struct hk_heap *next_retired; /* in the list of records without a thread; the records lock's */
    uint64_t refills, flushes;    /* batches taken and given; statistics read them without the lock */
    uint64_t chains; /* pushed to slabs of other heaps; of the orphan heap about, as many threads count there */
    size_t slabs;    /* owned, in pieces of 64 KiB */
    size_t told;     /* what of `used` is in hk_heap_used */
    size_t used; /* bytes of blocks that are outside these; read without the lock by its own thread's front. A private
                    list (-Dfront=slab) is outside */
    struct hk_heap_class cls[HK_CLASS_COUNT];
};

extern HK_HIDDEN struct hk_heap hk_orphan_heap;

/* Heaps with a thread, which may be at its end; heaps ever made. Written under the lock of the records; hints without.
 */
extern HK_HIDDEN _Atomic unsigned hk_heap_threads, hk_heap_records;

/* Where there are more threads what each keeps for itself is bounded more tightly: all of it is much. */
#define HK_HEAP_FEW 16u

static inline bool hk_heap_many(void)
{
    return hk_load_relaxed(&hk_heap_threads) > HK_HEAP_FEW;
}

/* Bytes of blocks outside their slabs, in fronts or the program's hands, but for less than HK_HEAP_TELL of each heap: a
 * hint. */
extern HK_HIDDEN _Atomic size_t hk_heap_used;
#define HK_HEAP_TELL ((size_t)HK_SLAB_SIZE)

static inline struct hk_heap *hk_heap_of(struct hk_owner *owner)
{
    return HK_CONTAINER(owner, struct hk_heap, owner);
}

/* The list of all records but the orphan heap's. */
extern HK_HIDDEN hk_seen hk_heap_seen[1];

/* Enters a zeroed record, or one of a thread that ended, as the heap of the calling thread. */
void hk_heap_begin(struct hk_heap *heap);

/* A zeroed record, for whichever threads come: it has no end. */
static inline void hk_heap_begin_shared(struct hk_heap *heap)
{
    heap->shared = true;
    hk_heap_begin(heap);
}

/* A record whose thread has ended, or NULL. */
struct hk_heap *hk_heap_reuse(void);

/* The thread of this heap ends, its front is empty: EMPTY slabs go to the pool, the others to the orphan heap. */
HK_SLOW_PATH void hk_heap_end(struct hk_heap *heap);

/* After that, when nothing of the record is needed any more: to hk_heap_reuse. */
void hk_heap_retire(struct hk_heap *heap);

/* Takes 1...n blocks of a class: the first to top[0], the next to top[-1], downwards. Returns their number; 0: no
 * memory. A batch that has begun is not completed by growing. */
unsigned hk_heap_take(struct hk_heap *heap, unsigned cls, void **top, unsigned n);

/* `used` of a slab of the heap was `before`. The heap's lock. */
static inline void hk_heap_count_used(struct hk_heap *heap, const struct hk_slab *slab, uint32_t before)
{
    hk_poke(&heap->used, heap->used + ((size_t)slab->used - before) * slab->block_size);
}

/* Says how many bytes are in use, once that is another slab. The heap's lock. */
static inline void hk_heap_tell(struct hk_heap *heap)
{
    size_t change = heap->used - heap->told;
    if (HK_LIKELY(change + HK_HEAP_TELL <= 2 * HK_HEAP_TELL))
        return;
    hk_add_relaxed(&hk_heap_used, change);
    heap->told = heap->used;
}

/* One block, for a class that the front bypasses; NULL: hk_heap_take knows more. Inline, as is hk_heap_give_one,
 * because these two are such a class's whole path. */
static inline void *hk_heap_take_one(struct hk_heap *heap, unsigned cls)
{
    hk_lock(&heap->lock);
    struct hk_slab *active = heap->cls[cls].active;
    uint32_t before = active != NULL ? active->used : 0;
    void *block = HK_LIKELY(active != NULL) ? hk_slab_pop(active) : NULL;
    if (HK_LIKELY(active != NULL))
        hk_heap_count_used(heap, active, before);
    hk_heap_tell(heap);
    hk_unlock(&heap->lock);
    return block;
}

/* Gives n blocks of any slabs back: own ones to their slabs, others in chains to their owners. Returns how often one
 * block lay in another slab than the block before it: how scattered they were. */
unsigned hk_heap_give(struct hk_heap *heap, void **blocks, unsigned n);

/* Makes a slab that is PARTIAL or FULL the active one. */
void hk_heap_activate_locked(struct hk_heap *heap, struct hk_slab *slab);

/* Gives one block of a slab back, whoever owns it. Of an own slab: it becomes the active one, so that the block that
 * was freed last is handed out first, while it is in the processor's caches and its pages are in use. (With few blocks
 * to a slab, choosing the fullest slab instead touches every block in turn.) */
static inline void hk_heap_give_one(struct hk_heap *heap, struct hk_slab *slab, void *block)
{
    hk_lock(&heap->lock);
    bool mine = hk_slab_is_owned(hk_slab_superslab(slab), slab, &heap->owner);
    if (HK_LIKELY(mine)) {
        hk_slab_put(slab, block);
        hk_poke_sub(&slab->used, 1);
        hk_poke(&heap->used, heap->used - slab->block_size);
        hk_heap_tell(heap);
        if (slab->state != HK_SLAB_ACTIVE)
            hk_heap_activate_locked(heap, slab);
    }
    hk_unlock(&heap->lock);
    if (HK_UNLIKELY(!mine))
        hk_heap_give(heap, &block, 1);
}

/* To the pool with it, if it is the heap's active slab of its class and nothing lives in it; or with all of these. */
void hk_heap_let_go(struct hk_heap *heap, struct hk_slab *slab);
void hk_heap_release_unused(struct hk_heap *heap);

/* Takes one block that is known to be zero, or NULL (then take any and clear it). */
void *hk_heap_take_zero(struct hk_heap *heap, unsigned cls);

/* Works on a heap on behalf of its thread, which may be asleep: collects what others pushed, and releases the
 * active slabs in which nothing lives. Or on every heap. Any thread that holds no lock. */
void hk_heap_sweep_one(struct hk_heap *heap);
void hk_heap_sweep(void);

/* Gives the pages of free blocks back to the system that lie in slabs with others in use, but for those in which blocks
 * begin: link and mark stay where they are. From the SuperSlab of unit *at on, until about `most` bytes have gone,
 * 64 KiB for each SuperSlab counted with them, or all were looked at; *at is the next one, or 0. Returns the bytes. A
 * block of which they went is not looked at again before the program has written it. Any thread that holds no lock. */
size_t hk_heap_give_pages(size_t *at, size_t most);

/* Moves the slabs of heaps whose threads stayed behind in the parent of a fork to the orphan heap. */
HK_SLOW_PATH void hk_heap_abandon_forked(void);

/* The record after that one, or the first (NULL), of all ever made, the orphan heap last; NULL: that was the last. */
struct hk_heap *hk_heap_next(struct hk_heap *heap);

/* Calls `visit` for each of them, without locks. */
void hk_heap_visit(void (*visit)(void *ctx, struct hk_heap *heap), void *ctx);

/* In the child of a fork: makes `mine` the only living heap; NULL: none is. */
void hk_heap_fork_child(struct hk_heap *mine);

/* The heap's slabs against their states; the heap's lock is taken. (heap_check.c: tests and -Dcheck) */
bool hk_heap_check(struct hk_heap *heap);

#endif
