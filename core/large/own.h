/* SPDX-License-Identifier: MIT
 *
 * own: heaps of one's own, which a program makes, takes blocks from and gives away as a whole.
 *
 * The policy in five sentences. A heap is page runs; its record lies in the first one, of 4 KiB. The next run is as
 * long as all so far together, up to 64 KiB, and from 512 KiB on an eighth of them, up to 2 MiB. Blocks up to 32 KiB
 * are pieces, cut one behind the other from the run with most room, whatever their sizes, and free ones wait in a list
 * of their class; a run of which no piece is live becomes the one that is cut from, or goes back. A larger block has a
 * run for itself, or a mapping above 32 MiB. Whoever destroys a heap gives its runs back and looks at no block.
 *
 * Before each piece stand eight bytes: its length, and a word that tells a live one from a free one and from anything
 * else. One bit per page tells where a run begins, so that any address finds its run, and there its heap, without a
 * lock.
 *
 * Each heap has a lock; one more guards the list of all heaps and the table of those bits. Callers are inside the gate,
 * but for the questions that say so. Who is turned away there frees nevertheless (hk_own_free_later). Must not know
 * slabs, threads' heaps or fronts, nor who frees.
 */
#ifndef HK_LARGE_OWN_H
#define HK_LARGE_OWN_H

#include "base/assert.h"
#include "base/atomic.h"
#include "base/bits.h"
#include "superslab/block.h"

struct hk_own; /* a heap */

/* Pages from the first unit on whose bits there are; 0: there was no heap yet. */
extern HK_HIDDEN _Atomic size_t hk_own_pages;

static inline bool hk_own_is_used(void)
{
    return HK_UNLIKELY(hk_load_acquire(&hk_own_pages) != 0); /* pairs with reach_pages */
}

/* An empty heap whose runs and mappings are never more than `limit` bytes together; 0: there is no limit. NULL: no
 * memory, or a limit below one page. */
struct hk_own *hk_own_new(size_t limit);

/* Does a heap have this address? No lock; of a heap that is destroyed at that moment the answer is either. */
bool hk_own_is_heap(const struct hk_own *heap);

/* The first half of its end: from now on it is no heap any more, and the caller's alone. False: it was none, or another
 * thread was faster. */
bool hk_own_leave(struct hk_own *heap);

/* The second half: all of it goes at once. */
void hk_own_drop(struct hk_own *heap);

/* What is asked for, and what is known of the answer. */
struct hk_own_want {
    size_t align, size; /* bytes: a power of two, 16 or more; anything */
    bool zero;          /* the block is known to be zero */
    bool limited;       /* the heap's limit refused it, */
    bool refused;       /* or it is broken: to try again does not help */
};

/* A block. NULL: no memory, or refused. */
void *hk_own_take(struct hk_own *heap, struct hk_own_want *want);

/* Counts a call of the program's that the limit refused, however often it has tried. */
void hk_own_count_refusal(struct hk_own *heap);

/* The live block of some heap that starts at ptr, or HK_BLOCK_NONE. Its owner asks: no lock, outside the gate too. */
struct hk_block hk_own_find(const void *ptr);

/* The heap of a live block that hk_own_find has found. */
struct hk_own *hk_own_of(const struct hk_block *block);

/* Frees a block that hk_own_find has found. False: it was freed meanwhile, and nothing happened. */
bool hk_own_free(const struct hk_block *block);

/* The same for who is turned away at the gate: takes no lock. The next call for that heap completes it. False: as
 * above, or others' work leads the search astray. */
bool hk_own_free_later(const struct hk_block *block);

/* Mappings of all heaps that were freed so and are still there. */
extern HK_HIDDEN _Atomic size_t hk_own_waiting;

/* May the next call unmap some? A hint. */
static inline bool hk_own_has_waiting(void)
{
    return HK_UNLIKELY(hk_load_relaxed(&hk_own_waiting) != 0);
}

/* Makes a large block hold `size` bytes without a copy, up to `roomy` where there is room; NULL: that cannot be done
 * (then take, copy, free). A mapping may move. */
void *hk_own_resize(const struct hk_block *block, size_t size, size_t roomy);

/* What a wrong pointer is taken for; takes its heap's lock. A block that was freed, a pointer into a live one, or
 * neither. `block` is NULL where no run of any heap is. */
struct hk_own_finding {
    enum hk_misuse kind;
    const void *block; /* the start of the piece or large block */
    size_t size;       /* usable bytes; 0: not known */
};
struct hk_own_finding hk_own_find_wrong(const void *ptr);

struct hk_own_sums {
    size_t heaps;
    size_t live_bytes, live_blocks; /* in the program's hands: usable bytes */
    size_t large_bytes;             /* part of live_bytes in mappings */
    size_t large_blocks;
    size_t held_bytes, runs; /* page runs; without mappings */
    size_t peak_bytes;       /* most that was held, mappings included; of one heap */
    size_t limit;            /* of one heap */
    uint64_t refused;        /* calls that the limit of one heap refused */
};

/* Of one heap, under its lock. */
struct hk_own_sums hk_own_count(struct hk_own *heap);

/* Of all, for statistics: each heap's figures belong to slightly different moments. */
struct hk_own_sums hk_own_count_all(void);

/* The table of bits. */
void hk_own_visit(void (*visit)(void *ctx, void *start, size_t size), void *ctx);

/* In the child of a fork. A lock that is held then was its holder's whom a signal handler that forked had interrupted:
 * `inside`, it may be this thread's, which goes on; else nobody does, and the heap takes and gives no more. */
void hk_own_fork_child(bool inside);

/* Walks every run of a heap. (own_check.c: tests) */
bool hk_own_check(struct hk_own *heap);

#endif
