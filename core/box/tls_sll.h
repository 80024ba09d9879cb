/* SPDX-License-Identifier: MIT
 *
 * tls_sll: a list of ready blocks of one class, of one thread: singly linked through the first words of the blocks, the
 * newest first. It is the front's only level (-Dfront=none) or stands between the front and the slabs
 * (-Dtls_sll=enabled).
 *
 * A block on a list counts as used. The thread's own; nobody synchronises (statistics read the count). How long a list
 * may be is decided by whoever holds it. Must not know fronts, nor where blocks come from.
 */
#ifndef HK_BOX_TLS_SLL_H
#define HK_BOX_TLS_SLL_H

#include "superslab/slab.h"

/* 12 bytes, so that a bin has room for four more. Zeroed, it is both empty and full. */
struct hk_sll {
    void *first;    /* the newest; NULL: empty */
    uint16_t count; /* blocks on the list */
    uint16_t cap;   /* blocks that it may hold; at least count */
} __attribute__((packed, aligned(4)));

/* Takes the newest block. False: the list is empty, or a link was overwritten after its block was freed (then count is
 * not 0). A block is one whose slab has a class: what a program wrote into a freed block is never handed out. */
static HK_ALWAYS_INLINE bool hk_sll_pop(struct hk_sll HK_TLS_SPACE *list, void **block)
{
    void *first = list->first;
    if (HK_UNLIKELY(hk_registry_code(first) == 0))
        return false;
    list->first = *(void **)first;
    list->count--;
    *block = first;
    return true;
}

static HK_ALWAYS_INLINE bool hk_sll_has_room(const struct hk_sll HK_TLS_SPACE *list)
{
    return HK_LIKELY(list->count != list->cap);
}

/* There is room. */
static HK_ALWAYS_INLINE void hk_sll_push(struct hk_sll HK_TLS_SPACE *list, void *block)
{
    *(void **)block = list->first;
    list->first = block;
    list->count++;
}

/* In what follows, a list ends before a link that leads to no block: what should have come behind it counts as used for
 * ever, and that is noted (hk_corrupt_report). */

/* Takes up to n blocks: the first to top[0], the next to top[-1], and so on downwards; returns their number. */
unsigned hk_sll_take(struct hk_sll *list, unsigned cls, void **top, unsigned n);

/* Takes the oldest n blocks of a list that has at least so many, the newest of them to blocks[0]; returns their number.
 */
unsigned hk_sll_take_oldest(struct hk_sll *list, unsigned cls, void **blocks, unsigned n);

/* Before an empty list is filled: one that counts blocks and has given none is corrupted, and forgets them. */
void hk_sll_expect_empty(struct hk_sll *list, unsigned cls);

/* Puts n blocks of the class on the list, whatever its cap. */
void hk_sll_put(struct hk_sll *list, void *const *blocks, unsigned n);

#endif
