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
 * Blocks of heaps of one's own (front/owned.h) have no end. Who synchronises: as in front/slow.h. Included by
 * front/hardened/ANY.h, front/ANY.c, api/entry.h and api/usage.c only. Must not know the public names.
 */
#ifndef HK_FRONT_HARDENED_HARD_H
#define HK_FRONT_HARDENED_HARD_H

#include "front/fast.h"
#include "superslab/end.h"

#include <string.h>

/* The least that the front is asked for: two words for it while the block is free, and one of the program's between
 * these and the end. */
#define HK_HARD_LEAST ((size_t)32)

#define HK_FILL_WHOLE ((size_t)32768) /* what HK_FILL is with -Dfill=whole */

/* How the size of a block is known to who frees it. */
enum hk_hard_given {
    HK_HARD_ANY,    /* it is not */
    HK_HARD_SIZED,  /* it is said */
    HK_HARD_DELETE, /* it is said by a delete: of use where the block is of a new of ours, and not of the program's */
};

/* Not for sizes near SIZE_MAX. */
static HK_ALWAYS_INLINE size_t hk_hard_wants(size_t size)
{
    return hk_max(size + HK_END_BYTES, HK_HARD_LEAST);
}

/* The same in sixteenths, for a size that has a bin. */
static HK_ALWAYS_INLINE size_t hk_hard_sixteenths(size_t size)
{
    return (hk_max(size, HK_HARD_LEAST - HK_END_BYTES - 15) + HK_END_BYTES + 15) / 16;
}

/* ---- slow paths; `slow` functions give what hk_malloc_fast's do ---- */

HK_NOINLINE void *hk_hard_malloc_slow(size_t size);
HK_NOINLINE void *hk_hard_calloc(size_t size);
HK_NOINLINE void *hk_hard_aligned(size_t align, size_t size);
HK_NOINLINE void *hk_hard_resize(void *ptr, size_t size);

/* Any pointer, NULL too. Keeps errno. */
HK_NOINLINE void hk_hard_free_slow(void *ptr, size_t size, enum hk_hard_given given);

/* Frees what is held back of what the program freed (-Ddelay=enabled); false: nothing was. Outside the gate. */
HK_NOINLINE bool hk_hard_let_all_go(void);

/* operator new took this block, or got NULL. Returns it. */
HK_NOINLINE void *hk_hard_is_of_new(void *ptr);

/* The bytes that were asked for; 0 after a message. */
HK_NOINLINE size_t hk_hard_size(const void *ptr, const char *verb);

/* Something was written into a block while it was free: says so, and takes another. */
HK_NOINLINE void *hk_hard_written(void *block, size_t size);

/* ---- what is written into a free block ---- */

/* Two words at once, wherever a word may lie. */
typedef uint64_t hk_hard_words __attribute__((vector_size(16), aligned(8), may_alias));

/* With -Dfill=start so many words are zero while a block is free, but for the mark in the second: the first six, and
 * the last two before the end; in a small block they are all that there is. Pairs: where the third word, and the last
 * two, lie, and between them, at most so far from the start. */
static HK_ALWAYS_INLINE hk_hard_words *hk_hard_pair(const void *block, size_t slot, size_t at)
{
    return (hk_hard_words *)(uintptr_t)((const char *)block + hk_min(slot - HK_END_BYTES - 16, at));
}

/* With -Dfill=whole: all but the end, of blocks up to 32 KiB; of longer ones so many bytes. */
static HK_ALWAYS_INLINE size_t hk_hard_filled(size_t slot)
{
    return hk_min(slot - HK_END_BYTES, HK_FILL_WHOLE);
}

static HK_ALWAYS_INLINE void hk_hard_fill(void *block, size_t slot)
{
    hk_hard_words none = {0, 0};
    if (HK_FILL == HK_FILL_WHOLE) {
        memset(block, 0, hk_hard_filled(slot));
        return;
    }
    *hk_hard_pair(block, slot, 0) = *hk_hard_pair(block, slot, 16) = none;
    *hk_hard_pair(block, slot, 32) = *hk_hard_pair(block, slot, SIZE_MAX) = none;
}

/* Is a block, as its list or its bin leaves it, what it was when it was freed? `second` is what the second word should
 * be. (That word and the first alone: what was written by halves is slow to read at once.) */
