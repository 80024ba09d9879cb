/* SPDX-License-Identifier: MIT
 *
 * Bins and their arrays: refill, flush, and how large a bin may be.
 */
#include "front/front.h"

#include "base/options.h"

#include <string.h>

/* A class starts with so many blocks and doubles at each miss. */
#define CAP_FIRST 8u

/* A thread that has freed so many bytes of a class since it last allocated one only frees: its bin shrinks to CAP_DRAIN and
 * is flushed down to one block. Each block left in a front pins its slab; 32 classes with 64 blocks each would pin 128 MiB of
 * a heap freed in random order. */
#define DRAIN_BYTES ((size_t)256 * 1024)
#define CAP_DRAIN 6u

HK_TLS struct hk_front hk_front_tls __attribute__((used)); /* named in HK_TLS_PTR's assembly */

unsigned hk_front_max(unsigned cls)
{
    size_t size = hk_class_size(cls);
    if (cls <= HK_TINY_LAST)
        return (unsigned)hk_min(hk_max(16384 / size, 16), 64);
    return (unsigned)hk_min(hk_max(32768 / size, 1), 8);
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
    cache->drained = 0;
}

/* Gives the oldest `n` blocks of a bin back to the slabs. */
static void flush(struct hk_thread *thread, unsigned cls, unsigned n)
{
    struct hk_cache *cache = &thread->cache[cls];
    struct hk_bin *bin = &thread->front->bin[cls];
    unsigned left = hk_front_count(thread, cls) - n;
    hk_heap_give(&thread->heap, cache->base + 1, n);
    memmove(cache->base + 1, cache->base + 1 + n, left * sizeof(void *));
    bin->cur = cache->base + left;
    cache->flushes++;
    cache->flushed += n;
}

/* Takes room from a bin that has not missed lately, half of what it has. */
static void shrink(struct hk_thread *thread, unsigned cls)
{
    unsigned cap = thread->cache[cls].cap / 2u;
    unsigned count = hk_front_count(thread, cls);
    if (count > cap)
        flush(thread, cls, count - cap);
    set_cap(thread, cls, cap);
}

/* Finds room for `more` bytes within HAKMEM_FRONT_BYTES; one round of the hand over all classes at most. */
static bool find_room(struct hk_thread *thread, unsigned cls, size_t more)
{
    size_t limit = (size_t)hk_opt(HK_OPT_FRONT_BYTES);
    for (unsigned i = 0; i < HK_CLASS_COUNT && thread->bytes + more > limit; i++) {
        thread->hand = thread->hand % (HK_CLASS_COUNT - 1) + 1;
        struct hk_cache *victim = &thread->cache[thread->hand];
        if (thread->hand == cls || victim->cap < 2)
            continue;
        if (!victim->missed)
            shrink(thread, thread->hand);
        victim->missed = false;
    }
    return thread->bytes + more <= limit;
}

/* A miss asks for twice the room, as far as the class's maximum and the thread's budget allow. */
static void grow(struct hk_thread *thread, unsigned cls)
{
    struct hk_cache *cache = &thread->cache[cls];
    unsigned most = (unsigned)hk_min(cache->max, (size_t)hk_opt(HK_OPT_FRONT_V2_CAP));
    unsigned cap = (unsigned)hk_min(hk_max(cache->cap * 2u, CAP_FIRST), most);
    cache->missed = true;
    if (cap > cache->cap && find_room(thread, cls, (cap - cache->cap) * hk_class_size(cls)))
        set_cap(thread, cls, cap);
}

void *hk_front_refill(struct hk_thread *thread, unsigned cls)
{
    struct hk_cache *cache = &thread->cache[cls];
    struct hk_bin *bin = &thread->front->bin[cls];
    if (bin->cur == NULL)
        set_up(thread, cls);
    cache->drained = 0;
    grow(thread, cls);
    unsigned n = hk_max(cache->cap / 2u, 1);
    unsigned got = hk_heap_take(&thread->heap, cls, cache->base + n, n);
    if (got == 0)
        return NULL;
    if (got < n)
        memmove(cache->base + 1, cache->base + 1 + n - got, got * sizeof(void *));
    cache->refills++;
    cache->refilled += got;
    bin->cur = cache->base + got - 1;
    return bin->cur[1];
}

void hk_front_make_room(struct hk_thread *thread, unsigned cls)
{
    struct hk_cache *cache = &thread->cache[cls];
    if (thread->front->bin[cls].cur == NULL)
        set_up(thread, cls);
    if (cache->drained < DRAIN_BYTES)
        grow(thread, cls);
    unsigned count = hk_front_count(thread, cls);
    if (count < cache->cap)
        return;
    bool drain = cache->drained >= DRAIN_BYTES;
    unsigned n = drain && count > 1 ? count - 1 : (count + 1) / 2;
    if (count != 0)
        flush(thread, cls, n);
    cache->drained += n * hk_class_size(cls);
    if (drain && cache->cap > CAP_DRAIN)
        set_cap(thread, cls, CAP_DRAIN);
    /* The budget gave this class nothing: one block then, so that the caller can go on. */
    if (cache->cap == 0)
        set_cap(thread, cls, 1);
}

void hk_front_flush_all(struct hk_thread *thread)
{
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        unsigned count = hk_front_count(thread, cls);
        if (count != 0)
            flush(thread, cls, count);
    }
}
