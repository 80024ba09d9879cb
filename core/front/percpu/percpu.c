/* SPDX-License-Identifier: MIT
 *
 * Refill and flush of shelves, how much they may hold, and who empties them.
 *
 * Blocks move between a shelf and what is behind it by way of an array on the stack, a batch in one sequence: nobody
 * holds a shelf while he waits for a heap, and a thread that is preempted here leaves it to the others. It may come
 * back on another processor: then what it has goes onto that one's shelf, as far as there is room.
 */
#include "front/percpu/shelf.h"

#include "base/options.h"
#include "front/back.h"

#include <string.h>

/* The most blocks in a batch: half of what a shelf may have of a class. */
#define BATCH 128u

/* As in room.c, of a processor: so many scattered flushes are a drain, and what a refill takes back of them. */
#define DRAIN_SCATTERED 64u
#define REFILL_WEIGHT 8u

/* Shelves of so many processors may hold HAKMEM_FRONT_BYTES each, and more of them no more together, but at least one
 * part in so many of these. A class has at most one part in so many of what a shelf may hold. */
#define PROCESSORS_FULL 4u
#define PROCESSORS_MOST 64u
#define CLASS_SHARE 4u

unsigned hk_percpu_most(unsigned cls)
{
    return HK_BIN_MAX(hk_class_size(cls));
}

/* What the shelf of a heap may hold: a large heap of large blocks would else miss all the time. */
static size_t limit_of(const struct hk_shelf *shelf)
{
    bool scarce = hk_arena_is_scarce(); /* as in room.c */
    unsigned processors = scarce ? PROCESSORS_MOST : hk_percpu_shelves();
    processors = (unsigned)hk_min(hk_max(processors, PROCESSORS_FULL), PROCESSORS_MOST);
    size_t least = (unsigned)hk_opt(HK_OPT_FRONT_BYTES) * PROCESSORS_FULL / processors;
    size_t slabs = scarce || hk_load_relaxed(&shelf->draining) ? 0 : hk_peek(&shelf->home->heap.slabs); /* about */
    return hk_max(least, slabs * (HK_SLAB_SIZE / 4));
}

size_t hk_front_limit(const struct hk_thread *thread)
{
    struct hk_shelf *_Atomic *table = hk_shelf_table(thread);
    const struct hk_shelf *shelf = table != NULL ? hk_shelf_of(table, hk_rseq_processor()) : NULL;
    return shelf != NULL ? limit_of(shelf) : (size_t)hk_opt(HK_OPT_FRONT_BYTES);
}

struct hk_heap *hk_percpu_heap(struct hk_thread *thread)
{
    struct hk_shelf *shelf = hk_shelf_here(thread);
    return shelf != NULL ? &shelf->home->heap : &thread->heap;
}

/* After a miss: half as much room again, as far as the class's part goes. Returns the room. */
static unsigned grow(struct hk_shelf *shelf, unsigned cls)
{
    unsigned cap = hk_shelf_cap(shelf, cls), most = hk_percpu_most(cls);
    if (HK_LIKELY(cap == most))
        return cap;
    most = (unsigned)hk_min(most, limit_of(shelf) / CLASS_SHARE / hk_class_size(cls));
    unsigned wanted = hk_room_half_more(cap, cls, most);
    if (wanted <= cap || wanted < 2)
        return cap;
    hk_shelf_grow(shelf, cls, wanted);
    return wanted;
}

bool hk_front_is_bypassed(const struct hk_thread *thread, unsigned cls)
{
    struct hk_shelf *_Atomic *table = hk_shelf_table(thread);
    const struct hk_shelf *shelf = table != NULL ? hk_shelf_of(table, hk_rseq_processor()) : NULL;
    return shelf != NULL && hk_shelf_cap(shelf, cls) < 2;
}

/* ---- drains; see room.c. All of it is about right where several threads are at it: relaxed ---- */

static void lower_scattered(struct hk_shelf *shelf, unsigned by)
{
    unsigned before = hk_load_relaxed(&shelf->scattered); /* as above, and so are the others here */
    unsigned now = (unsigned)hk_min(before, DRAIN_SCATTERED);
    now -= (unsigned)hk_min(now, by);
    if (before != now)
        hk_store_relaxed(&shelf->scattered, now);
    if (hk_load_relaxed(&shelf->freed) != 0)
        hk_store_relaxed(&shelf->freed, 0);
}

