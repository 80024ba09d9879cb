/* SPDX-License-Identifier: MIT */
#include "box/heap.h"

#include "base/options.h"
#include "box/heap_priv.h"
#include "box/hot_cold.h"
#include "box/pool.h"
#include "os/numa.h"
#include "remote_batch.h"

/* Slabs of threads that ended that are looked at for one of the own node. */
#define ORPHANS_LOOK 16u

/* ---- slabs between their states; the heap's lock ---- */

void hk_heap_release_locked(struct hk_heap *heap, struct hk_slab *slab)
{
    hk_poke(&heap->slabs, heap->slabs - slab->slabs);
    hk_private_close(hk_private_of(slab)); /* empty: nothing is outside the slab */
    hk_pool_release(slab);
}

/* A slab that was the active one goes where it belongs. */
void hk_heap_displace(struct hk_heap *heap, struct hk_slab *slab)
{
    HK_EXPENSIVE(hk_slab_check(slab));
    if (slab->used == 0)
        hk_heap_release_locked(heap, slab);
    else if (hk_slab_is_exhausted(slab))
        hk_heap_set_full(heap, slab);
    else
        hk_heap_set_partial(heap, slab);
}

/* Merges the chain of a slab that was just taken off a wake stack, and that this heap owns. */
void hk_heap_merge_locked(struct hk_heap *heap, struct hk_slab *slab)
{
    unsigned count;
    void *first = hk_remote_take(slab, &count);
    if (count == 0)
        return;
    uint32_t before = slab->used;
    hk_slab_put_chain(slab, first, count);
    hk_heap_count_used(heap, slab, before);
    HK_EXPENSIVE(hk_slab_check(slab));
    hk_heap_settle(heap, slab);
}

/* Merges all woken slabs of this heap. Slabs that belong to somebody else by now are returned, linked through
 * wake_next. */
struct hk_slab *hk_heap_collect_locked(struct hk_heap *heap)
{
    struct hk_slab *strays = NULL;
    for (struct hk_slab *slab = hk_remote_take_woken(&heap->owner), *next; slab != NULL; slab = next) {
        next = slab->wake_next;
        if (hk_slab_owner(slab) == &heap->owner) {
            hk_heap_merge_locked(heap, slab);
        } else {
            slab->wake_next = strays;
            strays = slab;
        }
    }
    hk_heap_tell(heap);
    return strays;
}

/* ---- take ---- */

/* The orphan heap's lock. */
static struct hk_slab *choose_orphan(const struct hk_list *partial, unsigned node, bool any)
{
    if (any)
        return hk_hot_cold_choose(partial);
    struct hk_node *at = partial->first;
    for (unsigned i = 0; i < ORPHANS_LOOK && at != NULL; i++, at = at->next) {
        struct hk_slab *slab = HK_CONTAINER(at, struct hk_slab, node);
        if (hk_slab_superslab(slab)->node == node)
            return slab;
    }
    return NULL;
}

/* Takes a partial slab of a thread that ended, of the heap's node or of any. */
static struct hk_slab *adopt_orphan_slab(struct hk_heap *heap, unsigned cls, bool any)
{
    if (heap == &hk_orphan_heap || hk_peek(&hk_orphan_heap.cls[cls].partial.first) == NULL)
        return NULL; /* read without the lock: a miss only costs a slab of our own */
    hk_lock(&hk_orphan_heap.lock);
    struct hk_slab *slab = choose_orphan(&hk_orphan_heap.cls[cls].partial, heap->node, any);
    if (slab != NULL) {
        hk_list_remove(&slab->node);
        hk_slab_set_owner(slab, &heap->owner);
        hk_orphan_heap.slabs -= slab->slabs;
        hk_orphan_heap.used -= (size_t)slab->used * slab->block_size;
    }
    hk_unlock(&hk_orphan_heap.lock);
    if (slab != NULL) {
        hk_poke(&heap->slabs, heap->slabs + slab->slabs);
        hk_poke(&heap->used, heap->used + (size_t)slab->used * slab->block_size);
        hk_pool_count_partial(cls);
    }
    return slab;
}

