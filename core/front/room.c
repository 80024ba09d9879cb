/* SPDX-License-Identifier: MIT
 *
 * Refill and flush of the fronts that keep blocks by the piece, and how much room their bins have.
 */
#include "base/options.h"
#include "front/back.h"
#include "front/bin.h"
#include "os/secret.h"
#include "front/profiled.h"

#include <string.h>

/* Each block left in a front pins its slab: 32 classes with 64 blocks each could pin 128 MiB of a heap that is freed in
 * random order, and bins of small blocks hold up to 512. So a thread whose flushes find their blocks scattered over
 * many slabs, without refills between them, is in a drain: its bins are emptied and closed, and blocks go straight to
 * their slabs. (Nor does one call then free more slabs than the purge that ends it can give back.) Blocks freed in
 * order lie together and pin next to nothing. A scattered flush counts two, or one where an array took it
 * all in which nobody has looked since the last; a refill takes REFILL_WEIGHT back, and a flush into an array in which
 * somebody has looked takes two. Of large blocks few flushes are much: so a thread is in a drain, too, when it has
 * given away so, since the last of these, as many bytes as its front may hold. Where there are many threads blocks
 * freed in order count as well: each that frees what it had, and sleeps, would keep a slab of each class.
 */
#define DRAIN_SCATTERED 64u
#define REFILL_WEIGHT 8u

/* Bins that the budget's hand looks at for one miss, and flushes between two looks at what the front holds. */
#define HAND_STEPS 3u
#define ASK_MISSES 8u
#define BOUND_FLUSHES 16u

/* The fronts of so many threads may hold HAKMEM_FRONT_BYTES each, and those of more no more together; but each has at
 * least one part in so many of these. */
#define THREADS_FULL 4u
#define THREADS_MOST 512u

/* As many share it where memory was refused. */
#define THREADS_SCARCE 64u

/* What a front may hold that has few slabs, and any where memory was refused before: what others hold is all that there
 * is for a thread that asks for more. */
static size_t least_limit(bool scarce)
{
    unsigned threads = scarce ? THREADS_SCARCE : hk_load_relaxed(&hk_heap_threads);
    threads = (unsigned)hk_min(hk_max(threads, THREADS_FULL), THREADS_MOST);
    return (unsigned)hk_opt(HK_OPT_FRONT_BYTES) * THREADS_FULL / threads;
}

size_t hk_front_limit(const struct hk_thread *thread)
{
    /* In a drain slabs allow nothing: blocks that bins keep would pin the slabs that allow more of them. Of
     * many threads' slabs what is used counts: each may have a nearly empty one of each class. */
    bool scarce = hk_arena_is_scarce();
    size_t slabs = thread->own.room.draining || scarce ? 0 : hk_peek(&thread->heap.slabs) * (HK_SLAB_SIZE / 4);
    if (HK_UNLIKELY(hk_heap_many()))
        slabs = hk_min(slabs, hk_peek(&thread->heap.used) / 3);
    return hk_max(least_limit(scarce), slabs);
}

static void set_cap(struct hk_thread *thread, unsigned cls, unsigned cap)
{
    struct hk_room *room = &thread->own.room;
    room->bytes = room->bytes + cap * hk_class_size(cls) - room->cap[cls].now * hk_class_size(cls);
    room->cap[cls].now = (uint16_t)cap;
    hk_bin_set_cap(thread, cls);
}

/* An option takes the front that is built in out of the way. */
static bool is_slim(void)
{
    return HK_FRONT_BINS && (hk_opt(HK_OPT_TINY_FRONT_SLIM) != 0 || (HK_FRONT_V2 && !hk_opt(HK_OPT_TINY_FRONT_V2)) ||
                             (HK_FRONT_UNIFIED && !hk_opt(HK_OPT_TINY_UNIFIED_CACHE)) ||
                             (HK_FRONT_RING && !hk_opt(HK_OPT_TINY_HOT_RING_ENABLE)));
}

/* A class without a bin gets one, unless an option says that it has none: then false. */
static HK_SLOW_PATH bool set_up_bin(struct hk_thread *thread, unsigned cls)
{
    struct hk_cap *cap = &thread->own.room.cap[cls];
    cap->max = is_slim() ? 0 : (uint16_t)hk_bin_set_up(thread, cls);
    cap->now = 0;
    return cap->max != 0;
}

