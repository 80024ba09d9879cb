/* SPDX-License-Identifier: MIT
 *
 * hard: malloc and free of blocks that have an end (superslab/end.h), over the front as it is: what the front sees is
 * the size that was asked for and room for the end. With -Dtail=enabled the entries call these in place of
 * front/fast.h. Whatever the end of a block says wrong is the program's error, and told before anything happens.
 *
 *   malloc  writes the end; with -Dfill it looks whether anything was written into the block while it was free.
 *   free    looks whether the end is whole, and the one in front of the block, and the size where it is told one; with
 *           -Dfill it makes zero what it may have to look at later.
 *
 * Blocks of heaps of one's own (front/owned.h) have an end, too; but in front of them stands their head, and what is
 * written into a free one is not looked for. Who synchronises: as in front/slow.h. Included by front/hardened/ANY.h,
 * front/ANY.c, api/entry.h, api/heaps.c and api/usage.c only. Must not know the public names.
 */
#ifndef HK_FRONT_HARDENED_HARD_H
#define HK_FRONT_HARDENED_HARD_H

#include "front/fast.h"
#include "front/owned.h"
#include "superslab/fill.h"

/* The least that the front is asked for: two words for it while the block is free, and one of the program's between
 * these and the end. */
#define HK_HARD_LEAST ((size_t)32)

/* How the size of a block is known to who frees it. */
enum hk_hard_given {
    HK_HARD_ANY,    /* it is not */
    HK_HARD_SIZED,  /* it is said */
    HK_HARD_DELETE, /* it is said by a delete: of use where the block is of a new of ours, and not of the program's */
};

/* Whole words, so that the end is one where a block is as long as was asked for (front/guard.h). Not for sizes near
 * SIZE_MAX. */
static HK_ALWAYS_INLINE size_t hk_hard_wants(size_t size)
{
    return hk_max(hk_align_up(size + HK_END_BYTES, HK_END_BYTES), HK_HARD_LEAST);
}

/* The same in sixteenths, for a size that has a bin: two at least. */
static HK_ALWAYS_INLINE size_t hk_hard_sixteenths(size_t size)
{
    return (size + HK_END_BYTES + 15) / 16 + (size <= HK_HARD_LEAST - HK_END_BYTES - 16);
}

/* ---- slow paths; `slow` functions give what hk_malloc_fast's do ---- */

HK_NOINLINE void *hk_hard_malloc_slow(size_t size);
HK_NOINLINE void *hk_hard_calloc(size_t size);
HK_NOINLINE void *hk_hard_aligned(size_t align, size_t size);
HK_NOINLINE void *hk_hard_resize(void *ptr, size_t size);

/* Any pointer, NULL too. Keeps errno. */
HK_NOINLINE void hk_hard_free_slow(void *ptr, size_t size, enum hk_hard_given given);

/* Of a heap of one's own: as hk_front_own_take, and an end. */
HK_NOINLINE void *hk_hard_own_take(struct hk_own *heap, struct hk_own_want *want);

/* A live block of such a heap is freed; `verb` is for messages. */
HK_NOINLINE void hk_hard_own_free(const struct hk_block *block, const char *verb);

/* Frees what is held back of what the program freed (-Ddelay=enabled); false: nothing was. Outside the gate. */
HK_NOINLINE bool hk_hard_let_all_go(void);

/* The same inside the gate. What was written into one is reported when the caller comes out. */
HK_SLOW_PATH void hk_hard_let_all_go_inside(void);

/* operator new took this block, or got NULL. Returns it. */
HK_NOINLINE void *hk_hard_is_of_new(void *ptr);

/* The bytes that were asked for; 0 after a message. */
HK_NOINLINE size_t hk_hard_size(const void *ptr, const char *verb);

/* Something was written into a block while it was free: says so, and takes another. */
HK_NOINLINE void *hk_hard_written(void *block, size_t size);

/* ---- fast paths ---- */

/* What they ask of a class: the size of its blocks, and HK_FILL_MIDDLE of it. */
struct hk_hard_slot {
    uint32_t size, middle;
};

extern HK_HIDDEN const struct hk_hard_slot hk_hard_slots[HK_CLASS_COUNT];

static HK_ALWAYS_INLINE const struct hk_hard_slot *hk_hard_slot_of(unsigned code)
{
    return (const struct hk_hard_slot *)(const void *)((const char *)hk_hard_slots +
                                                       code * (sizeof(struct hk_hard_slot) / 2));
}

