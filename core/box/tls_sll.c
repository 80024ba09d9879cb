/* SPDX-License-Identifier: MIT */
#include "box/tls_sll.h"

#include "base/assert.h"

/* The block that should come next is none: the list ends here. */
static HK_SLOW_PATH void give_up(struct hk_sll *list, unsigned cls, const void *link)
{
    hk_corrupt_note(link, hk_class_size(cls));
    list->first = NULL;
    list->count = 0;
}

static bool leads_nowhere(const void *link)
{
    return HK_UNLIKELY(hk_registry_code(link) == 0);
}

unsigned hk_sll_take(struct hk_sll *list, unsigned cls, void **top, unsigned n)
{
    unsigned got = (unsigned)hk_min(n, list->count);
    void *block = list->first;
    for (unsigned i = 0; i < got; i++) {
        if (leads_nowhere(block)) {
            give_up(list, cls, block);
            return i;
        }
        top[-(ptrdiff_t)i] = block;
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

void hk_sll_expect_empty(struct hk_sll *list, unsigned cls)
{
    if (HK_UNLIKELY(list->count != 0)) /* hk_sll_pop found no block where one should be */
        give_up(list, cls, list->first);
}

static void end_after(struct hk_sll *list, void *last, unsigned count)
{
    if (count == 0)
        list->first = NULL;
    else
        *(void **)last = NULL;
    list->count = (uint16_t)count;
}

unsigned hk_sll_take_oldest(struct hk_sll *list, unsigned cls, void **blocks, unsigned n)
{
    unsigned kept = 0, got = 0, keep = list->count - n;
    HK_ASSERT(n <= list->count);
    void *last = NULL, *oldest = list->first;
    for (; kept < keep && !leads_nowhere(oldest); kept++) {
        last = oldest;
        oldest = *(void **)last;
    }
    end_after(list, last, kept);
    for (; got < n && !leads_nowhere(oldest); got++) {
        blocks[got] = oldest;
        oldest = *(void **)oldest;
    }
    if (got < n)
        hk_corrupt_note(oldest, hk_class_size(cls));
    return got;
}
