/* SPDX-License-Identifier: MIT
 *
 * fast: the two fast paths. Read this first.
 *
 *   malloc(n): the bin of n's class; a block of it, unless the bin is empty.
 *   free(p):   the bin of the class of p's slab; p becomes its newest block, unless the bin is full.
 *
 * Which block, the chosen front says: the newest, or in a ring the oldest.
 *
 * No lock, no counter, no call. Three checks stop wrong frees: class 0 (not ours, or the slab is EMPTY), a start that
 * is no multiple of the block size from its slab, or lies behind all that were ever handed out in a slab of the class
 * (the tail behind the last block too), and the mark that a free block carries in its second word, or one that waits to
 * be handed out for the first time. What they cannot see: a block freed twice whose second word the program overwrote
 * in between, and a stale pointer to a block that was handed out again.
 *
 * A start that its own slab has not come to yet, while another slab has, passes them where it lies on a page that is
 * not in use, or is larger than 2 KiB, or in a slab that was in use before. It is found in every slow path: when it is
 * freed there, when it leaves the fronts for its slab (hk_heap_give), when an untouched slab of smaller blocks comes to
 * its page and it is in a bin or begins with a link (mark_starts in superslab/slab.c). Handed out meanwhile, from its
 * bin or by an array to another front, and never given back, it is not found.
 *
 * 14 + 24 instructions with the default front, the returns included (gcc 12, x86-64); tests/lint/fastpath.py counts
 * them, and tests/lint/meson.build has the counts of the other choices. -Dtelemetry=enabled adds one counter to each,
 * -Dsignals=enabled the hold of the front (front.h).
 */
#ifndef HK_FRONT_FAST_H
#define HK_FRONT_FAST_H

#include "front/front.h"
#include "front/slow.h"

typedef void *hk_slow_malloc(size_t size);

/* `slow` is a constant: the tail call is direct. */
static HK_ALWAYS_INLINE void *hk_malloc_fast(size_t size, hk_slow_malloc *slow)
{
    if (!HK_SIGNALS && HK_UNLIKELY(size > HK_TINY_MAX))
        return slow(size);
    struct hk_front HK_TLS_SPACE *front = hk_front_self();
    if (HK_UNLIKELY(!hk_front_hold_for(front, size)))
        return slow(size);
    unsigned code = front->code_of[(size + 15) / 16];
    void *block;
    bool found = hk_bin_pop(hk_front_bin(front, code), &block);
    hk_front_let_go(front);
    if (HK_UNLIKELY(!found))
        return slow(size);
    if (HK_TELEMETRY)
        hk_front_hits(front, code)->malloc_hits++;
    hk_slab_unmark(block);
    return block;
}

static HK_ALWAYS_INLINE void hk_free_fast(void *ptr)
{
    struct hk_front HK_TLS_SPACE *front = hk_front_self();
    unsigned code;
    if (HK_UNLIKELY(!hk_registry_lookup(ptr, &code))) {
        hk_free_outside(ptr);
        return;
    }
    struct hk_bin HK_TLS_SPACE *bin = hk_front_bin(front, code);
    if (HK_UNLIKELY(hk_slab_is_beyond((uint16_t)(uintptr_t)ptr * bin->inverse, code))) {
        hk_free_slow(ptr, code);
        return;
    }
    if (HK_UNLIKELY(!hk_front_hold(front))) {
        hk_free_slow(ptr, code);
        return;
    }
    struct hk_spot spot;
    if (HK_UNLIKELY(!hk_bin_has_room(bin, front->thread, ptr, &spot))) {
        hk_front_let_go(front);
        hk_free_slow(ptr, code);
        return;
    }
    uintptr_t *block = ptr;
    if (HK_UNLIKELY(block[1] == hk_free_mark(block))) {
        hk_front_let_go(front);
        hk_free_slow(ptr, code);
        return;
    }
    block[1] = hk_free_mark(block);
    bool put = hk_bin_push(bin, spot, ptr);
    hk_front_let_go(front);
    if (HK_UNLIKELY(!put)) {
        block[1] = 0; /* free_slow looks for it, too */
        hk_free_slow(ptr, code);
        return;
    }
    if (HK_TELEMETRY)
        hk_front_hits(front, code)->free_hits++;
}

#endif