/* A block of a slab that came from its bin becomes the program's. */
static HK_ALWAYS_INLINE void *hk_hard_hand_out(void *block, size_t size, const struct hk_hard_slot *slot, uint32_t also)
{
    if (HK_FILL && HK_UNLIKELY(!hk_fill_is_whole(block, slot->size, slot->middle, hk_free_mark(block))))
        return hk_hard_written(block, size);
    ((uintptr_t *)block)[1] = 0;
    hk_end_set(block, slot->size, size, hk_end_hash(hk_end_at(block, slot->size)), also);
    return block;
}

/* `also` is 0 or HK_END_OF_NEW, and then `slow` says so of its blocks, too. */
static HK_ALWAYS_INLINE void *hk_hard_malloc(size_t size, hk_slow_malloc *slow, uint32_t also)
{
    if (HK_UNLIKELY(size > HK_TINY_MAX - HK_END_BYTES))
        return slow(size);
    struct hk_front HK_TLS_SPACE *front = hk_front_self();
    if (HK_UNLIKELY(!hk_front_hold_for(front, size)))
        return slow(size);
    unsigned code = front->code_of[hk_hard_sixteenths(size)];
    void *block;
    bool found = hk_bin_pop(hk_front_bin(front, code), &block);
    hk_front_let_go(front);
    if (HK_UNLIKELY(!found))
        return slow(size);
    if (HK_TELEMETRY)
        hk_front_hits(front, code)->malloc_hits++;
    return hk_hard_hand_out(block, size, hk_hard_slot_of(code), also);
}

/* Is a block of a slab, where one starts, live, whole, and of that size? */
static HK_ALWAYS_INLINE bool hk_hard_may_go(const void *ptr, size_t slot, size_t given, enum hk_hard_given how)
{
    const uint64_t *end = hk_end_at(ptr, slot);
    uint64_t word = hk_peek(end), said = hk_end_said(word, hk_end_hash(end));
    size_t size;
    if (HK_UNLIKELY(!hk_end_lives(said, slot, &size)))
        return false;
    if (how != HK_HARD_ANY && HK_UNLIKELY(given != size) && (how != HK_HARD_DELETE || (said & HK_END_OF_NEW) != 0))
        return false;
    if (HK_UNLIKELY(!hk_end_holds(ptr, size, word)))
        return false;
    return HK_UNLIKELY((uintptr_t)ptr % HK_SLAB_SIZE == 0) || HK_LIKELY(hk_end_before_is_whole(ptr, slot));
}

/* The block is nobody's from now on. */
static HK_ALWAYS_INLINE void hk_hard_empty(void *block, size_t slot, size_t middle)
{
    if (HK_FILL)
        hk_fill(block, slot, middle);
    else
        hk_end_clear(block, slot);
}

static HK_ALWAYS_INLINE void hk_hard_free(void *ptr, size_t given, enum hk_hard_given how)
{
    struct hk_front HK_TLS_SPACE *front = hk_front_self();
    unsigned code;
    if (HK_UNLIKELY(!hk_registry_lookup(ptr, &code))) {
        hk_hard_free_slow(ptr, given, how);
        return;
    }
    struct hk_bin HK_TLS_SPACE *bin = hk_front_bin(front, code);
    if (HK_UNLIKELY(hk_slab_is_beyond((uint16_t)(uintptr_t)ptr * bin->inverse, code))) { /* or it is no block's class */
        hk_hard_free_slow(ptr, given, how);
        return;
    }
    const struct hk_hard_slot *slot = hk_hard_slot_of(code);
    if (HK_UNLIKELY(!hk_hard_may_go(ptr, slot->size, given, how)) || HK_UNLIKELY(!hk_front_hold(front))) {
        hk_hard_free_slow(ptr, given, how);
        return;
    }
    hk_hard_empty(ptr, slot->size, slot->middle);
    ((uintptr_t *)ptr)[1] = hk_free_mark(ptr);
    hk_fence_signal(); /* whole before it is in the bin */
    struct hk_spot spot;
    bool put = hk_bin_has_room(bin, front->thread, ptr, &spot) && hk_bin_push(bin, spot, ptr);
    hk_front_let_go(front);
    if (HK_UNLIKELY(!put)) {
        hk_free_checked(ptr, code);
        return;
    }
    if (HK_TELEMETRY)
        hk_front_hits(front, code)->free_hits++;
}

#endif