static void end_drain(struct hk_shelf *shelf)
{
    if (HK_UNLIKELY(hk_load_relaxed(&shelf->draining))) /* as above */
        hk_store_relaxed(&shelf->draining, false);
}

/* Gives blocks of a shelf away that are in nobody's hands but this thread's. */
static void give(struct hk_thread *thread, struct hk_shelf *shelf, unsigned cls, void **blocks, unsigned n)
{
    struct hk_heap *heap = &shelf->home->heap;
    bool wanted = HK_TRANSFER && hk_transfer_is_wanted(heap, cls);
    unsigned changes = wanted || !HK_TRANSFER ? 0 : hk_back_changes(blocks, n); /* before they are moved */
    unsigned slabs = hk_transfer_or_give(heap, cls, blocks, n);
    hk_front_count_flush(thread, cls, n);
    if (hk_max(slabs, changes) * 4 > n + 3) {
        hk_store_relaxed(&shelf->scattered, hk_load_relaxed(&shelf->scattered) + (slabs != 0 ? 2 : 1)); /* as above */
        hk_store_relaxed(&shelf->freed, hk_load_relaxed(&shelf->freed) + n * hk_class_size(cls));
    } else if (HK_TRANSFER && slabs == 0 && wanted) {
        lower_scattered(shelf, 2);
        if (hk_load_relaxed(&shelf->scattered) == 0)
            end_drain(shelf);
    }
}

/* ---- emptying ---- */

/* Nobody else has the shelf. It is cleared before what was on it is given away: where a fork leaves this thread behind,
 * the shelf is in order, and blocks are lost. */
static void empty_shelf(struct hk_thread *thread, struct hk_shelf *shelf)
{
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        unsigned n = hk_shelf_count(shelf, cls);
        void **blocks = shelf->head[cls].cur - n + 1;
        hk_shelf_clear(shelf, cls);
        if (n == 0)
            continue;
        hk_transfer_or_give(&shelf->home->heap, cls, blocks, n);
        hk_front_count_flush(thread, cls, n);
    }
}

/* The shelf where this thread runs. */
static void empty_here(struct hk_thread *thread)
{
    unsigned processor;
    struct hk_shelf *shelf = hk_shelf_take_here(thread, &processor);
    if (shelf == NULL)
        return;
    empty_shelf(thread, shelf);
    hk_shelf_put_back(thread, processor);
}

/* All others. One that somebody else is emptying is left to him. */
static void empty_elsewhere(struct hk_thread *thread)
{
    unsigned taken = 0, processors = hk_load_relaxed(&hk_shelf_processors); /* came with the table */
    for (unsigned i = 0; i < processors; i++)
        if (i != hk_rseq_processor())
            taken += hk_shelf_take_away(thread, i);
    bool settled = taken != 0 && hk_shelf_settle();
    for (unsigned i = 0; taken != 0 && i < processors; i++) {
        struct hk_shelf *shelf = hk_shelf_taken(thread, i);
        if (shelf == NULL)
            continue;
        if (settled)
            empty_shelf(thread, shelf);
        hk_shelf_put_back(thread, i);
        taken--;
    }
}

/* Empties and closes a shelf on which only scattered blocks come; on the way here the thread may have been moved to
 * another one: then later. */
static HK_SLOW_PATH void begin_drain(struct hk_thread *thread, struct hk_shelf *shelf)
{
    unsigned processor;
    struct hk_shelf *here = hk_shelf_take_here(thread, &processor);
    if (here == NULL)
        return;
    if (here == shelf) {
        empty_shelf(thread, shelf);
        hk_store_relaxed(&shelf->scattered, DRAIN_SCATTERED); /* as above */
        hk_store_relaxed(&shelf->draining, true);
    }
    hk_shelf_put_back(thread, processor);
    if (HK_TRANSFER && here == shelf)
        hk_transfer_sweep_own(&shelf->home->heap);
}

void hk_front_flush_all(struct hk_thread *thread)
{
    if (hk_shelf_table(thread) == NULL)
        hk_shelf_give_bins(thread);
    if (hk_shelf_table(thread) == NULL)
        return;
    empty_here(thread); /* if it is moved now, one shelf keeps what it has */
    empty_elsewhere(thread);
}

void hk_percpu_flush_own(struct hk_thread *thread)
{
    if (hk_shelf_table(thread) == thread->own.table)
        empty_here(thread);
}

/* ---- refill ---- */

