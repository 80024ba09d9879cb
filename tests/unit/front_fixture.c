/* SPDX-License-Identifier: MIT */
#include "front_fixture.h"

#include "box/pool.h"

void *front_malloc(size_t size)
{
    return hk_malloc_fast(size, hk_malloc_slow);
}

void front_free(void *ptr)
{
    hk_free_fast(ptr);
}

void *front_take(size_t size)
{
    void *p = front_malloc(size);
    EXPECT(p != NULL && (uintptr_t)p % 16 == 0);
    EXPECT(hk_block_size(p, "malloc_usable_size") >= size);
    return p;
}

struct hk_thread *front_self(void)
{
    struct hk_thread *thread = hk_front_thread();
    EXPECT(thread != NULL);
    return thread;
}

size_t front_held(void)
{
    size_t held = 0;
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++)
        held += hk_front_count(front_self(), cls) * hk_class_size(cls);
    return held;
}

static void count_owned(void *ctx, struct hk_superslab *ss)
{
    *(unsigned *)ctx += HK_SLABS - (unsigned)__builtin_popcount(ss->empty_mask | ss->unused_mask);
}

unsigned front_owned_slabs(void)
{
    unsigned owned = 0;
    hk_pool_visit(count_owned, &owned);
    return owned;
}
