/* SPDX-License-Identifier: MIT
 *
 * The stacks of two, as room.c sees them.
 */
#include "front/front.h"

#include <string.h>

unsigned hk_bin_count(const struct hk_thread *thread, unsigned cls)
{
    return thread->front != NULL ? thread->front->bin[cls].count : 0;
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

/* n is what hk_bin_batch says: one, which does not come to lie in the bin. */
void *hk_bin_fill(struct hk_thread *thread, unsigned cls, unsigned n, unsigned *got)
{
    void *block = NULL;
    *got = hk_back_take(thread, cls, &block, n);
    return block;
}

unsigned hk_bin_drop(struct hk_thread *thread, unsigned cls, unsigned n)
{
    struct hk_bin *bin = &thread->front->bin[cls];
    unsigned slabs = hk_back_give(thread, cls, bin->slots, n);
    bin->count = (uint16_t)(bin->count - n);
    memmove(bin->slots, bin->slots + n, bin->count * sizeof(void *));
    return slabs;
}