void *hk_front_refill(struct hk_thread *thread, unsigned cls)
{
    struct hk_bin *bin = &thread->front->bin[cls];
    void *blocks[BATCH];
    unsigned n = 1;
    if (HK_UNLIKELY(bin->table == NULL))
        hk_shelf_give_bins(thread);
    struct hk_shelf *shelf = hk_shelf_here(thread);
    if (HK_LIKELY(shelf != NULL)) {
        lower_scattered(shelf, REFILL_WEIGHT);
        end_drain(shelf);
        n = (unsigned)hk_min(hk_room_half(grow(shelf, cls), cls), BATCH);
    }
    struct hk_heap *heap = shelf != NULL ? &shelf->home->heap : &thread->heap;
    unsigned got = hk_transfer_or_take(heap, cls, blocks + n - 1, n);
    if (got == 0)
        return NULL;
    hk_front_count_refill(thread, cls, got);
    void **others = blocks + n - got;
    unsigned put = got > 1 ? hk_section_push_many(bin->table, bin->at, others, got - 1) : 0;
    if (HK_UNLIKELY(put < got - 1)) { /* no room where it runs now */
        hk_transfer_or_give(heap, cls, others + put, got - 1 - put);
        hk_front_count_flush(thread, cls, got - 1 - put);
    }
    return blocks[n - 1];
}

/* ---- put ---- */

/* Takes the newer half of a class from the shelf where this thread runs, and gives it away. */
static void flush_half(struct hk_thread *thread, struct hk_shelf *shelf, unsigned cls)
{
    const struct hk_bin *bin = &thread->front->bin[cls];
    void *blocks[BATCH];
    unsigned half = (unsigned)hk_min((hk_shelf_cap(shelf, cls) + 1) / 2, BATCH);
    unsigned n = hk_section_pop_many(bin->table, bin->at, blocks, half);
    if (n != 0)
        give(thread, shelf, cls, blocks, n);
    bool drains = hk_load_relaxed(&shelf->scattered) >= DRAIN_SCATTERED || /* as above */
                  hk_load_relaxed(&shelf->freed) > limit_of(shelf);
    if (drains && !hk_load_relaxed(&shelf->draining))
        begin_drain(thread, shelf);
}

/* In a drain, for a block of another heap: somebody takes what comes, so batches are worth it again. */
static bool ends_drain(const struct hk_shelf *shelf, const struct hk_slab *slab)
{
    const struct hk_heap *heap = &shelf->home->heap;
    return HK_TRANSFER && hk_slab_owner(slab) != &heap->owner && hk_transfer_is_wanted(heap, slab->cls);
}

/* Makes room, or has it that there is to be none. */
static bool make_room(struct hk_thread *thread, struct hk_shelf *shelf, const struct hk_slab *slab)
{
    unsigned cls = slab->cls, cap = hk_shelf_cap(shelf, cls);
    if (hk_load_relaxed(&shelf->draining) && cap == 0) { /* as above */
        if (!ends_drain(shelf, slab))
            return false;
        end_drain(shelf);
        hk_store_relaxed(&shelf->scattered, 0);
        hk_store_relaxed(&shelf->freed, 0);
    }
    bool full = hk_shelf_count(shelf, cls) >= cap;
    if (full && grow(shelf, cls) == cap && cap != 0)
        flush_half(thread, shelf, cls);
    return true;
}

void hk_front_put(struct hk_thread *thread, struct hk_slab *slab, void *block)
{
    const struct hk_bin *bin = &thread->front->bin[slab->cls];
    if (HK_UNLIKELY(bin->table == NULL))
        hk_shelf_give_bins(thread);
    struct hk_shelf *shelf = hk_shelf_here(thread);
    if (HK_UNLIKELY(shelf == NULL))
        hk_heap_give_one(&thread->heap, slab, block);
    else if (!make_room(thread, shelf, slab) || !hk_section_push(bin->table, bin->at, block))
        hk_heap_give_one(&shelf->home->heap, slab, block);
}

/* ---- the rest of front.h ---- */

/* A thread's own shelf is put in order when it gets its bins. */
void hk_front_reset(struct hk_thread *thread)
{
}

unsigned hk_front_count(struct hk_thread *thread, unsigned cls)
{
    const struct hk_shelf *shelf = hk_shelf_of_record(thread);
    return shelf != NULL ? hk_shelf_count(shelf, cls) : 0;
}
