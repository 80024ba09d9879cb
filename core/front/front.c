/* SPDX-License-Identifier: MIT
 *
 * Bins and their arrays: refill, flush, and how large a bin may be.
 */
#include "front/front.h"

#include "base/options.h"

#include <string.h>

/* A class starts with so many blocks and grows by half at each miss. */
#define CAP_FIRST 8u

/* Each block left in a front pins its slab: 32 classes with 64 blocks each could pin 128 MiB of a heap that is freed in
 * random order. So a thread whose flushes find their blocks scattered over many slabs, without refills between them, is
 * in a drain: its tiny bins shrink to CAP_DRAIN and are flushed down to one block, its Mid bins are closed. Blocks
 * freed in order lie together and pin next to nothing. A scattered flush counts one, a refill takes REFILL_WEIGHT back.
 */
#define DRAIN_FLUSHES 32u
#define REFILL_WEIGHT 4u
#define CAP_DRAIN 6u

#define REFILL_BYTES ((size_t)16384)

/* Bins that the budget's hand looks at for one miss, and flushes between two looks at what the front holds. */
#define HAND_STEPS 3u
#define ASK_MISSES 8u
#define BOUND_FLUSHES 16u

HK_TLS struct hk_front hk_front_tls __attribute__((used)); /* named in HK_TLS_PTR's assembly */

/* A bin that is half full misses after (cap / 2)^2 operations of its class on the average, so room pays quadratically.
 */
unsigned hk_front_max(unsigned cls)
{
    size_t size = hk_class_size(cls);
    if (cls <= HK_TINY_LAST)
        return (unsigned)hk_min(hk_max(32768 / size, 16), 64);
    return 16;
}

size_t hk_front_limit(const struct hk_thread *thread)
{
    size_t limit = (size_t)hk_opt(HK_OPT_FRONT_BYTES);
    /* Not in a drain: the blocks that bins keep pin the slabs that would allow them to. */
    return thread->draining ? limit : hk_max(limit, thread->heap.slabs * (HK_SLAB_SIZE / 8));
}

static void set_cap(struct hk_thread *thread, unsigned cls, unsigned cap)
{
    struct hk_cache *cache = &thread->cache[cls];
    thread->bytes = thread->bytes + cap * hk_class_size(cls) - cache->cap * hk_class_size(cls);
    cache->cap = (uint16_t)cap;
    thread->front->bin[cls].full16 = (uint16_t)(uintptr_t)(cache->base + cap);
}

/* First use of a class by this thread. */
static void set_up(struct hk_thread *thread, unsigned cls)
{
    struct hk_cache *cache = &thread->cache[cls];
    struct hk_bin *bin = &thread->front->bin[cls];
    if (cache->base == NULL) {
        cache->max = (uint16_t)hk_front_max(cls);
        cache->base = &thread->slots[thread->slots_used];
        thread->slots_used += cache->max + 1u;
        HK_ASSERT(thread->slots_used <= HK_FRONT_SLOTS);
    }
    bin->cur = cache->base;
    bin->empty16 = (uint16_t)(uintptr_t)cache->base;
    bin->full16 = bin->empty16;
    bin->inverse = hk_class_inverse[cls];
    cache->cap = 0;
}

/* Gives the oldest `n` blocks of a bin back to the slabs. */
static void flush(struct hk_thread *thread, unsigned cls, unsigned n)
{
    struct hk_cache *cache = &thread->cache[cls];
    struct hk_bin *bin = &thread->front->bin[cls];
    unsigned left = hk_front_count(thread, cls) - n;
    unsigned slabs = hk_heap_give(&thread->heap, cache->base + 1, n);
    memmove(cache->base + 1, cache->base + 1 + n, left * sizeof(void *));
    bin->cur = cache->base + left;
    cache->flushes++;
    cache->flushed += n;
    if (slabs * 4 > n + 3)
        thread->scattered++;
}

/* Takes half of a bin's room. */
static void shrink(struct hk_thread *thread, unsigned cls)
{
    unsigned cap = thread->cache[cls].cap / 2u;
    unsigned count = hk_front_count(thread, cls);
    if (count > cap)
        flush(thread, cls, count - cap);
    set_cap(thread, cls, cap);
}

/* Finds room for `more` bytes: takes it from bins that miss less than a quarter as often. The hand looks at a few bins
 * only: a bin that misses on will be here again soon. */
static bool find_room(struct hk_thread *thread, unsigned cls, size_t more)
{
    size_t limit = 2 * hk_front_limit(thread);
    for (unsigned i = 0; i < HAND_STEPS && thread->bytes + more > limit; i++) {
        thread->hand = thread->hand % (HK_CLASS_COUNT - 1) + 1;
        struct hk_cache *victim = &thread->cache[thread->hand];
        if (thread->hand != cls && victim->cap >= 2 && victim->misses < thread->cache[cls].misses / 4)
            shrink(thread, thread->hand);
        victim->misses /= 2;
    }
    return thread->bytes + more <= limit;
}