static HK_ALWAYS_INLINE bool hk_hard_is_zero(const void *block, size_t slot, uint64_t second)
{
    const uint64_t *word = block;
    uint64_t ends = word[0] | (word[1] ^ second) | word[2];
    hk_hard_words all = *hk_hard_pair(block, slot, 16) | *hk_hard_pair(block, slot, 32) |
                        *hk_hard_pair(block, slot, SIZE_MAX);
    ends |= all[0] ^ (slot == HK_HARD_LEAST ? second : 0); /* there all three begin with that word */
    for (size_t at = 16; HK_FILL == HK_FILL_WHOLE && at + 16 <= hk_hard_filled(slot); at += 16)
        all |= *hk_hard_pair(block, slot, at);
    return (all[1] | ends) == 0;
}

/* Its end says that nobody has had it yet, or that it was free, and then it is as it was. */
static HK_ALWAYS_INLINE bool hk_hard_is_whole(const void *block, size_t slot, uint64_t hash, uint64_t second)
{
    const uint64_t *end = hk_end_at(block, slot);
    uint64_t word = hk_peek(end);
    if (HK_LIKELY(hk_end_is_freed(hk_end_said(word, hash))))
        return hk_hard_is_zero(block, slot, second);
    return word == 0;
}

/* ---- fast paths ---- */

/* A block of a slab that came from its bin becomes the program's. */
static HK_ALWAYS_INLINE void *hk_hard_hand_out(void *block, size_t size, size_t slot, uint32_t also)
{
    uint64_t hash = hk_secret_of(hk_end_at(block, slot));
    if (HK_FILL && HK_UNLIKELY(!hk_hard_is_whole(block, slot, hash, hk_free_mark(block))))
        return hk_hard_written(block, size);
    ((uintptr_t *)block)[1] = 0;
    hk_end_set(block, slot, size, hash, also);
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
    return hk_hard_hand_out(block, size, hk_class_size(code / 2), also);
}

/* Is a block of a slab, where one starts, live, whole, and of that size? */
static HK_ALWAYS_INLINE bool hk_hard_may_go(const void *ptr, size_t slot, uint64_t hash, size_t given,
                                            enum hk_hard_given how)
{
    uint64_t word = hk_peek(hk_end_at(ptr, slot)), said = hk_end_said(word, hash);
    size_t size;
    if (HK_UNLIKELY(!hk_end_lives(said, slot, &size)))
        return false;
    if (how != HK_HARD_ANY && HK_UNLIKELY(given != size) && (how != HK_HARD_DELETE || (said & HK_END_OF_NEW) != 0))
        return false;
    if (HK_UNLIKELY(!hk_end_holds(ptr, size, word)))
        return false;
    return HK_UNLIKELY((uintptr_t)ptr % HK_SLAB_SIZE == 0) || HK_LIKELY(hk_end_before_is_whole(ptr));
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
    size_t slot = hk_class_size(code / 2);
    uint64_t hash = hk_secret_of(hk_end_at(ptr, slot));
    struct hk_spot spot;
    if (HK_UNLIKELY(!hk_hard_may_go(ptr, slot, hash, given, how)) || HK_UNLIKELY(!hk_front_hold(front))) {
        hk_hard_free_slow(ptr, given, how);
        return;
    }
    if (HK_UNLIKELY(!hk_bin_has_room(bin, front->thread, ptr, &spot))) {
        hk_front_let_go(front);
        hk_hard_free_slow(ptr, given, how);
        return;
    }
    hk_end_free(ptr, slot, hash);
    hk_fence_signal(); /* a fork in between: in the child, too, it is free before its fence goes */
    if (HK_FILL)
        hk_hard_fill(ptr, slot);
    ((uintptr_t *)ptr)[1] = hk_free_mark(ptr);
    hk_fence_signal(); /* and whole before it is in the bin */
    bool put = hk_bin_push(bin, spot, ptr);
    hk_front_let_go(front);
    if (HK_UNLIKELY(!put)) {
        ((uintptr_t *)ptr)[1] = 0; /* free_slow looks for it, too */
        hk_free_slow(ptr, code);
        return;
    }
    if (HK_TELEMETRY)
        hk_front_hits(front, code)->free_hits++;
}

#endif
