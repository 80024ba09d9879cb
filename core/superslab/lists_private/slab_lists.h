/* SPDX-License-Identifier: MIT
 *
 * slab_lists, private (-Dfront=slab): beside each slab's record a list of blocks that the slab's thread freed and that
 * are not back in the slab yet. They count as used. Included by superslab/slab.h only.
 *
 * While `thread` names it, a list is that thread's alone, and it is opened and closed under the owner's lock. Whoever
 * holds that lock may take the list when every block outside the slab is on it: its thread has none left to push. Must
 * not know slabs, nor what a thread is.
 */
#ifndef HK_SUPERSLAB_SLAB_LISTS_H
#define HK_SUPERSLAB_SLAB_LISTS_H

#include "base/atomic.h"
#include "base/compiler.h"

struct hk_private {
    void *first;                /* linked through their first words */
    uint32_t opened;            /* `used` when the list was opened */
    _Atomic uint32_t left;      /* of these, blocks not pushed yet; opened - left are on the list */
    const void *_Atomic thread; /* who may push; relaxed: a thread only looks for itself */
} HK_ALIGNED(HK_CACHE_LINE);
_Static_assert(offsetof(struct hk_private, opened) == 8 && offsetof(struct hk_private, left) == 12,
               "as seen from outside");

/* `thread` of a closed list: empty, opened and left are 0. No thread, and not NULL. */
#define HK_NOBODY ((const void *)2)

/* Blocks on the list; exact for its thread, and when no block of the slab is with the program. */
static inline unsigned hk_private_count(const struct hk_private *list)
{
    return list->opened - hk_load_acquire(&list->left); /* pairs with hk_private_push */
}

/* Forgets the list, which is empty, or whose blocks the caller has taken. Owner's lock. */
static inline void hk_private_close(struct hk_private *list)
{
    list->first = NULL;
    list->opened = 0;
    hk_store_relaxed(&list->left, 0);
    hk_store_relaxed(&list->thread, HK_NOBODY);
}

/* Lets a thread push up to `used` blocks, the last of them not without the lock. The list is closed. Owner's lock. */
static inline void hk_private_open(struct hk_private *list, const void *thread, uint32_t used)
{
    list->opened = used;
    hk_store_relaxed(&list->left, used);
    hk_store_relaxed(&list->thread, thread);
}

/* Its thread; `left` is what the list says. */
static HK_ALWAYS_INLINE void hk_private_push(struct hk_private *list, uint32_t left, void *block)
{
    *(void **)block = list->first;
    list->first = block;
    hk_store_release(&list->left, left - 1); /* pairs with hk_private_count: whoever counts the block finds it linked */
}

/* `used` blocks are outside the slab. If no block of it is with the program, nor in chains, those of the list are all
 * of them, and from now on nothing is outside: returns how many they were, else 0. Owner's lock. */
static inline uint32_t hk_private_reclaim(struct hk_private *list, uint32_t *used)
{
    uint32_t count = *used;
    if (count == 0 || count != hk_private_count(list))
        return 0;
    hk_poke(used, 0);
    hk_private_close(list);
    return count;
}

#endif
