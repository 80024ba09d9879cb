/* SPDX-License-Identifier: MIT
 *
 * bin: what a bin is to room.c, for the fronts that keep blocks by the piece. The chosen front's sources provide it,
 * room.c asks. Included by front/room.c, front/array.c and front/ANY/ANY.c only. A bin hands arrays of blocks out and
 * takes them in: where they come from and where they go it does not know.
 *
 * The thread's own; nobody synchronises (statistics count, see hk_bin_count). What each front has in its bin_box.h:
 *
 *   unsigned hk_bin_wanted(const struct hk_cap *cap, unsigned cls)
 *       How many blocks a bin that missed wants room for, at most cap->max. Where it wants no more: cap->now, or less.
 *   bool hk_bin_takes_rest(unsigned cls)
 *       Does a bin that cannot have all of that take what there is?
 *   unsigned hk_bin_batch(unsigned cap, unsigned cls)
 *       The blocks that a refill asks for, at least one.
 *   HK_BIN_LENT
 *       Places of the array that it wants lent; 1: it has arrays of its own.
 *   void **hk_bin_top(struct hk_thread *thread, unsigned cls, unsigned n, void **lent)
 *       Where n blocks for an empty bin are to be put: the first to top[0], the next to top[-1], downwards.
 *   void *hk_bin_fill(struct hk_thread *thread, unsigned cls, void **top, unsigned n, unsigned got)
 *       `got` of these n are there. Returns one; the others are in the bin.
 *   void **hk_bin_oldest(struct hk_thread *thread, unsigned cls, unsigned *n, void **lent)
 *       The oldest n blocks, in a row from the address that is returned; *n is how many there are where a list is found
 *       corrupted.
 *   void hk_bin_drop(struct hk_thread *thread, unsigned cls, unsigned n)
 *       These n have left.
 */
#ifndef HK_FRONT_BIN_H
#define HK_FRONT_BIN_H

#include "front/front.h"

/* Blocks of a class in its bin. Its thread, or the heap's lock while `seen` is not NULL: then about so many. */
unsigned hk_bin_count(const struct hk_thread *thread, unsigned cls);

/* First use of a class by this thread; no room yet. Returns the most blocks that the bin may ever hold; 0: an option
 * says that the class has none, and its bin stays zero. */
unsigned hk_bin_set_up(struct hk_thread *thread, unsigned cls);

/* Makes the bin's own idea of "full" agree with its cap, which is at least what it holds. */
void hk_bin_set_cap(struct hk_thread *thread, unsigned cls);

/* With inline functions where they are worth it. */
#include "bin_box.h"

#endif