/* Gives the oldest `n` blocks of a bin away. */
static void flush_oldest(struct hk_thread *thread, unsigned cls, unsigned n)
{
    void *lent[HK_BIN_LENT];
    void **oldest = hk_bin_oldest(thread, cls, &n, lent);
    bool wanted = HK_TLS_SLL || (HK_TRANSFER && hk_transfer_is_wanted(&thread->heap, cls));
    unsigned changes = wanted || !HK_TRANSFER ? 0 : hk_back_changes(oldest, n); /* before they are moved */
    unsigned slabs = hk_back_give(thread, cls, oldest, n);
    hk_bin_drop(thread, cls, n);
    hk_front_count_flush(thread, cls, n);
    struct hk_room *room = &thread->own.room;
    room->given += n * hk_class_size(cls);
    if (hk_max(slabs, changes) * 4 > n + 3) {
        room->scattered += slabs != 0 ? 2 : 1;
        room->freed += n * hk_class_size(cls);
    } else if (HK_TRANSFER && slabs == 0 && wanted) { /* an array took all, and somebody takes what comes there */
        room->scattered = (unsigned)hk_min(room->scattered, DRAIN_SCATTERED);
        room->scattered -= (unsigned)hk_min(room->scattered, 2);
        room->freed = 0;
        room->given = 0;
        room->draining = room->draining && room->scattered != 0;
    }
}

/* Takes half of a bin's room. */
static HK_SLOW_PATH void shrink_bin(struct hk_thread *thread, unsigned cls)
{
    unsigned cap = thread->own.room.cap[cls].now / 2u;
    unsigned count = hk_bin_count(thread, cls);
    if (count > cap)
        flush_oldest(thread, cls, count - cap);
    set_cap(thread, cls, cap);
}

/* Takes room from bins that miss less than a quarter as often, and from those that have more than half of their most
 * while this one has at most half of its own, until there are `more` bytes. The hand looks at a few bins only: a bin
 * that misses on will be here again soon. */
static bool take_room_of_others(struct hk_thread *thread, unsigned cls, size_t more)
{
    struct hk_room *room = &thread->own.room;
    size_t limit = 2 * hk_front_limit(thread);
    for (unsigned i = 0; i < HAND_STEPS && room->bytes + more > limit; i++) {
        room->hand = room->hand % (HK_CLASS_COUNT - 1) + 1;
        struct hk_cap *victim = &room->cap[room->hand];
        bool rich = victim->now > victim->max / 2 && room->cap[cls].now <= room->cap[cls].max / 2;
        if (room->hand != cls && victim->now >= 2 && (rich || victim->misses < room->cap[cls].misses / 4))
            shrink_bin(thread, room->hand);
        victim->misses /= 2;
    }
    return room->bytes + more <= limit;
}

/* There is no room for `more` blocks. */
static HK_SLOW_PATH void grow_at_others_cost(struct hk_thread *thread, unsigned cls, unsigned more)
{
    struct hk_room *room = &thread->own.room;
    unsigned now = room->cap[cls].now;
    size_t size = hk_class_size(cls);
    if (take_room_of_others(thread, cls, more * size)) {
        set_cap(thread, cls, now + more);
    } else if (hk_bin_takes_rest(cls)) {
        size_t limit = 2 * hk_front_limit(thread); /* others may have made it smaller */
        if (room->bytes < limit)
            set_cap(thread, cls, (unsigned)hk_min(now + (limit - room->bytes) / size, now + more));
    }
}

/* A miss asks for more room, as far as the class's maximum and the thread's budget allow. Where the budget is used up
 * it takes others' room, only the first time and now and then. */
static void ask_for_room(struct hk_thread *thread, unsigned cls)
{
    struct hk_room *room = &thread->own.room;
    struct hk_cap *cap = &room->cap[cls];
    cap->misses = cap->misses < UINT16_MAX ? (uint16_t)(cap->misses + 1) : UINT16_MAX / 2;
    if (HK_LIKELY(cap->now == cap->max || room->draining))
        return;
    unsigned wanted = hk_bin_wanted(cap, cls);
    if (wanted <= cap->now)
        return;
    if (room->bytes + (wanted - cap->now) * hk_class_size(cls) <= 2 * hk_front_limit(thread))
        set_cap(thread, cls, wanted);
    else if (cap->misses % ASK_MISSES == 1)
        grow_at_others_cost(thread, cls, wanted - cap->now);
}

/* Makes bins smaller where the heap, and with it the budget, has become smaller; ends every slow path that may have
 * given a slab away. */
