/* SPDX-License-Identifier: MIT
 *
 * The lists of the slim front.
 */
#include "front/front.h"

unsigned hk_bin_count(const struct hk_thread *thread, unsigned cls)
{
    return hk_peek(&thread->front->bin[cls].list.count);
}

unsigned hk_bin_set_up(struct hk_thread *thread, unsigned cls)
{
    thread->front->bin[cls].inverse = hk_class_inverse[cls];
    return cls <= HK_TINY_LAST ? (unsigned)hk_min(hk_max(32768 / hk_class_size(cls), 16), HK_NONE_MOST) : HK_MID_ROOM;
}

void hk_bin_set_cap(struct hk_thread *thread, unsigned cls)
{
    thread->front->bin[cls].list.cap = thread->own.room.cap[cls].now;
}

void *hk_bin_fill(struct hk_thread *thread, unsigned cls, unsigned n, unsigned *got)
{
    struct hk_sll *list = &thread->front->bin[cls].list;
    void *block = NULL;
    *got = hk_sll_refill(list, &thread->heap, cls, n);
    if (*got != 0)
        hk_sll_take(list, cls, &block, 1);
    return block;
}

unsigned hk_bin_drop(struct hk_thread *thread, unsigned cls, unsigned n)
{
    return hk_sll_flush(&thread->front->bin[cls].list, &thread->heap, cls, n);
}
