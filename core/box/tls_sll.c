/* SPDX-License-Identifier: MIT */
#include "box/tls_sll.h"

#include "base/assert.h"

/* Blocks that go to and from the heap at once: on the stack meanwhile. */
#define BATCH 64u

void hk_sll_broken(unsigned cls, const void *link)
{
    hk_misuse(HK_MISUSE_CORRUPT, "malloc", link, NULL, hk_class_size(cls));
    __builtin_unreachable(); /* a broken list ends the process whatever HAKMEM_MISUSE says */
}

/* The block that a link of a list leads to. */
static void *checked(void *link, unsigned cls)
{
    if (HK_UNLIKELY(hk_registry_code(link) == 0))
        hk_sll_broken(cls, link);
    return link;
}

unsigned hk_sll_take(struct hk_sll *list, unsigned cls, void **top, unsigned n)
{
    unsigned got = (unsigned)hk_min(n, list->count);
    void *block = list->first;
    for (unsigned i = 0; i < got; i++) {
        top[-(ptrdiff_t)i] = checked(block, cls);
        block = *(void **)block;
    }
    list->first = block;
    list->count = (uint16_t)(list->count - got);
    return got;
}

void hk_sll_put(struct hk_sll *list, void *const *blocks, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        *(void **)blocks[i] = list->first;
        list->first = blocks[i];
    }
    list->count = (uint16_t)(list->count + n);
}

unsigned hk_sll_refill(struct hk_sll *list, struct hk_heap *heap, unsigned cls, unsigned n)
{
    void *blocks[BATCH];
    if (list->count != 0) /* hk_sll_pop found no block where one should be */
        hk_sll_broken(cls, list->first);
    n = (unsigned)hk_min(n, BATCH);
    unsigned got = hk_transfer_or_take(heap, cls, blocks + n - 1, n);
    hk_sll_put(list, blocks + n - got, got);
    return got;
}

unsigned hk_sll_flush(struct hk_sll *list, struct hk_heap *heap, unsigned cls, unsigned n)
{
    void *blocks[BATCH];
    unsigned slabs = 0, keep = list->count - n;
    HK_ASSERT(n <= list->count);
    /* Cuts the list behind the blocks that stay. */
    void *last = NULL, *oldest = list->first;
    for (unsigned i = 0; i < keep; i++) {
        last = checked(oldest, cls);
        oldest = *(void **)last;
    }
    if (keep == 0)
        list->first = NULL;
    else
        *(void **)last = NULL;
    list->count = (uint16_t)keep;
    while (n > 0) {
        unsigned batch = (unsigned)hk_min(n, BATCH);
        for (unsigned i = 0; i < batch; i++) {
            blocks[i] = checked(oldest, cls);
            oldest = *(void **)oldest;
        }
        slabs += hk_transfer_or_give(heap, cls, blocks, batch);
        n -= batch;
    }
    return slabs;
}