/* The ladder: own slabs, what others pushed to them, slabs of dead threads. */
static struct hk_slab *find_partial(struct hk_heap *heap, unsigned cls, struct hk_slab **strays)
{
    struct hk_slab *slab = hk_hot_cold_choose(&heap->cls[cls].partial);
    if (slab == NULL && hk_remote_has_woken(&heap->owner)) {
        *strays = hk_heap_collect_locked(heap);
        slab = hk_hot_cold_choose(&heap->cls[cls].partial);
    }
    if (slab != NULL) {
        hk_list_remove(&slab->node);
        return slab;
    }
    return adopt_orphan_slab(heap, cls, hk_numa_nodes() == 1);
}

/* Gives back the slabs that classes only keep for their next block. */
HK_NOINLINE void hk_heap_release_unused_locked(struct hk_heap *heap)
{
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        struct hk_slab *active = heap->cls[cls].active;
        if (active != NULL && active->used == 0) {
            heap->cls[cls].active = NULL;
            hk_heap_release_locked(heap, active);
        }
    }
}

/* Blocks that lie in all pages, of a heap beside which a SuperSlab more is little: it has, on average, some slabs of
 * each class, so that most of them are full. */
static bool fills_slabs(const struct hk_heap *heap, unsigned cls)
{
    size_t from = (size_t)hk_opt(HK_OPT_HUGE_FROM);
    return cls <= HK_TINY_LAST && heap->slabs >= from / HK_SLAB_SIZE && from != 0 && hk_opt(HK_OPT_THP) == 0;
}

/* A slab from the pool, or where that has no memory one of a thread that ended, far away. Before it is an untouched one
 * those go to the pool that have no block out. */
static struct hk_slab *take_from_pool(struct hk_heap *heap, unsigned cls)
{
    if (HK_EMPTY_REUSE && hk_load_relaxed(&hk_pool_empty_slabs) == 0)
        hk_heap_release_unused_locked(heap);
    struct hk_slab *slab = hk_pool_acquire(cls, &heap->owner, fills_slabs(heap, cls));
    if (HK_UNLIKELY(slab == NULL))
        return hk_numa_nodes() > 1 ? adopt_orphan_slab(heap, cls, true) : NULL;
    hk_poke(&heap->slabs, heap->slabs + slab->slabs);
    return slab;
}

/* Makes another slab the active one, in place of an exhausted one; false: none without growing, or no memory. */
static bool next_active(struct hk_heap *heap, unsigned cls, bool may_grow, struct hk_slab **strays)
{
    struct hk_heap_class *c = &heap->cls[cls];
    if (HK_UNLIKELY(hk_numa_nodes() > 1) && heap != &hk_orphan_heap) {
        unsigned node = hk_numa_node();
        if (node != heap->node)
            hk_heap_move_locked(heap, node);
    }
    struct hk_slab *slab = *strays ? NULL : find_partial(heap, cls, strays);
    /* The collect may have given the active slab itself blocks. */
    if (slab == NULL && c->active != NULL && !hk_slab_is_exhausted(c->active))
        return true;
    if (slab == NULL && may_grow)
        slab = take_from_pool(heap, cls);
    if (slab == NULL)
        return false;
    if (c->active != NULL)
        hk_heap_displace(heap, c->active); /* not always FULL: a collect may just have given it blocks */
    HK_EXPENSIVE(hk_slab_check(slab));
    hk_poke_release(&slab->state, HK_SLAB_ACTIVE); /* pairs with give_slab: the owner was set before */
    c->active = slab;
    return true;
}

unsigned hk_heap_take(struct hk_heap *heap, unsigned cls, void **top, unsigned n)
{
    struct hk_slab *strays = NULL;
    unsigned got = 0;
    if (HK_UNLIKELY(hk_load_relaxed(&hk_heap_forked)))
        hk_heap_abandon_forked();
    hk_lock(&heap->lock);
    hk_poke_add(&heap->refills, 1);
    do {
        struct hk_slab *active = heap->cls[cls].active;
        if (active != NULL) {
            uint32_t before = active->used;
            got += hk_slab_take(active, top - got, n - got);
            hk_heap_count_used(heap, active, before);
        }
    } while (got < n && (got == 0 || hk_slab_is_exhausted(heap->cls[cls].active)) &&
             next_active(heap, cls, got == 0, &strays));
    hk_heap_tell(heap);
    hk_unlock(&heap->lock);
    if (HK_UNLIKELY(strays != NULL))
        hk_heap_forward(strays);
    return got;
}

