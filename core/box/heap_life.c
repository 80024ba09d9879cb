/* SPDX-License-Identifier: MIT
 *
 * Beginning and end of heaps: threads, fork, and work on behalf of threads that sleep.
 */
#include "box/heap_priv.h"
#include "box/pool.h"
#include "heap_lists_inner.h"
#include "os/numa.h"

struct hk_heap hk_orphan_heap = {.owner = {.state = HK_OWNER_GONE}, .lock = HK_LOCK_FREE(HK_RANK_ORPHANS)};
_Atomic bool hk_heap_forked;
_Atomic unsigned hk_heap_threads, hk_heap_records;
_Atomic size_t hk_heap_used;

/* Guards the two lists of records; outermost of all ranks. Records are only ever added to `records`. */
static struct hk_lock records_lock = HK_LOCK_FREE(HK_RANK_RECORDS);
static struct hk_list records;
static struct hk_heap *retired; /* those without a thread */
hk_seen hk_heap_seen[1] = {&records};

/* The lock of the records. */
static void count_thread(int change)
{
    unsigned threads = hk_load_relaxed(&hk_heap_threads) + (unsigned)change;
    hk_store_relaxed(&hk_heap_threads, threads);
    unsigned patience = HK_REMOTE_QUEUED * HK_HEAP_FEW / hk_max(threads, HK_HEAP_FEW);
    if (patience != hk_load_relaxed(&hk_remote_patience))
        hk_store_relaxed(&hk_remote_patience, patience);
}

void hk_heap_begin(struct hk_heap *heap)
{
    hk_lock(&records_lock);
    heap->node = hk_numa_node();
    hk_lock_init(&heap->lock, HK_RANK_HEAP);
    if (heap->all.at == NULL) {
        heap->number = hk_load_relaxed(&hk_heap_records);
        hk_store_relaxed(&hk_heap_records, heap->number + 1);
        hk_list_push(&records, &heap->all);
    }
    count_thread(!heap->shared);
    hk_store_release(&heap->owner.state, HK_OWNER_ALIVE); /* pairs with visit_heap: what is counted is this thread's */
    hk_unlock(&records_lock);
}

struct hk_heap *hk_heap_reuse(void)
{
    hk_lock(&records_lock);
    struct hk_heap *heap = retired;
    if (heap != NULL)
        retired = heap->next_retired;
    hk_unlock(&records_lock);
    return heap;
}

/* Hands one slab on: EMPTY to the pool, else to the orphan heap, whose lock is held inside ours. One copy: the
 * first 64 KiB of the code are nearly full (core/meson.build). */
static HK_NOINLINE void hand_on(struct hk_heap *heap, struct hk_slab *slab)
{
    hk_heap_put_private(heap, slab);
    if (slab->used == 0) {
        hk_heap_release_locked(heap, slab);
        return;
    }
    size_t used = (size_t)slab->used * slab->block_size;
    hk_poke(&heap->slabs, heap->slabs - slab->slabs);
    hk_poke(&heap->used, heap->used - used);
    hk_lock(&hk_orphan_heap.lock);
    hk_orphan_heap.slabs += slab->slabs;
    hk_orphan_heap.used += used;
    hk_slab_set_owner(slab, &hk_orphan_heap.owner);
    bool full = hk_slab_is_exhausted(slab);
    hk_poke(&slab->state, full ? HK_SLAB_FULL : HK_SLAB_PARTIAL);
    hk_list_push(full ? &hk_orphan_heap.full : &hk_orphan_heap.cls[slab->cls].partial, &slab->node);
    hk_heap_tell(&hk_orphan_heap);
    hk_unlock(&hk_orphan_heap.lock);
}

static void hand_on_list(struct hk_heap *heap, struct hk_list *list)
{
    for (struct hk_node *node; (node = hk_list_pop(list)) != NULL;)
        hand_on(heap, HK_CONTAINER(node, struct hk_slab, node));
}

