/* SPDX-License-Identifier: MIT
 *
 * side: blocks for whoever is turned away at the gate (box/gate.h): while a fork is in progress, and in a signal
 * handler that interrupted its own thread inside. They are pieces by powers of two, of mappings that no other box
 * knows, taken and given by one compare-and-swap; nothing is unmapped, but pieces of 16 KiB and more give their pages
 * back, all but 128 KiB of them. What such a caller frees of other boxes' blocks is put down here and freed later.
 *
 * A block that was handed out here is an ordinary one: its thread frees it whenever it likes. Any thread, any time, a
 * handler included: no lock is taken and nobody waited for. Knows the SSArena (for HAKMEM_MEMORY_LIMIT) and os only.
 */
#ifndef HK_BOX_SIDE_H
#define HK_BOX_SIDE_H

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/seen.h"

/* A block of at least `size` bytes (up to PTRDIFF_MAX) at a multiple of `align` (a power of two, 16 or more, up to
 * PTRDIFF_MAX), with any contents. NULL: no memory, or over the limit. */
void *hk_side_alloc(size_t align, size_t size);

struct hk_side_chunk;
extern HK_HIDDEN struct hk_side_chunk *_Atomic hk_side_chunks; /* all that were ever made; NULL in most processes */

static inline bool hk_side_is_used(void)
{
    return HK_UNLIKELY(hk_load_relaxed(&hk_side_chunks) != NULL); /* whoever has a block here sees its chunk */
}

/* Bytes in live blocks. A chunk has the next one at its start, then its size. */
extern HK_HIDDEN hk_seen hk_side_seen[1];

/* Does the address lie in one of these mappings? */
bool hk_side_has(const void *ptr);

/* A word of a live block, 0 when it is handed out: the caller's, for what else there is to know of it. */
uintptr_t hk_side_tag(const void *ptr);

/* Sets it, of a block just taken that holds `size` bytes from now on, not more than it does. */
void hk_side_mark(void *ptr, size_t size, uintptr_t tag);

/* Bytes of a live block; 0: ptr is not the start of one. */
size_t hk_side_size(const void *ptr);

/* What is known of a pointer that is no live block: the live one that it lies in, or NULL; and the tag of the last one
 * that started there, or what a program wrote there. */
const void *hk_side_around(const void *ptr, size_t *size);
uintptr_t hk_side_last_tag(const void *ptr);

/* False: as above, and nothing happened. */
bool hk_side_free(void *ptr);

/* ---- blocks of other boxes that are to be freed later ---- */

struct hk_side_note {
    struct hk_side_note *next;
    void *ptr;
};
extern HK_HIDDEN struct hk_side_note *_Atomic hk_side_notes;

/* Puts ptr down. Where there is no memory for that the block is lost. */
void hk_side_defer(void *ptr);

static inline bool hk_side_has_deferred(void)
{
    return HK_UNLIKELY(hk_load_relaxed(&hk_side_notes) != NULL); /* a hint */
}

/* Takes all that were put down, linked through `next`; each note is a block of this box, the caller's to free. */
struct hk_side_note *hk_side_take_deferred(void);

/* Calls `visit` for each live block, with its tag; for what cannot be told, because somebody was stopped in the middle
 * of making a block there, `unclear`. While nobody takes or gives blocks. */
struct hk_side_visitor {
    void (*block)(void *ctx, void *start, size_t size, uintptr_t tag);
    void (*unclear)(void *ctx, void *start, size_t size);
    void *ctx;
};
void hk_side_visit_blocks(const struct hk_side_visitor *visitor);

/* Live blocks and their bytes; calls `visit` for each mapping, of which `used` bytes were handed out once. For
 * statistics.
 */
void hk_side_live(size_t *blocks, size_t *bytes);
void hk_side_visit(void (*visit)(void *ctx, void *start, size_t size, size_t used), void *ctx);

#endif
