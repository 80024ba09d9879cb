/* SPDX-License-Identifier: MIT
 *
 * shelf: where shelves are, and who has one now. A shelf is in the table, where the sequences of its processor change
 * it; or somebody has taken it away, and nobody else touches it (but for its room, see front_box.h).
 *
 * Any thread inside the gate. Who takes one away swaps it for none, so of several one has it; nobody waits. Must not
 * know what is done with it. Included by front/percpu/ANY.c only.
 */
#ifndef HK_FRONT_PERCPU_SHELF_H
#define HK_FRONT_PERCPU_SHELF_H

#include "front/front.h"

/* A table has so many shelves as they are now, and behind them the same ones, whoever has them. 1: each thread has its
 * own. 0 before the first thread has bins; then it stays. */
extern HK_HIDDEN _Atomic unsigned hk_shelf_processors;

/* Gives this thread bins, unless it cannot have some now: the kernel does not know it, or no memory. */
void hk_shelf_give_bins(struct hk_thread *thread);

/* Makes the shelf of the processor that this thread runs on, where there is none; NULL: no memory, or somebody else is
 * making one. */
HK_SLOW_PATH struct hk_shelf *hk_shelf_make(struct hk_thread *thread);

/* NULL: this thread has no bins. */
static inline struct hk_shelf *_Atomic *hk_shelf_table(const struct hk_thread *thread)
{
    return thread->front->bin[1].table;
}

/* The shelf of a processor, whoever has it; NULL: none was made. */
static inline struct hk_shelf *hk_shelf_of(struct hk_shelf *_Atomic *table, unsigned processor)
{
    unsigned processors = hk_load_relaxed(&hk_shelf_processors); /* came with the table */
    return HK_LIKELY(processor < processors)
               ? hk_load_acquire(&table[processors + processor]) /* pairs with the release in hk_shelf_make */
               : NULL;
}

/* That of the processor that this thread runs on; it may be elsewhere when that is used. NULL: none can be had. */
static inline struct hk_shelf *hk_shelf_here(struct hk_thread *thread)
{
    struct hk_shelf *_Atomic *table = hk_shelf_table(thread);
    struct hk_shelf *shelf = HK_LIKELY(table != NULL) ? hk_shelf_of(table, hk_rseq_processor()) : NULL;
    return HK_LIKELY(shelf != NULL) || table == NULL ? shelf : hk_shelf_make(thread);
}

/* Takes the shelf of the processor that this thread runs on out of the table, and tells which; NULL: somebody else has
 * it, or there is none. */
struct hk_shelf *hk_shelf_take_here(struct hk_thread *thread, unsigned *processor);

/* The same of any processor; false: as above. Sequences may be at work on it until hk_shelf_settle. */
bool hk_shelf_take_away(struct hk_thread *thread, unsigned processor);

/* No sequence is at work any more on what this thread has taken away before. False: refused. */
bool hk_shelf_settle(void);

/* The shelf of a processor, if this thread has taken it away; else NULL. */
struct hk_shelf *hk_shelf_taken(const struct hk_thread *thread, unsigned processor);

/* Puts that back. */
void hk_shelf_put_back(struct hk_thread *thread, unsigned processor);

/* The shelf whose blocks are of this heap: a processor's or a thread's; NULL: none. For statistics. */
const struct hk_shelf *hk_shelf_of_record(struct hk_thread *record);

static inline unsigned hk_shelf_count(const struct hk_shelf *shelf, unsigned cls)
{
    const struct hk_head *head = &shelf->head[cls];
    return (uint16_t)((uintptr_t)hk_peek(&head->cur) - head->empty16) / (unsigned)sizeof(void *);
}

/* Blocks that there is room for, those that are there included. */
static inline unsigned hk_shelf_cap(const struct hk_shelf *shelf, unsigned cls)
{
    const struct hk_head *head = &shelf->head[cls];
    return (uint16_t)(hk_load_relaxed(&head->full16) - head->empty16) / (unsigned)sizeof(void *); /* only grows */
}

/* Makes room for so many, where there is less. */
void hk_shelf_grow(struct hk_shelf *shelf, unsigned cls, unsigned cap);

/* Without a block and without room. Of a shelf that nobody else has. */
void hk_shelf_clear(struct hk_shelf *shelf, unsigned cls);

#endif
