/* SPDX-License-Identifier: MIT
 *
 * The lists of the slim front.
 */
#include "front/bin.h"

unsigned hk_bin_count(const struct hk_thread *thread, unsigned cls)
{
    return hk_peek(&thread->front->bin[cls].list.count);
}

unsigned hk_bin_set_up(struct hk_thread *thread, unsigned cls)
{
    thread->front->bin[cls].inverse = hk_class_inverse[cls];
    return cls <= HK_TINY_LAST ? (unsigned)hk_min(32768 / hk_class_size(cls), HK_NONE_MOST)
                               : HK_MID_ROOM(hk_class_size(cls));
}

void hk_bin_set_cap(struct hk_thread *thread, unsigned cls)
{
    thread->front->bin[cls].list.cap = thread->own.room.cap[cls].now;
}

void **hk_bin_top(struct hk_thread *thread, unsigned cls, unsigned n, void **lent)
{
    hk_sll_expect_empty(&thread->front->bin[cls].list, cls);
    return lent + n - 1;
}

void *hk_bin_fill(struct hk_thread *thread, unsigned cls, void **top, unsigned n, unsigned got)
{
    hk_sll_put(&thread->front->bin[cls].list, top + 1 - got, got - 1);
    return *top;
}

void **hk_bin_oldest(struct hk_thread *thread, unsigned cls, unsigned *n, void **lent)
{
    *n = hk_sll_take_oldest(&thread->front->bin[cls].list, cls, lent, *n);
    return lent;
}

/* They have left with hk_bin_oldest. */
void hk_bin_drop(struct hk_thread *thread, unsigned cls, unsigned n)
{
}
