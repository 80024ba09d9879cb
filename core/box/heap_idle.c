/* SPDX-License-Identifier: MIT
 *
 * What is done with heaps that are not at work: a thread only frees, or somebody sweeps on behalf of threads that
 * sleep.
 */
#include "base/options.h"
#include "box/heap_priv.h"
#include "heap_lists_inner.h"
#include "os/os.h"

/* Merges slabs that changed hands between the push and the collect. No lock is held. */
void hk_heap_forward(struct hk_slab *strays)
{
    for (struct hk_slab *slab = strays, *next; slab != NULL; slab = next) {
        next = slab->wake_next;
        for (bool done = false; !done;) {
            struct hk_heap *heap = hk_heap_of(hk_slab_owner(slab));
            hk_lock(&heap->lock);
            done = hk_slab_owner(slab) == &heap->owner;
            if (done)
                hk_heap_merge_locked(heap, slab);
            hk_unlock(&heap->lock);
        }
    }
}

void hk_heap_let_go(struct hk_heap *heap, struct hk_slab *slab)
{
    hk_lock(&heap->lock);
    if (hk_slab_owner(slab) == &heap->owner && heap->cls[hk_peek(&slab->cls)].active == slab && slab->used == 0) {
        heap->cls[slab->cls].active = NULL;
        hk_heap_release_locked(heap, slab);
    }
    hk_unlock(&heap->lock);
}

void hk_heap_release_unused(struct hk_heap *heap)
{
    hk_lock(&heap->lock);
    hk_heap_release_unused_locked(heap);
    hk_unlock(&heap->lock);
}

void hk_heap_sweep_one(struct hk_heap *heap)
{
    hk_lock(&heap->lock);
    struct hk_slab *strays = hk_heap_collect_locked(heap);
    hk_heap_reclaim_locked(heap);
    hk_heap_release_unused_locked(heap);
    hk_unlock(&heap->lock);
    hk_heap_forward(strays);
}

void hk_heap_sweep(void)
{
    for (struct hk_heap *heap = NULL; (heap = hk_heap_next(heap)) != NULL;)
        hk_heap_sweep_one(heap);
}

/* ---- pages of free blocks ---- */

/* A SuperSlab that is looked at counts as so many bytes given, whether something goes or not: there may be many of
 * which nothing does, or the system may refuse. */
#define LOOK_COSTS HK_SLAB_SIZE

/* Gives whole pages back, in calls of no more than a slab has: the heap's lock is held. Returns the bytes that went
 * before the system refused. */
static size_t give_in_steps(char *first, const char *end)
{
    char *at = first;
    for (size_t step; at < end; at += step) {
        step = hk_min((size_t)(end - at), HK_SLAB_SIZE);
        if (!hk_os_purge(at, step))
            break;
    }
    return (size_t)(at - first);
}

/* The whole pages of a free block behind the words that it needs. Returns their bytes; 0: it has none, they went, or
 * the system refuses. What was refused a part is asked for again. */
static size_t give_inner_pages(char *block, size_t size)
{
    uintptr_t *third = (uintptr_t *)(void *)block + 2;
    size_t page = hk_os_page_size();
    char *first = (char *)(((uintptr_t)(third + 1) + page - 1) & ~(page - 1));
    char *end = (char *)((uintptr_t)(block + size) & ~(page - 1));
    if (first >= end || *third == (uintptr_t)block + HK_GIVEN_MARK)
        return 0;
    size_t given = give_in_steps(first, end);
    if (given == (size_t)(end - first))
        *third = (uintptr_t)block + HK_GIVEN_MARK;
    return given;
}

static size_t give_list(const struct hk_slab *slab, void *block)
{
    size_t given = 0;
    for (unsigned i = 0; i < slab->capacity && block != NULL && hk_slab_link_is_sane(slab, block); i++) {
        void *next = hk_link_of(block);
        given += give_inner_pages(block, slab->block_size);
        block = next;
    }
    return given;
}

/* A slab of Mid blocks: a few of them. The lock is not held for more. */
static size_t give_slab(struct hk_slab *slab)
{
    if (hk_peek(&slab->state) == HK_SLAB_FREE || hk_peek(&slab->state) == HK_SLAB_FULL)
        return 0; /* a hint */
    struct hk_heap *heap = hk_heap_of(hk_slab_owner(slab));
    size_t given = 0;
    hk_lock(&heap->lock);
    /* In this order, since a slab keeps its owner while it lies in the pool: one that is in use, and belongs to a heap
     * whose lock is held, stays so. Pairs with next_active. */
    if (hk_peek_acquire(&slab->state) != HK_SLAB_FREE && hk_slab_owner(slab) == &heap->owner &&
        slab->block_size >= HK_GIVEN_FROM)
        given = give_list(slab, slab->free) + give_list(slab, slab->spare);
    hk_unlock(&heap->lock);
    return given;
}

static size_t give_superslab(struct hk_superslab *ss)
{
    size_t given = 0;
    for (unsigned i = 0; i < HK_SLABS; i++) {
        if (hk_peek(&ss->slab[i].cls) > HK_TINY_LAST && hk_peek(&ss->slab[i].head) == 0 &&
            hk_load_relaxed(&ss->owner[i]) != NULL)
            given += give_slab(&ss->slab[i]);
    }
    return given;
}

size_t hk_heap_give_pages(size_t *at, size_t most)
{
    size_t given = 0, looked = 0, unit = *at, units = hk_peek_acquire(&hk_space_units); /* pairs with begin_at */
    if (hk_opt(HK_OPT_THP) != 0)
        units = 0; /* the system would make them whole again */
    for (; unit < units && given + looked < most; unit++) {
        struct hk_superslab *ss = hk_registry_superslab(hk_space_address(unit));
        looked += LOOK_COSTS;
        if (ss != NULL && !hk_peek(&ss->huge))
            given += give_superslab(ss);
    }
    *at = unit < units ? unit : 0;
    return given;
}
