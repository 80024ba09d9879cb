/* SPDX-License-Identifier: MIT
 *
 * meta: memory for the allocator's own records, away from the user's. Records are zero, aligned to a cache line and
 * never given back (their users keep free lists), so a stale pointer to one always points to a record of its kind.
 *
 * Own lock, rank meta, the innermost. Knows os and base; must not know what the records are.
 */
#ifndef HK_PAGES_META_H
#define HK_PAGES_META_H

#include "base/bits.h"
#include "base/seen.h"

/* A zeroed record, or NULL. Any thread. */
void *hk_meta_alloc(size_t size);

/* Bytes handed out so far. */
size_t hk_meta_used(void);

/* The newest region: at its start stand the one before it and its size. */
extern HK_HIDDEN hk_seen hk_meta_seen[1];

/* For fork. */
struct hk_lock *hk_meta_lock(void);

/* Calls `visit` for each region (start, length), under the lock. */
void hk_meta_visit(void (*visit)(void *ctx, void *start, size_t size), void *ctx);

#endif
