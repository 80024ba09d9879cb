/* SPDX-License-Identifier: MIT
 *
 * The rings, as room.c sees them: which classes have them, how large they are, refill and flush.
 */
#include "front/bin.h"

#include <string.h>

/* Blocks that the options give a class. */
static unsigned by_option(unsigned cls)
{
    static const enum hk_option entries[HK_CLASS_GROUPS - 1] = {
        HK_OPT_TINY_HOT_RING_C0, HK_OPT_TINY_HOT_RING_C1, HK_OPT_TINY_HOT_RING_C2, HK_OPT_TINY_HOT_RING_C3,
        HK_OPT_TINY_HOT_RING_C4, HK_OPT_TINY_HOT_RING_C5, HK_OPT_TINY_HOT_RING_C6, HK_OPT_TINY_HOT_RING_C7,
    };
    return cls <= HK_TINY_LAST ? (unsigned)hk_opt(entries[hk_class_group(cls)]) : HK_BIN_MAX(hk_class_size(cls));
}

unsigned hk_bin_count(const struct hk_thread *thread, unsigned cls)
{
    const struct hk_bin *bin = &thread->front->bin[cls];
    return (uint8_t)(hk_peek(&bin->tail) - hk_peek(&bin->head));
}

unsigned hk_bin_set_up(struct hk_thread *thread, unsigned cls)
{
    struct hk_front_own *own = &thread->own;
    unsigned most = by_option(cls);
    if (most < 2) /* a bin with room for one is bypassed */
        return 0;
    if (own->ring[cls] == NULL)
        own->ring[cls] = own->slots[own->rings_used++];
    struct hk_bin *bin = &thread->front->bin[cls]; /* zero; others look at its places (hk_bin_count) */
    bin->slots = own->ring[cls];
    bin->inverse = hk_class_inverse[cls];
    return most;
}

void hk_bin_set_cap(struct hk_thread *thread, unsigned cls)
{
    thread->front->bin[cls].cap = (uint8_t)thread->own.room.cap[cls].now;
}

void **hk_bin_top(struct hk_thread *thread, unsigned cls, unsigned n, void **lent)
{
    return thread->front->bin[cls].slots + n - 1;
}

/* They were written downwards, so the first block lies last: the batch is turned round, and lowest addresses are handed
 * out first, as with other fronts. Where they lie in any order that is of no use. */
void *hk_bin_fill(struct hk_thread *thread, unsigned cls, void **top, unsigned n, unsigned got)
{
    struct hk_bin *bin = &thread->front->bin[cls];
    void **slots = top - (n - 1);
    for (unsigned low = n - got, high = n - 1; !HK_SHUFFLE && low < high; low++, high--) {
        void *block = slots[low];
        slots[low] = slots[high];
        slots[high] = block;
    }
    hk_poke(&bin->head, (uint8_t)(n - got + 1));
    hk_poke(&bin->tail, (uint8_t)n);
    return slots[n - got];
}

/* In a row, wherever the ring wraps. They leave the ring at once: the next malloc takes from the same end. */
void **hk_bin_oldest(struct hk_thread *thread, unsigned cls, unsigned *n, void **lent)
{
    struct hk_bin *bin = &thread->front->bin[cls];
    unsigned first = (unsigned)hk_min(*n, HK_RING_SLOTS - bin->head);
    memcpy(lent, bin->slots + bin->head, first * sizeof(void *));
    memcpy(lent + first, bin->slots, (*n - first) * sizeof(void *));
    hk_poke(&bin->head, (uint8_t)(bin->head + *n));
    return lent;
}

/* They have left with hk_bin_oldest. */
void hk_bin_drop(struct hk_thread *thread, unsigned cls, unsigned n)
{
}
