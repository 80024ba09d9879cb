/* SPDX-License-Identifier: MIT
 *
 * array_bin: how bins that are arrays hand blocks over: in place, a refill where it will lie, a flush from where it
 * lay.
 *
 * Included by front/ANY/bin_box.h only. Who synchronises: as in front/bin.h.
 */
#ifndef HK_FRONT_ARRAY_BIN_H
#define HK_FRONT_ARRAY_BIN_H

#include <string.h>

#define HK_BIN_LENT 1u

static inline void **hk_bin_top(struct hk_thread *thread, unsigned cls, unsigned n, void **lent)
{
    return thread->own.base[cls] + n;
}

static inline void *hk_bin_fill(struct hk_thread *thread, unsigned cls, void **top, unsigned n, unsigned got)
{
    void **base = top - n;
    if (got < n)
        memmove(base + 1, base + 1 + n - got, got * sizeof(void *));
    hk_poke(&thread->front->bin[cls].cur, base + got - 1);
    return base[got];
}

static inline void **hk_bin_oldest(struct hk_thread *thread, unsigned cls, unsigned *n, void **lent)
{
    return thread->own.base[cls] + 1;
}

static inline void hk_bin_drop(struct hk_thread *thread, unsigned cls, unsigned n)
{
    void **base = thread->own.base[cls];
    unsigned count = hk_bin_count(thread, cls), left = count - (unsigned)hk_min(n, count);
    memmove(base + 1, base + 1 + n, left * sizeof(void *));
    hk_poke(&thread->front->bin[cls].cur, base + left);
}

#endif
