/* SPDX-License-Identifier: MIT
 *
 * huge: blocks above 32 MiB, or aligned beyond what a run can be: a mapping each, known by its start.
 *
 * One lock, rank huge, around the table; system calls are made outside it. Must not know runs or slabs.
 */
#ifndef HK_LARGE_HUGE_H
#define HK_LARGE_HUGE_H

#include "base/bits.h"
#include "base/seen.h"
#include "os/lock.h"

/* A zero block of at least `size` bytes at a multiple of `align` (a power of two); NULL: no memory or over the limit.
 */
void *hk_huge_alloc(size_t size, size_t align);

/* False: ptr is not the start of a huge block, and nothing happened. */
bool hk_huge_free(void *ptr);

/* Usable bytes, 0 when ptr is not the start of a huge block. */
size_t hk_huge_size(const void *ptr);

/* The same without a lock: right for a live block, unless another thread, at work on the table at that moment, leads
 * the search astray, which then finds nothing. */
size_t hk_huge_look(const void *ptr);

/* Looks until it must be none. For callers that must not wait: a handler that interrupted the lock's holder, or a
 * thread that a fork must not wait for. */
size_t hk_huge_look_long(const void *ptr);

/* A word of a huge block, 0 when it is new: its owner's, for what else there is to know of it. Looks, without a lock,
 * until ptr must be none: false. */
bool hk_huge_tag(const void *ptr, uintptr_t *tag);

/* Makes it `tag` where it is `before`; returns the block's usable bytes, or 0: it is another, or there is no such
 * block.
 */
size_t hk_huge_set_tag(const void *ptr, uintptr_t before, uintptr_t tag);

/* The same without the lock; false where the search is led astray, too. */
bool hk_huge_swap_tag(const void *ptr, uintptr_t before, uintptr_t tag);

/* Some block with this tag, or NULL. */
void *hk_huge_with_tag(uintptr_t tag);

/* The start and size of the huge block that ptr points into, or NULL. For messages. */
void *hk_huge_around(const void *ptr, size_t *size);

/* Grows or shrinks without copying; the block may move. NULL: refused, nothing changed. */
void *hk_huge_resize(void *ptr, size_t size);

/* Bytes in huge blocks. */
size_t hk_huge_bytes(void);

/* Calls `visit` for each huge block, under the lock. */
void hk_huge_visit(void (*visit)(void *ctx, void *start, size_t size), void *ctx);

/* The table: buckets of linked records, each the next one, where it starts and its size. */
#define HK_HUGE_BUCKETS 256u
extern HK_HIDDEN hk_seen hk_huge_seen[1];

struct hk_lock *hk_huge_lock(void);

#endif
