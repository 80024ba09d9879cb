/* SPDX-License-Identifier: MIT */
#include "front_fixture.h"

#include "base/options.h"
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

void front_check(void)
{
    struct hk_thread *thread = front_self();
    size_t bytes = 0;
    EXPECT(thread->front == hk_front_mine() && hk_front_mine()->thread == thread);
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        if (!hk_bin_is_set_up(thread, cls))
            continue;
        const struct hk_cap *cap = &thread->own.room.cap[cls];
        EXPECT(hk_front_count(thread, cls) <= cap->now && cap->now <= cap->max);
        front_check_bin(thread, cls);
        bytes += cap->now * hk_class_size(cls);
    }
    EXPECT(bytes == thread->own.room.bytes);
    for (size_t i = 0; i < sizeof thread->front->bin[0]; i++)
        EXPECT(((const char *)&thread->front->bin[0])[i] == 0);
}

void front_check_budget(void)
{
    front_check();
    EXPECT(front_self()->own.room.bytes <= 2 * hk_front_limit(front_self()));
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