/* A miss asks for half as much room again, as far as the class's maximum and the thread's budget allow. Where the
 * budget is used up it asks only now and then. */
void hk_front_missed(struct hk_thread *thread, unsigned cls)
{
    struct hk_cache *cache = &thread->cache[cls];
    size_t size = hk_class_size(cls);
    cache->misses += cache->misses < UINT16_MAX;
    if (thread->draining || (thread->bytes + size > 2 * hk_front_limit(thread) && cache->misses % ASK_MISSES != 0))
        return;
    unsigned most = (unsigned)hk_min(cache->max, (size_t)hk_opt(HK_OPT_FRONT_V2_CAP));
    unsigned first = cls <= HK_TINY_LAST ? CAP_FIRST : 2;
    unsigned cap = (unsigned)hk_min(hk_max(cache->cap + (cache->cap + 1u) / 2, first), most);
    if (cap > cache->cap && find_room(thread, cls, (cap - cache->cap) * size))
        set_cap(thread, cls, cap);
}

void hk_front_trim(struct hk_thread *thread)
{
    while (thread->bytes > 2 * hk_front_limit(thread)) { /* flushes lower it */
        thread->hand = thread->hand % (HK_CLASS_COUNT - 1) + 1;
        if (thread->cache[thread->hand].cap > 0)
            shrink(thread, thread->hand);
    }
}

/* Every few flushes: does the front hold more than it may? Then each bin gives half of what it holds. */
static void bound(struct hk_thread *thread)
{
    size_t limit = hk_front_limit(thread), held = 0;
    if (++thread->flushes % BOUND_FLUSHES != 0 || thread->bytes <= limit)
        return;
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++)
        held += hk_front_count(thread, cls) * hk_class_size(cls);
    for (unsigned cls = 1; cls < HK_CLASS_COUNT && held > limit; cls++) {
        unsigned half = hk_front_count(thread, cls) / 2;
        if (half > 0)
            flush(thread, cls, half);
        held -= half * hk_class_size(cls);
    }
}

/* Leaves every tiny bin one block and little room; Mid blocks go straight to their slabs. */
static void drain_all(struct hk_thread *thread)
{
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        unsigned keep = cls <= HK_TINY_LAST ? 1 : 0, cap = cls <= HK_TINY_LAST ? CAP_DRAIN : 0;
        unsigned count = hk_front_count(thread, cls);
        if (count > keep)
            flush(thread, cls, count - keep);
        if (thread->front->bin[cls].cur != NULL && thread->cache[cls].cap > cap)
            set_cap(thread, cls, cap);
    }
    thread->draining = true;
}

void *hk_front_refill(struct hk_thread *thread, unsigned cls)
{
    struct hk_cache *cache = &thread->cache[cls];
    struct hk_bin *bin = &thread->front->bin[cls];
    if (bin->cur == NULL)
        set_up(thread, cls);
    thread->scattered = (unsigned)hk_min(thread->scattered, DRAIN_FLUSHES);
    thread->scattered -= (unsigned)hk_min(thread->scattered, REFILL_WEIGHT);
    thread->draining = false;
    hk_front_missed(thread, cls);
    /* Half of what fits; of large blocks no more than 16 KiB, which would be memory that nobody has asked for yet. */
    unsigned n = (unsigned)hk_max(hk_min(cache->cap / 2u, REFILL_BYTES / hk_class_size(cls)), 1);
    unsigned got = hk_heap_take(&thread->heap, cls, cache->base + n, n);
    if (got == 0)
        return NULL;
    if (got < n)
        memmove(cache->base + 1, cache->base + 1 + n - got, got * sizeof(void *));
    cache->refills++;
    cache->refilled += got;
    bin->cur = cache->base + got - 1;
    void *block = bin->cur[1];
    hk_front_trim(thread);
    return block;
}

void hk_front_make_room(struct hk_thread *thread, unsigned cls)
{
    struct hk_cache *cache = &thread->cache[cls];
    if (thread->front->bin[cls].cur == NULL)
        set_up(thread, cls);
    hk_front_missed(thread, cls);
    unsigned count = hk_front_count(thread, cls);
    if (count < cache->cap)
        return;
    if (count != 0)
        flush(thread, cls, thread->draining && count > 1 ? count - 1 : (count + 1) / 2);
    if (!thread->draining && thread->scattered >= DRAIN_FLUSHES)
        drain_all(thread);
    bound(thread);
}

void hk_front_flush_all(struct hk_thread *thread)
{
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        unsigned count = hk_front_count(thread, cls);
        if (count != 0)
            flush(thread, cls, count);
    }
}
