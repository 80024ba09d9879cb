/* SPDX-License-Identifier: MIT
 *
 * heap_lists: what a front without arrays needs of a heap (-Dfront=slab): lists of blocks that change hands as a whole,
 * and the private lists beside the slabs.
 *
 * A list that was taken counts as used, all of it at once, so that its thread hands blocks out without a count. Nobody
 * else can release the slab before it has come back. Who synchronises is said at each function. Must not know fronts: a
 * thread is a word that only its own free compares.
 */
#ifndef HK_BOX_HEAP_LISTS_H
#define HK_BOX_HEAP_LISTS_H

#include "box/heap.h"

/* Blocks of the active slab of a class, linked through their first words: what the thread freed to it, else all that
 * the slab's list has, else up to `n` others (at most HK_LIST_BATCH). Returns the slab, or NULL when it has none left
 * (then hk_heap_take knows more); *count is their number. The heap's thread; takes the lock. */
struct hk_slab *hk_heap_take_list(struct hk_heap *heap, unsigned cls, unsigned n, void **first, unsigned *count);

#define HK_LIST_BATCH 64u

/* Frees a block of a slab of this heap, together with the private list, which is open for `thread` afterwards. Returns
 * how many blocks that were. A slab that nothing is outside of is released. The heap's thread; takes the lock. */
unsigned hk_heap_free_own(struct hk_heap *heap, struct hk_slab *slab, void *block, const void *thread);

/* Puts all private lists back into their slabs and closes them. The heap's thread; takes the lock. */
void hk_heap_close_lists(struct hk_heap *heap);

/* Blocks of a class on private lists. Any thread; takes the lock. */
unsigned hk_heap_count_lists(struct hk_heap *heap, unsigned cls);

#endif
