/* SPDX-License-Identifier: MIT */
#include "heap_fixture.h"

#include "box/pool.h"
#include "pages/meta.h"

#define MOST 8192u

struct hk_heap *fixture_heap(void)
{
    struct hk_heap *heap = hk_heap_reuse();
    if (heap == NULL)
        heap = hk_meta_alloc(sizeof(struct hk_heap));
    EXPECT(heap != NULL);
    hk_heap_begin(heap);
    return heap;
}

void fixture_end(struct hk_heap *heap)
{
    hk_heap_end(heap);
    hk_heap_retire(heap);
}

/* Batches need not be full: a batch that has begun is not completed by growing. */
void fixture_take(struct hk_heap *heap, unsigned cls, void **blocks, unsigned n)
{
    void *array[64];
    for (unsigned got = 0; got < n;) {
        unsigned want = (unsigned)hk_min(n - got, HK_COUNT(array));
        unsigned part = hk_heap_take(heap, cls, &array[HK_COUNT(array) - 1], want);
        EXPECT(part > 0 && part <= want);
        for (unsigned i = 0; i < part; i++)
            blocks[got++] = array[HK_COUNT(array) - 1 - i];
    }
}

static size_t check_slabs(const struct hk_list *list, bool exhausted, size_t *used)
{
    size_t slabs = 0;
    for (struct hk_node *node = list->first; node != NULL; node = node->next) {
        struct hk_slab *slab = HK_CONTAINER(node, struct hk_slab, node);
        EXPECT(hk_slab_is_exhausted(slab) == exhausted);
        slabs += slab->slabs;
        *used += (size_t)slab->used * slab->block_size;
    }
    return slabs;
}

void fixture_check(struct hk_heap *heap)
{
    EXPECT(hk_heap_check(heap));
    size_t used = 0, slabs = check_slabs(&heap->full, true, &used);
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        const struct hk_slab *active = heap->cls[cls].active;
        slabs += check_slabs(&heap->cls[cls].partial, false, &used);
        slabs += active != NULL ? active->slabs : 0;
        used += active != NULL ? (size_t)active->used * active->block_size : 0;
    }
    EXPECT(slabs == heap->slabs);
    EXPECT(used == heap->used || HK_FRONT_SLAB); /* not counted with private lists */
    EXPECT(hk_pool_check());
}

static void count_owned(void *ctx, struct hk_superslab *ss)
{
    *(unsigned *)ctx += HK_SLABS - (unsigned)__builtin_popcount(ss->empty_mask | ss->unused_mask);
}

unsigned fixture_owned_slabs(void)
{
    unsigned owned = 0;
    hk_pool_visit(count_owned, &owned);
    return owned;
}