void *hk_heap_take_zero(struct hk_heap *heap, unsigned cls)
{
    struct hk_slab *strays = NULL;
    void *block = NULL;
    hk_lock(&heap->lock);
    struct hk_slab *active = heap->cls[cls].active;
    if ((active != NULL && !hk_slab_is_exhausted(active)) || next_active(heap, cls, true, &strays)) {
        active = heap->cls[cls].active;
        uint32_t before = active->used;
        block = hk_slab_take_zero(active);
        hk_heap_count_used(heap, active, before);
    }
    hk_unlock(&heap->lock);
    if (strays != NULL)
        hk_heap_forward(strays);
    return block;
}

/* ---- give ---- */

/* Collects on behalf of owners that sleep (if nobody works on them now) or are gone (nobody else would). */
static void collect_for(struct hk_remote_sent *sent)
{
    for (unsigned i = 0; i < sent->owners; i++) {
        struct hk_heap *heap = hk_heap_of(sent->owner[i]);
        if (hk_load_relaxed(&heap->owner.state) != HK_OWNER_ALIVE)
            hk_lock(&heap->lock);
        else if (!hk_try_lock(&heap->lock))
            continue;
        struct hk_slab *strays = hk_heap_collect_locked(heap);
        hk_unlock(&heap->lock);
        hk_heap_forward(strays);
    }
    sent->owners = 0;
}

/* The blocks [i, end of the run) lie in what was carved of one slab of ours. Returns the end. */
static unsigned give_own(struct hk_heap *heap, struct hk_slab *slab, void **blocks, unsigned i, unsigned n)
{
    unsigned first = i;
    uintptr_t base = (uintptr_t)hk_slab_base(slab), length = hk_slab_length_out(slab);
    do {
        hk_slab_put(slab, blocks[i]);
        i++;
    } while (i < n && (uintptr_t)blocks[i] - base < length);
    HK_ASSERT(slab->used >= i - first);
    hk_poke_sub(&slab->used, i - first);
    hk_poke(&heap->used, heap->used - (size_t)(i - first) * slab->block_size);
    hk_heap_settle(heap, slab);
    return i;
}

unsigned hk_heap_give(struct hk_heap *heap, void **blocks, unsigned n)
{
    struct hk_remote_batch batch;
    struct hk_slab *before = NULL;
    unsigned changes = 0;
    hk_remote_begin(&batch);
    hk_lock(&heap->lock);
    hk_poke_add(&heap->flushes, 1);
    for (unsigned i = 0; i < n;) {
        struct hk_slab *slab = hk_slab_of(blocks[i]);
        changes += slab != before;
        before = slab;
        if (HK_UNLIKELY(!hk_slab_was_out(slab, blocks[i]))) {
            hk_wild_note(blocks[i++]);
            continue;
        }
        if (hk_slab_owner(slab) == &heap->owner) /* stays so: we hold the lock */
            i = give_own(heap, slab, blocks, i, n);
        else
            i = hk_remote_add(&batch, slab, blocks, i, n);
        if (HK_UNLIKELY(hk_remote_is_full(&batch.sent))) {
            hk_unlock(&heap->lock);
            collect_for(&batch.sent);
            hk_lock(&heap->lock);
        }
    }
    hk_heap_tell(heap);
    hk_unlock(&heap->lock);
    hk_remote_end(&batch);
    if (HK_UNLIKELY(batch.sent.owners != 0))
        collect_for(&batch.sent);
    hk_poke(&heap->chains, hk_peek(&heap->chains) + batch.sent.chains);
    return changes;
}

void hk_heap_activate_locked(struct hk_heap *heap, struct hk_slab *slab)
{
    struct hk_heap_class *c = &heap->cls[slab->cls];
    struct hk_slab *before = c->active;
    hk_list_remove(&slab->node);
    hk_poke(&slab->state, HK_SLAB_ACTIVE);
    c->active = slab;
    if (before != NULL)
        hk_heap_displace(heap, before);
}
