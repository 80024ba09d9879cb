/* SPDX-License-Identifier: MIT */
#include "box/transfer_priv.h"

#include "base/options.h"
#include "box/pool.h"
#include "pages/meta.h"

#include <string.h>

/* Where so many arrays full were offered and nothing was wanted, nobody has use for the class. What waits would only
 * keep slabs from becoming EMPTY. */
#define PATIENCE 2u

/* All that waits is at most HAKMEM_FRONT_BYTES, or one part in so many of the slabs in use. */
#define SHARE 4u

/* Of that one part in so many may have come to a place, or gone, that its threads have not told all: else each batch of
 * each thread would write the same word. */
#define UNTOLD 32u

struct array *_Atomic hk_transfer_arrays[HK_NUMA_NODES * HK_TRANSFER_PLACES][HK_CLASS_COUNT];
struct place hk_transfer_places[HK_NUMA_NODES * HK_TRANSFER_PLACES];
_Atomic size_t hk_transfer_told;
struct hk_lock hk_transfer_making = HK_LOCK_FREE(HK_RANK_MAKING);
hk_seen hk_transfer_seen[1] = {hk_transfer_arrays};
_Static_assert(offsetof(struct array, count) == sizeof(struct hk_lock), "as seen from outside");

/* Held by who sweeps, and by who counts what is where. */
struct hk_lock hk_transfer_sweeping = HK_LOCK_FREE(HK_RANK_SWEEPING);

static unsigned place_of(const struct hk_heap *heap, unsigned node)
{
    return node * HK_TRANSFER_PLACES + heap->number % HK_TRANSFER_PLACES;
}

/* Arrays stay. NULL: somebody else is just making one, or no memory. */
static HK_SLOW_PATH struct array *make_array(unsigned place, unsigned cls)
{
    if (!hk_try_lock(&hk_transfer_making))
        return NULL;
    struct array *a = array_at(place, cls);
    if (a == NULL) {
        a = hk_meta_alloc(sizeof *a);
        if (a != NULL)
            hk_lock_init(&a->lock, HK_RANK_ARRAY);
        hk_store_release(&hk_transfer_arrays[place][cls], a); /* pairs with array_at */
    }
    hk_unlock(&hk_transfer_making);
    return a;
}

/* Nobody else can be at it where there is one thread: then it costs nothing. */
static inline bool try_array(struct array *a)
{
    if (!hk_single_threaded())
        return hk_try_lock(&a->lock);
    hk_lock(&a->lock);
    return true;
}

/* Bytes that may wait in all arrays. */
static size_t all_may_wait(void)
{
    size_t part = hk_load_relaxed(&hk_pool_owned) * (HK_SLAB_SIZE / SHARE);
    return hk_max(part, (size_t)hk_opt(HK_OPT_FRONT_BYTES));
}

static void tell_waiting(struct place *place, size_t waiting, size_t told)
{
    if (!hk_cas_relaxed(&place->told, &told, waiting))
        return; /* another thread tells at this moment */
    hk_add_relaxed(&hk_transfer_told, waiting - told);
    hk_use_wrote(HK_WORD_WAITING);
}

/* So many bytes more wait in the place; or less, with a negative number. One copy: the first 64 KiB of the code are
 * full (core/meson.build). */
static HK_NOINLINE void count_waiting(struct place *place, size_t more)
{
    size_t waiting = hk_add_relaxed(&place->waiting, more) + more, told = hk_load_relaxed(&place->told);
    size_t apart = waiting > told ? waiting - told : told - waiting;
    if (HK_UNLIKELY(apart > all_may_wait() / UNTOLD))
        tell_waiting(place, waiting, told);
}

/* The newest blocks, at most n; the lock. */
static unsigned take_from_array(unsigned place, struct array *a, unsigned cls, void **to, unsigned n)
{
    unsigned count = hk_load_relaxed(&a->count);
    n = (unsigned)hk_min(n, count);
    memcpy(to, a->block + count - n, n * sizeof *to);
    hk_store_relaxed(&a->count, count - n);
    count_waiting(&hk_transfer_places[place], -(size_t)n * hk_class_size(cls));
    return n;
}

/* `by` gives the blocks away: the heap of this thread, or the orphan heap, as for threads that have none. */
static HK_SLOW_PATH void empty_array(unsigned place, struct array *a, unsigned cls, struct hk_heap *by)
{
    void *blocks[HK_TRANSFER_BLOCKS];
    hk_lock(&a->lock);
    unsigned n = take_from_array(place, a, cls, blocks, HK_TRANSFER_BLOCKS);
    hk_unlock(&a->lock);
    if (n != 0)
        hk_heap_give(by, blocks, n);
}

static unsigned most_of_class(unsigned cls)
{
    size_t bytes = cls <= HK_MID_LAST ? HK_TRANSFER_BYTES : HK_TRANSFER_WIDE;
    return (unsigned)hk_min(bytes / hk_class_size(cls), HK_TRANSFER_BLOCKS);
}