static void fit_to_budget(struct hk_thread *thread)
{
    struct hk_room *room = &thread->own.room;
    while (room->bytes > 2 * hk_front_limit(thread)) { /* flushes lower it */
        room->hand = room->hand % (HK_CLASS_COUNT - 1) + 1;
        if (room->cap[room->hand].now > 0)
            shrink_bin(thread, room->hand);
    }
}

/* Every few flushes: does the front hold more than it may? Then bins give half of what they hold, from the smallest
 * class on, until it does not. */
static void bound_what_is_held(struct hk_thread *thread)
{
    size_t limit = hk_front_limit(thread), held = 0;
    if (++thread->own.room.flushes % BOUND_FLUSHES != 0 || thread->own.room.bytes <= limit)
        return;
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++)
        held += hk_bin_count(thread, cls) * hk_class_size(cls);
    for (unsigned cls = 1; cls < HK_CLASS_COUNT && held > limit; cls++) {
        unsigned half = hk_bin_count(thread, cls) / 2;
        if (half > 0)
            flush_oldest(thread, cls, half);
        held -= half * hk_class_size(cls);
    }
}

/* Empties and closes all bins: what they and the arrays hold would keep its slabs. */
static HK_SLOW_PATH void close_all_bins(struct hk_thread *thread)
{
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        unsigned count = hk_bin_count(thread, cls);
        if (count > 0)
            flush_oldest(thread, cls, count);
        if (thread->own.room.cap[cls].now > 0)
            set_cap(thread, cls, 0);
    }
    thread->own.room.scattered = DRAIN_SCATTERED;
    thread->own.room.draining = true;
    hk_back_flush(thread);
    if (HK_TRANSFER)
        hk_transfer_sweep_own(&thread->heap);
    if (hk_heap_many())
        hk_heap_release_unused(&thread->heap);
}

unsigned hk_front_count(struct hk_thread *thread, unsigned cls)
{
    unsigned n = 0;
    hk_lock(&thread->heap.lock);
    if (hk_load_acquire(&thread->seen) != NULL) /* pairs with the release in make_record */
        n = hk_bin_count(thread, cls) + (HK_TLS_SLL ? hk_peek(&thread->back->list[cls].count) : 0);
    hk_unlock(&thread->heap.lock);
    return n;
}

/* A block of a class that is off. */
static HK_NOINLINE void *take_past_bin(struct hk_thread *thread, unsigned cls)
{
    void *block = HK_TLS_SLL ? NULL : hk_heap_take_one(&thread->heap, cls);
    if (block == NULL)
        hk_back_take(thread, cls, &block, 1);
    return block;
}

/* top[0] to top[1 - n], in any order: of each number of a generator the upper half chooses a place. */
static inline void shuffle(uint64_t *chance, void **top, unsigned n)
{
    uint64_t x = *chance != 0 ? *chance : hk_secret_of(chance) ^ hk_ticks();
    for (unsigned i = n; i > 1; i--) {
        x = x * UINT64_C(0x5851f42d4c957f2d) + 1;
        void **one = top - ((x >> 32) * i >> 32), **last = top - (i - 1), *block = *one;
        *one = *last;
        *last = block;
    }
    *chance = x;
}

/* Who takes them looks at both of their ends, and whoever freed them wrote there, maybe on another processor. */
static inline void fetch_ends(void **top, unsigned n, size_t size)
{
    for (unsigned i = 0; i < n; i++) {
        __builtin_prefetch(top[-(ptrdiff_t)i], 1);
        __builtin_prefetch((const char *)top[-(ptrdiff_t)i] + size - 1, 1);
    }
}

/* Out of line, or a refill of one block, the common one of large classes, has its frame. */
static HK_NOINLINE void *fill_bin(struct hk_thread *thread, unsigned cls, unsigned n, unsigned *got)
{
    void *lent[HK_BIN_LENT];
    void **top = hk_bin_top(thread, cls, n, lent);
    *got = hk_back_take(thread, cls, top, n);
    if (HK_SHUFFLE)
        shuffle(thread->own.room.chance, top, *got);
    if (HK_TAIL)
        fetch_ends(top, *got, hk_class_size(cls));
    return *got != 0 ? hk_bin_fill(thread, cls, top, n, *got) : NULL;
}

