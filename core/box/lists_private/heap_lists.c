/* SPDX-License-Identifier: MIT */
#include "box/heap_lists.h"

#include "box/heap_priv.h"
#include "heap_lists_inner.h"

/* Takes up to n blocks one by one, virgin ones too, and links them: the first is the first. */
static unsigned take_linked(struct hk_slab *slab, unsigned n, void **first)
{
    void *blocks[HK_LIST_BATCH];
    n = (unsigned)hk_min(n, HK_LIST_BATCH);
    unsigned got = hk_slab_take(slab, blocks + n - 1, n);
    *first = NULL;
    for (unsigned i = n - got; i < n; i++) {
        *(void **)blocks[i] = *first;
        *first = blocks[i];
    }
    return got;
}

struct hk_slab *hk_heap_take_list(struct hk_heap *heap, unsigned cls, unsigned n, void **first, unsigned *count)
{
    hk_lock(&heap->lock);
    struct hk_slab *slab = heap->cls[cls].active;
    *count = 0;
    hk_poke_add(&heap->refills, 1);
    if (slab != NULL) {
        uint32_t before = slab->used;
        struct hk_private *list = hk_private_of(slab);
        *first = list->first;
        *count = hk_private_count(list);
        hk_private_close(list);
        /* Whoever takes the list takes its first link with it; where no block is on it, nobody else would look at that.
         */
        if (*count == 0 && slab->free != NULL && HK_UNLIKELY(!hk_slab_link_is_sane(slab, slab->free)))
            hk_slab_give_up(slab, 0);
        if (*count == 0 && slab->free != NULL && slab->spare == NULL) {
            *first = slab->free;
            *count = slab->carved - slab->used;
            slab->free = NULL;
            hk_poke(&slab->used, slab->carved);
        } else if (*count == 0) {
            *count = take_linked(slab, n, first);
        }
        hk_heap_count_used(heap, slab, before);
        hk_heap_tell(heap);
        HK_EXPENSIVE(hk_slab_check(slab));
    }
    hk_unlock(&heap->lock);
    return *count != 0 ? slab : NULL;
}

unsigned hk_heap_free_own(struct hk_heap *heap, struct hk_slab *slab, void *block, const void *thread)
{
    hk_lock(&heap->lock);
    struct hk_private *list = hk_private_of(slab);
    unsigned count = hk_private_count(list) + 1;
    hk_poke_add(&heap->flushes, 1);
    if (slab->used == count) {
        hk_poke(&slab->used, 0);
        hk_heap_count_used(heap, slab, count);
        hk_private_close(list);
        hk_heap_settle(heap, slab);
    } else {
        hk_heap_put_private(heap, slab);
        hk_slab_put(slab, block);
        hk_poke_sub(&slab->used, 1);
        hk_heap_count_used(heap, slab, slab->used + 1);
        hk_private_open(list, thread, slab->used);
        HK_EXPENSIVE(hk_slab_check(slab));
        hk_heap_settle(heap, slab);
    }
    hk_heap_tell(heap);
    hk_unlock(&heap->lock);
    return count;
}

/* The blocks are counted where they lie: in the child of a fork the thread may have been in the middle of a push. */
unsigned hk_heap_put_private(struct hk_heap *heap, struct hk_slab *slab)
{
    struct hk_private *list = hk_private_of(slab);
    void **link = &list->first;
    unsigned n = 0;
    for (void *block; (block = *link) != NULL;) {
        if (HK_UNLIKELY(!hk_slab_link_is_sane(slab, block) || n == slab->used)) {
            hk_corrupt_note(slab->base, slab->block_size);
            n = 0;
            break;
        }
        if (HK_UNLIKELY(!hk_slab_was_out(slab, block))) {
            hk_wild_note(block);
            *link = *(void **)block;
            continue;
        }
        link = block;
        n++;
    }
    if (n != 0) {
        hk_slab_put_chain(slab, list->first, n);
        hk_heap_count_used(heap, slab, slab->used + n);
    }
    hk_private_close(list);
    return n;
}

/* Calls `visit` for each slab of the heap; it may move or release that slab. */
static void each_slab(struct hk_heap *heap, struct hk_list *list,
                      void (*visit)(struct hk_heap *heap, struct hk_slab *slab))
{
    for (struct hk_node *node = list->first, *next; node != NULL; node = next) {
        next = node->next;
        visit(heap, HK_CONTAINER(node, struct hk_slab, node));
    }
}

static void close_list(struct hk_heap *heap, struct hk_slab *slab)
{
    if (hk_heap_put_private(heap, slab) != 0)
        hk_heap_settle(heap, slab);
}

void hk_heap_close_lists(struct hk_heap *heap)
{
    hk_lock(&heap->lock);
    each_slab(heap, &heap->full, close_list);
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        each_slab(heap, &heap->cls[cls].partial, close_list);
        if (heap->cls[cls].active != NULL)
            close_list(heap, heap->cls[cls].active);
    }
    hk_unlock(&heap->lock);
}

static void reclaim_list(struct hk_heap *heap, struct hk_slab *slab)
{
    if (hk_private_count(hk_private_of(slab)) == slab->used)
        hk_heap_settle(heap, slab);
}

void hk_heap_reclaim_locked(struct hk_heap *heap)
{
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        each_slab(heap, &heap->cls[cls].partial, reclaim_list);
        if (heap->cls[cls].active != NULL)
            reclaim_list(heap, heap->cls[cls].active);
    }
}

unsigned hk_heap_count_lists(struct hk_heap *heap, unsigned cls)
{
    unsigned n = 0;
    hk_lock(&heap->lock);
    for (struct hk_node *node = heap->cls[cls].partial.first; node != NULL; node = node->next)
        n += hk_private_count(hk_private_of(HK_CONTAINER(node, struct hk_slab, node)));
    if (heap->cls[cls].active != NULL)
        n += hk_private_count(hk_private_of(heap->cls[cls].active));
    hk_unlock(&heap->lock);
    return n;
}