/* ---- give ---- */

/* Blocks of the class that may wait beside what does. */
static unsigned room_for_more(unsigned cls)
{
    size_t most = all_may_wait(), now = hk_load_relaxed(&hk_transfer_told);
    return most > now ? (unsigned)hk_min((most - now) / hk_class_size(cls), most_of_class(cls)) : 0;
}

/* The node on which a batch lies, as its ends have it. */
static inline unsigned batch_node(void *const *blocks, unsigned n)
{
    if (HK_LIKELY(hk_numa_nodes() == 1))
        return 0;
    unsigned node = hk_superslab_of(blocks[0])->node;
    return hk_superslab_of(blocks[n - 1])->node == node ? node : HK_NUMA_NODES;
}

/* Puts as many of n blocks as there is room for; returns how many. The lock. */
static unsigned put_in_array(unsigned place, struct array *a, unsigned cls, void *const *blocks, unsigned n)
{
    unsigned count = hk_load_relaxed(&a->count);
    n = (unsigned)hk_min(n, hk_min(most_of_class(cls) - count, room_for_more(cls)));
    memcpy(a->block + count, blocks, n * sizeof *blocks);
    hk_store_relaxed(&a->count, count + n);
    count_waiting(&hk_transfer_places[place], n * hk_class_size(cls));
    hk_poke_add(&a->batches, n != 0);
    return n;
}

unsigned hk_transfer_give(const struct hk_heap *heap, unsigned cls, void **blocks, unsigned n)
{
    unsigned node = batch_node(blocks, n), place = place_of(heap, node);
    if (HK_UNLIKELY(node == HK_NUMA_NODES))
        return n;
    struct array *a = array_at(place, cls);
    if ((a == NULL && (a = make_array(place, cls)) == NULL) || !try_array(a))
        return n;
    unsigned before = hk_load_relaxed(&a->offered), enough = PATIENCE * most_of_class(cls), put = 0;
    hk_store_relaxed(&a->offered, (uint32_t)hk_min(before + n, enough + 1));
    if (before <= enough)
        put = put_in_array(place, a, cls, blocks, n);
    hk_unlock(&a->lock);
    if (HK_UNLIKELY(before <= enough && before + n > enough))
        empty_array(place, a, cls, &hk_orphan_heap);
    memmove(blocks, blocks + put, (n - put) * sizeof *blocks);
    return n - put;
}

bool hk_transfer_is_wanted(const struct hk_heap *heap, unsigned cls)
{
    const struct array *a = array_at(place_of(heap, hk_numa_node()), cls);
    return a != NULL && hk_load_relaxed(&a->offered) == 0;
}

/* ---- take ---- */

static HK_NOINLINE unsigned take_at(unsigned place, unsigned cls, void **top, unsigned n)
{
    struct array *a = array_at(place, cls);
    if (a == NULL)
        return 0;
    /* A giver that is just counting may undo this: then the next take does it again. */
    if (hk_load_relaxed(&a->offered) != 0)
        hk_store_relaxed(&a->offered, 0);
    if (hk_load_relaxed(&a->count) == 0 || !try_array(a))
        return 0;
    n = (unsigned)hk_min(n, hk_load_relaxed(&a->count));
    n = take_from_array(place, a, cls, top + 1 - n, n);
    hk_unlock(&a->lock);
    return n;
}

/* In the place of this thread, and then in those that others have. */
unsigned hk_transfer_take(const struct hk_heap *heap, unsigned cls, void **top, unsigned n)
{
    unsigned node = hk_numa_node(), own = place_of(heap, node), got = take_at(own, cls, top, n);
    unsigned places = (unsigned)hk_min(hk_load_relaxed(&hk_heap_records), HK_TRANSFER_PLACES);
    for (unsigned i = 1; i < places && got == 0; i++)
        got = take_at(node * HK_TRANSFER_PLACES + (heap->number + i) % places, cls, top, n);
    return got;
}

/* ---- on behalf of others ---- */

static void empty_place(unsigned place, struct hk_heap *by)
{
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        struct array *a = array_at(place, cls);
        if (a != NULL)
            empty_array(place, a, cls, by);
    }
}

void hk_transfer_sweep(void)
{
    hk_transfer_hold();
    for (unsigned place = 0; place < place_count(); place++)
        empty_place(place, &hk_orphan_heap);
    hk_transfer_release();
}

void hk_transfer_sweep_own(struct hk_heap *heap)
{
    for (unsigned node = 0; node < hk_numa_nodes(); node++)
        empty_place(place_of(heap, node), heap);
}

void hk_transfer_hold(void)
{
    hk_lock(&hk_transfer_sweeping);
}

void hk_transfer_release(void)
{
    hk_unlock(&hk_transfer_sweeping);
}
