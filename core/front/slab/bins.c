/* SPDX-License-Identifier: MIT
 *
 * The front that hands out the slabs' own lists: refill and flush.
 *
 * What it holds is not bounded by a number of bytes, but by slabs: one list per class, private lists of slabs that have
 * live blocks, and a few foreign blocks. A slab is released by the free of its last live block.
 */
#include "base/options.h"
#include "box/heap_lists.h"
#include "front/front.h"
#include "box/pool.h"
#include "pages/ss_arena_source.h"

/* Virgin memory is linked in steps of so many bytes: it is about to be used. */
#define STEP_BYTES ((size_t)4096)

/* Longer spans hold few blocks, and a bin tells slabs apart and not spans. */
bool hk_front_is_bypassed(const struct hk_thread *thread, unsigned cls)
{
    return hk_class_slabs(cls) > 1;
}

/* Forgets a list one of whose links leads out of its slab: its blocks count as used for ever. */
static HK_SLOW_PATH void give_up_bin(struct hk_bin *bin)
{
    const struct hk_slab *slab = hk_slab_of((const void *)(((uintptr_t)bin->slab - 1) * HK_SLAB_SIZE));
    hk_corrupt_note(slab->base, slab->block_size);
    bin->list = NULL;
}

static bool leads_out(const struct hk_bin *bin)
{
    return bin->list != NULL && hk_bin_slab(bin->list) != bin->slab;
}

static void *take_past_bin(struct hk_thread *thread, unsigned cls)
{
    void *block = hk_heap_take_one(&thread->heap, cls);
    if (block == NULL && hk_heap_take(&thread->heap, cls, &block, 1) == 0)
        return NULL;
    hk_front_count_refill(thread, cls, 1);
    return block;
}

/* Takes a list from the active slab into the empty bin; returns its length. */
static unsigned take_list(struct hk_thread *thread, unsigned cls)
{
    struct hk_bin *bin = &thread->front->bin[cls];
    unsigned count, step = (unsigned)hk_max(STEP_BYTES / hk_class_size(cls), 1);
    void *first;
    struct hk_slab *slab = hk_heap_take_list(&thread->heap, cls, step, &first, &count);
    bin->inverse = hk_class_inverse[cls];
    if (slab == NULL)
        return 0;
    bin->list = first;
    bin->slab = hk_bin_slab(hk_slab_base(slab));
    return count;
}

void *hk_front_refill(struct hk_thread *thread, unsigned cls)
{
    struct hk_bin *bin = &thread->front->bin[cls];
    void *block = NULL;
    unsigned taken = 0;
    if (hk_front_is_bypassed(thread, cls))
        return take_past_bin(thread, cls);
    if (HK_UNLIKELY(leads_out(bin)))
        give_up_bin(bin);
    if (bin->list == NULL)
        taken = take_list(thread, cls);
    if (HK_UNLIKELY(leads_out(bin)))
        give_up_bin(bin);
    if (bin->list == NULL) { /* the heap makes another slab the active one */
        if (hk_heap_take(&thread->heap, cls, &block, 1) == 0)
            return NULL;
        taken = 1 + take_list(thread, cls);
    }
    if (taken != 0)
        hk_front_count_refill(thread, cls, taken);
    if (block == NULL)
        hk_bin_pop(hk_front_bin(hk_front_self(), hk_code_of_class(cls)), &block);
    return block;
}

static void flush_foreign(struct hk_thread *thread)
{
    struct hk_front_own *own = &thread->own;
    unsigned before = 0;
    for (unsigned i = 0; i < own->count; i++) {
        unsigned cls = hk_slab_of(own->foreign[i])->cls;
        hk_poke_add(&thread->metrics[cls].flushes, cls != before);
        hk_poke_add(&thread->metrics[cls].flushed, 1);
        before = cls;
    }
    if (own->count != 0)
        hk_heap_give(&thread->heap, own->foreign, own->count);
    hk_poke(&own->count, 0);
    own->bytes = 0;
}

void hk_front_put(struct hk_thread *thread, struct hk_slab *slab, void *block)
{
    struct hk_front_own *own = &thread->own;
    if (hk_front_is_bypassed(thread, slab->cls)) {
        hk_heap_give_one(&thread->heap, slab, block);
    } else if (hk_slab_owner(slab) == &thread->heap.owner) { /* stays so: we hold a block of it */
        unsigned cls = slab->cls;                            /* of somebody else perhaps, once it is released */
        hk_front_count_flush(thread, cls, hk_heap_free_own(&thread->heap, slab, block, thread));
    } else {
        hk_poke(&own->foreign[own->count], block);
        hk_poke_add(&own->count, 1);
        own->bytes += slab->block_size;
        if (own->count == HK_FOREIGN || own->bytes > (size_t)hk_opt(HK_OPT_FRONT_BYTES))
            flush_foreign(thread);
    }
}

/* The bin's slab may have been released while the bin was empty, and be somebody else's now: the heap asks. */
static void flush_bin(struct hk_thread *thread, unsigned cls)
{
    struct hk_bin *bin = &thread->front->bin[cls];
    void *blocks[HK_LIST_BATCH];
    while (bin->list != NULL) {
        unsigned n = 0;
        for (; n < HK_LIST_BATCH && bin->list != NULL; n++) {
            if (HK_UNLIKELY(leads_out(bin))) {
                give_up_bin(bin);
                break;
            }
            blocks[n] = bin->list;
            bin->list = *(void **)bin->list;
        }
        hk_heap_give(&thread->heap, blocks, n);
        hk_front_count_flush(thread, cls, n);
    }
    bin->slab = 0;
}

void hk_front_flush_all(struct hk_thread *thread)
{
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++)
        flush_bin(thread, cls);
    flush_foreign(thread);
    hk_heap_close_lists(&thread->heap);
}

void hk_front_reset(struct hk_thread *thread)
{
    hk_poke(&thread->own.count, 0);
    thread->own.bytes = 0;
}

/* Another thread may be using the list that is walked here: each step stays in the slab, and there is an end to them.
 * The slab's memory stays mapped, but for SuperSlabs with a mapping of their own, which go under the pool's lock. */
static unsigned bin_count(const struct hk_bin *bin, unsigned cls)
{
    unsigned n = 0;
    uint32_t slab = hk_peek(&bin->slab);
    const void *base = (const void *)((slab - (uintptr_t)1) * HK_SLAB_SIZE);
    if (!hk_arena_has_superslabs())
        hk_lock(hk_pool_lock());
    bool mapped = hk_arena_has_superslabs() || (slab != 0 && hk_registry_superslab(base) != NULL);
    for (void *block = hk_peek(&bin->list); mapped && n < hk_class_capacity(cls); n++) {
        if (hk_bin_slab(block) != slab)
            break;
        block = *(void **)block;
    }
    if (!hk_arena_has_superslabs())
        hk_unlock(hk_pool_lock());
    return n;
}

unsigned hk_front_count(struct hk_thread *thread, unsigned cls)
{
    unsigned n = 0;
    hk_lock(&thread->heap.lock);
    if (hk_load_acquire(&thread->seen) != NULL) /* pairs with the release in make_record */
        n = bin_count(&thread->front->bin[cls], cls);
    hk_unlock(&thread->heap.lock);
    for (unsigned i = 0; i < hk_min(hk_peek(&thread->own.count), HK_FOREIGN); i++)
        n += hk_registry_class(hk_peek(&thread->own.foreign[i])) == cls;
    return n + hk_heap_count_lists(&thread->heap, cls);
}
