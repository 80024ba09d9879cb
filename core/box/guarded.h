/* SPDX-License-Identifier: MIT
 *
 * guarded: a few blocks that lie alone on a page, between pages that nobody may touch. Who writes or reads beside such
 * a block, or after it was freed, is stopped by the processor at that instruction; and what the block was, who asked
 * for it and who freed it is known then.
 *
 * A fixed number of slots, reserved once: a page for a block, and before and behind it one that stays hidden. Most
 * blocks end where their page ends (as far as their alignment lets them), one in four begins where it begins; the rest
 * of the page has a pattern, which is looked at when the block is freed. A freed slot is hidden and is used again as
 * late as possible.
 *
 * Any thread, any time, handlers and the child of a fork included: no lock is taken, a slot is its taker's by a
 * compare-and-swap of its state. Knows unwind, the SSArena (for HAKMEM_MEMORY_LIMIT) and os; must not know which blocks
 * are chosen, nor what is said of a fault.
 */
#ifndef HK_BOX_GUARDED_H
#define HK_BOX_GUARDED_H

#include "base/atomic.h"
#include "base/compiler.h"
#include "os/unwind.h"

#define HK_GUARDED_DEPTH 32u

/* Who did something, and how they came there. */
struct hk_guarded_stack {
    unsigned depth;
    unsigned thread; /* the kernel's number */
    char name[HK_THREAD_NAME];
    uintptr_t pc[HK_GUARDED_DEPTH]; /* innermost first */
};

/* Where all slots are; size 0: there are none. Written once, the size last. */
extern HK_HIDDEN _Atomic uintptr_t hk_guarded_base;
extern HK_HIDDEN _Atomic size_t hk_guarded_size;

/* Whoever has a block here sees both words: it was handed over after they were written. */
static inline bool hk_guarded_has(const void *ptr)
{
    return HK_UNLIKELY((uintptr_t)ptr - hk_load_relaxed(&hk_guarded_base) < hk_load_relaxed(&hk_guarded_size));
}

/* Reserves the slots; where there are some already, nothing. False: no memory. One thread at a time. */
bool hk_guarded_start(size_t slots);

/* No block can be larger. */
size_t hk_guarded_most(void);

/* A block that holds exactly `size` bytes (at least one, not above hk_guarded_most) at a multiple of 16, and of each
 * power of two that `size` is a multiple of. `first` is where the program's call returns to, as in hk_unwind. NULL: no
 * slot is free, or the system or the limit refuses. May change errno. */
void *hk_guarded_take(size_t size, const void *first);

/* Bytes of a live block that starts there; 0: none does. */
size_t hk_guarded_bytes(const void *ptr);

/* A word of a live block, 0 when it is handed out: the caller's, for what else there is to know of it. */
uintptr_t hk_guarded_tag(const void *ptr);
void hk_guarded_mark(void *ptr, uintptr_t tag);

/* ---- freeing ---- */

/* From now on the block is the caller's, who calls hk_guarded_hide. False: no live block starts there. */
bool hk_guarded_claim(void *ptr);

/* The first byte beside the claimed block, on its page, that somebody wrote to; NULL: none. */
const void *hk_guarded_damage(const void *ptr);

/* Nobody can touch the claimed block any more. May change errno. */
void hk_guarded_hide(void *ptr);

/* ---- what is known ---- */

enum hk_guarded_state {
    HK_GUARDED_UNUSED, /* it never had a block */
    HK_GUARDED_TAKEN,  /* a block is being made */
    HK_GUARDED_LIVE,
    HK_GUARDED_GOING, /* it is being freed */
    HK_GUARDED_FREED, /* it waits to be used again */
};

/* A slot's block, copied. */
struct hk_guarded_block {
    enum hk_guarded_state state;
    uintptr_t start;
    size_t size;
    struct hk_guarded_stack taken, freed; /* no depth and no thread: not known */
};

/* The block that an address belongs to: that of its page, or of a hidden page the nearer one that was used. False: none
 * was. */
bool hk_guarded_find(uintptr_t address, struct hk_guarded_block *block);

/* This thread, now. */
void hk_guarded_look(struct hk_guarded_stack *stack, const void *first);

/* ---- for statistics, and the search for leaks ---- */

struct hk_guarded_sums {
    size_t slots, live_blocks, live_bytes;
    uint64_t taken;   /* so far */
    uint64_t refused; /* by the system or the limit, so far */
};
struct hk_guarded_sums hk_guarded_count(void);

/* Bytes of a live block's page; the rest of all slots is not resident. */
size_t hk_guarded_page(void);

/* All mappings of this box, and each live block with its tag; blocks while nobody takes or gives any. */
void hk_guarded_visit(void (*visit)(void *ctx, void *start, size_t size), void *ctx);
void hk_guarded_visit_blocks(void (*visit)(void *ctx, void *start, size_t size, uintptr_t tag), void *ctx);

#endif
