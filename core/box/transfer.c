/* SPDX-License-Identifier: MIT */
#include "box/transfer.h"

#include "base/options.h"
#include "pages/meta.h"

#include <string.h>

/* Fewer are no batch. */
#define BLOCKS_MIN 3u

/* An owner that wanted nothing while so many arrays of blocks were offered is asleep, or has no use for the class.
 * What waits would only keep its slabs from becoming EMPTY. */
#define PATIENCE 2u

/* All that waits for a heap is at most HAKMEM_FRONT_BYTES, or one part in so many of its slabs. */
#define SHARE 8u

static struct hk_lock making = HK_LOCK_FREE(HK_RANK_MAKING); /* held while an array is made */

/* Held by who empties arrays on behalf of others, and by who counts what is where. */
static struct hk_lock sweeping = HK_LOCK_FREE(HK_RANK_SWEEPING);

static unsigned most_of_class(unsigned cls)
{
    return (unsigned)hk_min(HK_TRANSFER_BYTES / hk_class_size(cls), HK_TRANSFER_BLOCKS);
}

/* The orphan heap, which has no inbox, never is. */
static bool is_alive(const struct hk_heap *heap)
{
    return hk_load_relaxed(&heap->owner.state) == HK_OWNER_ALIVE; /* decided under a lock: see hk_transfer_end */
}

static struct hk_transfer *array_of(const struct hk_heap *heap, unsigned cls)
{
    return hk_load_acquire(&hk_inbox_of(heap)->array[cls]); /* pairs with the release in make_array */
}

/* The first batch for a heap's class makes the array; heaps keep them, as records are kept. NULL: somebody else is just
 * making one, or no memory. */
static struct hk_transfer *make_array(struct hk_heap *heap, unsigned cls)
{
    if (!hk_try_lock(&making))
        return NULL;
    struct hk_transfer *t = array_of(heap, cls);
    if (t == NULL && is_alive(heap)) {
        t = hk_meta_alloc(sizeof *t + most_of_class(cls) * sizeof t->block[0]);
        if (t != NULL)
            hk_lock_init(&t->lock, HK_RANK_ARRAY);
        hk_store_release(&hk_inbox_of(heap)->array[cls], t); /* pairs with array_of */
    }
    hk_unlock(&making);
    return t;
}

bool hk_transfer_is_wanted(const struct hk_heap *heap, unsigned cls)
{
    const struct hk_transfer *t = is_alive(heap) ? array_of(heap, cls) : NULL;
    return t != NULL && hk_load_relaxed(&t->offered) == 0;
}

/* ---- give ---- */

/* Who owns a block's slab, now. Spans of one slab need no look at the slab's record, which its owner writes to. */
static struct hk_owner *owner_of(const void *block, unsigned cls)
{
    if (hk_class_slabs(cls) == 1)
        return hk_load_relaxed(&hk_superslab_of(block)->owner[hk_slab_index_of(block)]); /* a hint */
    return hk_slab_owner(hk_slab_of(block));
}

/* Blocks of the class that the heap may have beside what it has. */
static size_t room_for_more(struct hk_heap *heap, unsigned cls)
{
    size_t most = hk_max(hk_load_relaxed(&hk_inbox_of(heap)->most), (size_t)hk_opt(HK_OPT_FRONT_BYTES));
    size_t bytes = hk_load_relaxed(&hk_inbox_of(heap)->bytes);
    return most > bytes ? (most - bytes) / hk_class_size(cls) : 0;
}

static void empty_array(struct hk_heap *heap, unsigned cls);

/* Puts as many of n blocks as there is room for into the owner's array; returns how many. */
static unsigned put_in_array(struct hk_heap *heap, unsigned cls, void *const *blocks, unsigned n)
{
    struct hk_transfer *t = array_of(heap, cls);
    if ((t == NULL && (t = make_array(heap, cls)) == NULL) || !hk_try_lock(&t->lock))
        return 0;
    unsigned before = hk_load_relaxed(&t->offered), enough = PATIENCE * most_of_class(cls);
    unsigned count = hk_load_relaxed(&t->count), put = 0;
    hk_store_relaxed(&t->offered, (uint32_t)hk_min(before + n, enough + 1));
    if (before <= enough && is_alive(heap))
        put = (unsigned)hk_min(n, hk_min(most_of_class(cls) - count, room_for_more(heap, cls)));
    memcpy(t->block + count, blocks, put * sizeof *blocks);
    hk_store_relaxed(&t->count, count + put);
    hk_add_relaxed(&hk_inbox_of(heap)->bytes, put * hk_class_size(cls));
    hk_poke_add(&t->batches, put != 0);
    hk_unlock(&t->lock);
    if (HK_UNLIKELY(before <= enough && before + n > enough))
        empty_array(heap, cls);
    return put;
}

