/* SPDX-License-Identifier: MIT
 *
 * slow: what the fast paths leave to: first use of a thread, empty and full bins, large sizes, wrong pointers.
 *
 * Any thread; no lock is held on entry or exit.
 */
#ifndef HK_FRONT_SLOW_H
#define HK_FRONT_SLOW_H

#include "base/assert.h"
#include "base/compiler.h"

struct hk_block;

/* No system gives as much, unless asked for high addresses: what is larger or aligned to more is refused at once, and
 * nothing is given up for it. */
#define HK_SIZE_MOST ((size_t)1 << 48)

/* Tiny sizes whose bin is empty; larger ones go on to their own bin or the page heap. NULL and ENOMEM. */
HK_NOINLINE void *hk_malloc_slow(size_t size);

/* At least `size` zero bytes; NULL and ENOMEM. */
HK_NOINLINE void *hk_calloc_slow(size_t size);

/* At a multiple of `align`, a power of two above 16. NULL and ENOMEM. */
HK_NOINLINE void *hk_malloc_aligned(size_t align, size_t size);

/* Everything but the common case of free, for a pointer whose code was just looked up; keeps errno. */
HK_NOINLINE void hk_free_slow(void *ptr, unsigned code);

/* The rest of that for a block that is free by now, and says so: found to be live, and marked. */
HK_NOINLINE void hk_free_checked(void *ptr, unsigned code);

/* The same as hk_free_slow where the fast path's look-up finds no code; NULL, too. */
HK_NOINLINE void hk_free_outside(void *ptr);

/* After a fork: frees what threads put down that were turned away meanwhile. */
void hk_front_free_deferred(void);

/* A block whose code is 0, as it was found (front/block.h), deferred blocks left alone; keeps errno. */
HK_NOINLINE void hk_free_large(const struct hk_block *block);

/* A run, a mapping or a block of a heap of one's own, inside the gate; false: there is no such block. */
bool hk_give_large(const struct hk_block *block);

/* Any pointer without a code but NULL, likewise. */
HK_NOINLINE void hk_free_unknown(void *ptr);

/* The common case of a size above 32 KiB: a page run. NULL: hk_malloc_slow knows more; errno is as it was. */
HK_NOINLINE void *hk_malloc_run(size_t size);

/* Resizes a live block; NULL and ENOMEM (EINVAL after a message), and the block as it was; but to a smaller size never
 * ENOMEM. size is not 0. */
HK_NOINLINE void *hk_resize(void *ptr, size_t size);

/* malloc_trim: this thread's front and everything else that nothing lives in goes back to the system, but for about
 * `keep` bytes; true when any did. Keeps errno. */
bool hk_trim(size_t keep);

#endif
