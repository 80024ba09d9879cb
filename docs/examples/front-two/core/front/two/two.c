/* SPDX-License-Identifier: MIT
 *
 * The stacks of two, as room.c sees them.
 */
#include "front/bin.h"

#include <string.h>

unsigned hk_bin_count(const struct hk_thread *thread, unsigned cls)
{
    return hk_peek(&thread->front->bin[cls].count);
}

/* Every class has a bin. */
unsigned hk_bin_set_up(struct hk_thread *thread, unsigned cls)
{
    thread->front->bin[cls] = (struct hk_bin){.slots = thread->own.slots[cls], .inverse = hk_class_inverse[cls]};
    return HK_TWO_MOST;
}

void hk_bin_set_cap(struct hk_thread *thread, unsigned cls)
{
    thread->front->bin[cls].cap = thread->own.room.cap[cls].now;
}

/* Neither is called: a refill is one block (hk_bin_batch), and that does not come to lie in the bin. */
void **hk_bin_top(struct hk_thread *thread, unsigned cls, unsigned n, void **lent)
{
    return lent + n - 1;
}

void *hk_bin_fill(struct hk_thread *thread, unsigned cls, void **top, unsigned n, unsigned got)
{
    return *top;
}

void **hk_bin_oldest(struct hk_thread *thread, unsigned cls, unsigned *n, void **lent)
{
    return thread->front->bin[cls].slots;
}

void hk_bin_drop(struct hk_thread *thread, unsigned cls, unsigned n)
{
    struct hk_bin *bin = &thread->front->bin[cls];
    hk_poke(&bin->count, (uint16_t)(bin->count - n)); /* statistics of other threads read it */
    memmove(bin->slots, bin->slots + n, bin->count * sizeof(void *));
}