unsigned hk_transfer_give(struct hk_heap *heap, unsigned cls, void **blocks, unsigned n)
{
    void *batch[HK_TRANSFER_BLOCKS];
    if (n < BLOCKS_MIN || most_of_class(cls) < BLOCKS_MIN)
        return n;
    struct hk_owner *to = owner_of(blocks[0], cls);
    if (to == &heap->owner || owner_of(blocks[n - 1], cls) != to || !is_alive(hk_heap_of(to)))
        return n; /* it does not look like a batch of one owner */
    unsigned count = 0, kept = 0;
    for (unsigned i = 0; i < n; i++) {
        bool theirs = i == 0 || i == n - 1 || owner_of(blocks[i], cls) == to;
        if (theirs && count < HK_TRANSFER_BLOCKS)
            batch[count++] = blocks[i];
        else
            blocks[kept++] = blocks[i];
    }
    unsigned gone = count < BLOCKS_MIN ? 0 : put_in_array(hk_heap_of(to), cls, batch, count);
    memcpy(blocks + kept, batch + gone, (count - gone) * sizeof *blocks);
    return n - gone;
}

/* ---- take ---- */

/* The newest blocks, at most n; the lock. */
static unsigned take_from_array(struct hk_heap *heap, unsigned cls, void **to, unsigned n)
{
    struct hk_transfer *t = array_of(heap, cls);
    unsigned count = hk_load_relaxed(&t->count);
    n = (unsigned)hk_min(n, count);
    memcpy(to, t->block + count - n, n * sizeof *to);
    hk_store_relaxed(&t->count, count - n);
    hk_sub_relaxed(&hk_inbox_of(heap)->bytes, n * hk_class_size(cls));
    return n;
}

unsigned hk_transfer_take(struct hk_heap *heap, unsigned cls, void **top, unsigned n)
{
    struct hk_transfer *t = array_of(heap, cls);
    if (t == NULL)
        return 0;
    /* A giver that is just counting may undo this: then the next take does it again. */
    if (hk_load_relaxed(&t->offered) != 0)
        hk_store_relaxed(&t->offered, 0);
    if (hk_load_relaxed(&t->count) == 0 || !hk_try_lock(&t->lock))
        return 0;
    n = (unsigned)hk_min(n, hk_load_relaxed(&t->count));
    n = take_from_array(heap, cls, top + 1 - n, n);
    hk_unlock(&t->lock);
    hk_store_relaxed(&hk_inbox_of(heap)->most, hk_peek(&heap->slabs) * (HK_SLAB_SIZE / SHARE));
    return n;
}

/* ---- on behalf of others ---- */

/* The orphan heap gives the blocks away, as it does for threads that have no heap. */
static void empty_array(struct hk_heap *heap, unsigned cls)
{
    void *blocks[HK_TRANSFER_BLOCKS];
    struct hk_transfer *t = array_of(heap, cls);
    if (t == NULL)
        return;
    hk_lock(&t->lock);
    unsigned n = take_from_array(heap, cls, blocks, HK_TRANSFER_BLOCKS);
    hk_unlock(&t->lock);
    if (n != 0)
        hk_heap_give(&hk_orphan_heap, blocks, n);
}

static void empty_all(struct hk_heap *heap)
{
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++)
        empty_array(heap, cls);
}

/* The state is GONE. A giver looks at it under `making`, and again under the array's lock: what it put in before I held
 * these I find, and afterwards it sees the state. */
void hk_transfer_end(struct hk_heap *heap)
{
    hk_lock(&making);
    hk_unlock(&making);
    hk_store_relaxed(&hk_inbox_of(heap)->most, 0);
    empty_all(heap);
}

void hk_transfer_sweep_one(struct hk_heap *heap)
{
    if (heap == &hk_orphan_heap)
        return;
    hk_transfer_hold();
    empty_all(heap);
    hk_transfer_release();
}

void hk_transfer_sweep(void)
{
    for (struct hk_heap *heap = NULL; (heap = hk_heap_next(heap)) != NULL;)
        hk_transfer_sweep_one(heap);
}

void hk_transfer_hold(void)
{
    hk_lock(&sweeping);
}

void hk_transfer_release(void)
{
    hk_unlock(&sweeping);
}

static HK_SLOW_PATH void reset_locks(struct hk_heap *heap)
{
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        struct hk_transfer *t = array_of(heap, cls);
        if (t != NULL)
            hk_lock_reset(&t->lock);
    }
}

void hk_transfer_fork_child(void)
{
    hk_lock_reset(&making);
    hk_lock_reset(&sweeping);
    for (struct hk_heap *heap = NULL; (heap = hk_heap_next(heap)) != &hk_orphan_heap;)
        reset_locks(heap);
}

/* ---- statistics ---- */

unsigned hk_transfer_count(const struct hk_heap *heap, unsigned cls)
{
    struct hk_transfer *t = array_of(heap, cls);
    return t != NULL ? hk_load_relaxed(&t->count) : 0;
}

uint64_t hk_transfer_batches(const struct hk_heap *heap, unsigned cls)
{
    struct hk_transfer *t = array_of(heap, cls);
    return t != NULL ? hk_peek(&t->batches) : 0;
}