/* All slabs leave the heap, which is GONE already. */
static void hand_all_on(struct hk_heap *heap)
{
    hk_lock(&heap->lock);
    struct hk_slab *strays = hk_heap_collect_locked(heap);
    hand_on_list(heap, &heap->full);
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        hand_on_list(heap, &heap->cls[cls].partial);
        if (heap->cls[cls].active != NULL)
            hand_on(heap, heap->cls[cls].active);
        heap->cls[cls].active = NULL;
    }
    hk_heap_tell(heap);
    hk_unlock(&heap->lock);
    if (strays != NULL) /* else the page of that code is not made resident */
        hk_heap_forward(strays);
}

void hk_heap_end(struct hk_heap *heap)
{
    hk_store_relaxed(&heap->owner.state, HK_OWNER_GONE);
    hk_fence_full(); /* pairs with the fence in hk_remote_push: I see the push, or its thread sees my state */
    hand_all_on(heap);
}

void hk_heap_retire(struct hk_heap *heap)
{
    hk_lock(&records_lock);
    hk_store_relaxed(&heap->owner.state, HK_OWNER_NONE);
    count_thread(-1);
    heap->next_retired = retired;
    retired = heap;
    hk_unlock(&records_lock);
}

/* The thread runs on another node now. Slabs of other nodes that have free blocks are handed on: it is to take near
 * ones. FULL slabs stay: what comes back to them has just been used here. */
void hk_heap_move_locked(struct hk_heap *heap, unsigned node)
{
    heap->node = node;
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        struct hk_heap_class *c = &heap->cls[cls];
        if (c->active != NULL && hk_slab_superslab(c->active)->node != node) {
            hk_heap_displace(heap, c->active);
            c->active = NULL;
        }
        for (struct hk_node *at = c->partial.first, *next; at != NULL; at = next) {
            struct hk_slab *slab = HK_CONTAINER(at, struct hk_slab, node);
            next = at->next;
            if (hk_slab_superslab(slab)->node == node)
                continue;
            hk_list_remove(at);
            hand_on(heap, slab);
        }
    }
}

/* ---- on behalf of others ---- */

static struct hk_heap *of_node(struct hk_node *node)
{
    return HK_CONTAINER(node, struct hk_heap, all);
}

struct hk_heap *hk_heap_next(struct hk_heap *heap)
{
    struct hk_node *node;
    if (heap == &hk_orphan_heap)
        return NULL;
    if (heap == NULL) {
        hk_lock(&records_lock);
        node = records.first;
        hk_unlock(&records_lock);
    } else {
        node = heap->all.next; /* never removed; new ones are pushed in front */
    }
    return node != NULL ? of_node(node) : &hk_orphan_heap;
}

void hk_heap_visit(void (*visit)(void *ctx, struct hk_heap *heap), void *ctx)
{
    for (struct hk_heap *heap = NULL; (heap = hk_heap_next(heap)) != NULL;)
        visit(ctx, heap);
}

/* ---- fork ---- */

/* Heaps of threads that were alive or at their end. Lazily: most children exec at once, and moving slabs would copy the
 * pages of their records. */
void hk_heap_fork_child(struct hk_heap *mine)
{
    for (struct hk_node *node = records.first; node != NULL; node = node->next) {
        struct hk_heap *heap = of_node(node);
        hk_lock_reset(&heap->lock);
        if (heap == mine || heap->shared || hk_load_relaxed(&heap->owner.state) == HK_OWNER_NONE)
            continue;
        hk_store_relaxed(&heap->owner.state, HK_OWNER_GONE);
        hk_store_relaxed(&hk_heap_forked, true);
        heap->next_retired = heap; /* marks it: its slabs were not abandoned yet */
    }
    hk_lock_reset(&hk_orphan_heap.lock);
    hk_lock_reset(&records_lock);
}

static void abandon_marked(void *ctx, struct hk_heap *heap)
{
    (void)ctx;
    if (heap->next_retired == heap) {
        heap->next_retired = NULL;
        hk_heap_end(heap);
        hk_heap_retire(heap);
    }
}

void hk_heap_abandon_forked(void)
{
    bool expected = true;
    if (atomic_compare_exchange_strong(&hk_heap_forked, &expected, false))
        hk_heap_visit(abandon_marked, NULL);
}