HK_SLOW_PATH void hk_front_open_class(struct hk_thread *thread, unsigned cls)
{
    void *lent[HK_BIN_LENT];
    hk_front_note_opened(thread, cls);
    for (unsigned n; (n = hk_bin_count(thread, cls)) != 0;) {
        void **oldest = hk_bin_oldest(thread, cls, &n, lent);
        hk_heap_give(&thread->heap, oldest, n);
        hk_bin_drop(thread, cls, n);
        hk_front_count_flush(thread, cls, n);
    }
}

void *hk_front_refill(struct hk_thread *thread, unsigned cls)
{
    struct hk_room *room = &thread->own.room;
    if (room->cap[cls].max == 0 && !set_up_bin(thread, cls))
        return take_past_bin(thread, cls);
    room->scattered = (unsigned)hk_min(room->scattered, DRAIN_SCATTERED);
    room->scattered -= (unsigned)hk_min(room->scattered, REFILL_WEIGHT);
    room->freed = 0;
    room->given = 0;
    room->draining = false;
    ask_for_room(thread, cls);
    unsigned n = hk_bin_batch(room->cap[cls].now, cls), got;
    void *block = NULL;
    if (n == 1)
        got = hk_back_take(thread, cls, &block, 1);
    else
        block = fill_bin(thread, cls, n, &got);
    if (block == NULL)
        return NULL;
    hk_front_count_refill(thread, cls, got);
    fit_to_budget(thread);
    return block;
}

bool hk_front_is_bypassed(const struct hk_thread *thread, unsigned cls)
{
    return thread->own.room.cap[cls].now < 2;
}

/* Is the thread only freeing? */
static bool is_phase_over(const struct hk_thread *thread)
{
    const struct hk_room *room = &thread->own.room;
    size_t limit = hk_front_limit(thread);
    return room->scattered >= DRAIN_SCATTERED || room->freed > limit || (room->given > limit && hk_heap_many());
}

/* Makes room in a bin that is full, or was never used; false: the class is bypassed. */
static bool make_room(struct hk_thread *thread, unsigned cls)
{
    struct hk_room *room = &thread->own.room;
    if (room->cap[cls].max == 0 && !set_up_bin(thread, cls))
        return false;
    unsigned count = hk_bin_count(thread, cls);
    if (count >= room->cap[cls].now)
        ask_for_room(thread, cls);
    if (count < room->cap[cls].now)
        return !hk_front_is_bypassed(thread, cls);
    if (count != 0)
        flush_oldest(thread, cls, (count + 1) / 2);
    if (!room->draining && is_phase_over(thread))
        close_all_bins(thread);
    bound_what_is_held(thread);
    return !hk_front_is_bypassed(thread, cls);
}

/* In a drain, for a block of another heap: somebody takes what comes, so batches are worth it again. */
static bool ends_drain(const struct hk_thread *thread, const struct hk_slab *slab)
{
    struct hk_owner *owner = hk_slab_owner(slab);
    return HK_TRANSFER && owner != &thread->heap.owner && hk_transfer_is_wanted(&thread->heap, slab->cls);
}

void hk_front_put(struct hk_thread *thread, struct hk_slab *slab, void *block)
{
    struct hk_bin HK_TLS_SPACE *bin = hk_front_bin(hk_front_self(), hk_code_of_class(slab->cls));
    struct hk_room *room = &thread->own.room;
    struct hk_spot spot;
    if (room->draining && room->cap[slab->cls].now == 0) {
        if (!ends_drain(thread, slab)) {
            hk_heap_give_one(&thread->heap, slab, block);
            if (HK_UNLIKELY(hk_heap_many()) && hk_peek(&slab->used) == 0)
                hk_heap_let_go(&thread->heap, slab);
            return;
        }
        room->draining = false;
        room->scattered = 0;
        room->freed = 0;
        room->given = 0;
    }
    if (make_room(thread, slab->cls) && hk_bin_has_room(bin, thread, block, &spot))
        hk_bin_push(bin, spot, block);
    else if (HK_TLS_SLL && room->cap[slab->cls].max == 0)
        hk_back_give(thread, slab->cls, &block, 1); /* where take_past_bin looks */
    else
        hk_heap_give_one(&thread->heap, slab, block);
    fit_to_budget(thread);
}

void hk_front_flush_all(struct hk_thread *thread)
{
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        unsigned count = hk_bin_count(thread, cls);
        if (count != 0)
            flush_oldest(thread, cls, count);
    }
    hk_back_flush(thread);
}

void hk_front_reset(struct hk_thread *thread)
{
    memset(&thread->own, 0, HK_FRONT_FRESH);
    memset(thread->back, 0, sizeof thread->back);
}
