/* SPDX-License-Identifier: MIT
 *
 * back: what is behind the bins: the arrays between fronts and the slabs, or (-Dtls_sll=enabled) a list per class and
 * then these. Included by front/room.c, front/back.c and front/percpu/percpu.c only: bins do not know where blocks come
 * from.
 *
 * The thread's own; what is behind synchronises. Must not know bins.
 */
#ifndef HK_FRONT_BACK_H
#define HK_FRONT_BACK_H

#include "front/front.h"

unsigned hk_back_list_take(struct hk_thread *thread, unsigned cls, void **top, unsigned n);
unsigned hk_back_list_give(struct hk_thread *thread, unsigned cls, void **blocks, unsigned n);
void hk_back_list_flush(struct hk_thread *thread);

/* How often a block lies in another slab than the block before it, the first counted. */
static inline unsigned hk_back_changes(void *const *blocks, unsigned n)
{
    unsigned changes = n != 0;
    for (unsigned i = 1; i < n; i++)
        changes += (uintptr_t)blocks[i] / HK_SLAB_SIZE != (uintptr_t)blocks[i - 1] / HK_SLAB_SIZE;
    return changes;
}

/* Takes 1...n blocks of a class: the first to top[0], the next to top[-1], downwards. Returns their number; 0: no
 * memory. */
static inline unsigned hk_back_take(struct hk_thread *thread, unsigned cls, void **top, unsigned n)
{
    return HK_TLS_SLL ? hk_back_list_take(thread, cls, top, n) : hk_transfer_or_take(&thread->heap, cls, top, n);
}

/* Gives n blocks of a class, which may be moved in `blocks`. Returns how often a block that went to its slab lay in
 * another one than the block before it, the first counted; 0: an array took all. */
static inline unsigned hk_back_give(struct hk_thread *thread, unsigned cls, void **blocks, unsigned n)
{
    return HK_TLS_SLL ? hk_back_list_give(thread, cls, blocks, n) : hk_transfer_or_give(&thread->heap, cls, blocks, n);
}

/* Gives what the lists hold to the slabs. */
static inline void hk_back_flush(struct hk_thread *thread)
{
    if (HK_TLS_SLL)
        hk_back_list_flush(thread);
}

#endif
