/* SPDX-License-Identifier: MIT
 *
 * purge: when free memory goes back to the system: EMPTY slabs, and dirty pages of free runs. It goes in the calls that
 * free, a piece of at most 2 MiB in one call, so that what a program leaves behind is bounded before it goes to sleep:
 *
 *   - Free memory may be as much as HAKMEM_MIN_KEEP and 10.5 MiB, or half of what is live if that is more. A slow path
 *     that ends with more gives one piece back, whatever its age.
 *   - What was given back so and is wanted again within HAKMEM_PURGE_DELAY_MS was given back too early: so much
 *     more may be free from then on, until nothing is taken or freed for as long.
 *   - Else, beyond HAKMEM_MIN_KEEP, it gives one piece back that has been free for HAKMEM_PURGE_DELAY_MS. When
 *     there was none, nobody looks again for a quarter of the delay.
 *
 * No call starts a thread. With HAKMEM_PURGE_THREAD=1 there is one from the start, which gives back by age in the place
 * of slow paths; they only wake it.
 *
 * Any thread that holds no lock of ours. Knows heaps, pool and SSArena; must not know fronts.
 */
#ifndef HK_BOX_PURGE_H
#define HK_BOX_PURGE_H

#include "base/options.h"
#include "box/hot_span.h"
#include "box/pool.h"
#include "pages/ss_arena.h"

/* Free resident bytes that could go back. */
static inline size_t hk_purge_free_bytes(void)
{
    return hk_pool_free_bytes() + hk_arena_dirty();
}

/* Free resident bytes that need not go back at once. */
size_t hk_purge_allowance(void);

HK_SLOW_PATH void hk_purge_tick_slow(void);

/* Half of what was in use in slabs is not any more, and pages of free blocks there were not given back yet. Relaxed: a
 * hint. */
extern HK_HIDDEN _Atomic bool hk_purge_sparse;

static inline bool hk_purge_has_work(void)
{
    return hk_purge_free_bytes() > (size_t)hk_opt(HK_OPT_MIN_KEEP) || hk_hot_span_at_once() ||
           hk_load_relaxed(&hk_purge_sparse);
}

/* For the end of slow paths that freed a run: one piece. */
static inline void hk_purge_tick(void)
{
    if (HK_UNLIKELY(hk_purge_has_work()))
        hk_purge_tick_slow();
}

/* What the last look allowed to be free; 0: the next call looks again. Relaxed: a look more or less does no harm. */
extern HK_HIDDEN _Atomic size_t hk_purge_allowed;

/* As hk_purge_tick, for one block of a class. While no more is free than the last look allowed, only each eighth call
 * of a thread, which counts them in `turn`, asks for the time: that costs as much as the block. */
static inline void hk_purge_tick_short(uint32_t *turn)
{
    if (HK_UNLIKELY(hk_purge_has_work()) &&
        (++*turn % 8 == 0 || hk_purge_free_bytes() > hk_load_relaxed(&hk_purge_allowed)))
        hk_purge_tick_slow();
}

/* What was given back at once is not wanted again yet, or more may be free because it was. Relaxed, as above. */
extern HK_HIDDEN _Atomic bool hk_purge_watches;

HK_SLOW_PATH void hk_purge_took_slow(void);

/* For the end of slow paths that took memory, each eighth of a thread: a program that is taking makes no pause, however
 * long that lasts. */
static inline void hk_purge_took(uint32_t *turn)
{
    if (HK_UNLIKELY(hk_load_relaxed(&hk_purge_watches)) && ++*turn % 8 == 0)
        hk_purge_took_slow();
}

/* As hk_purge_tick, where one block of `bytes`, more than half a piece, was freed. By that half as much less may be
 * free, so up to twice its bytes go back: many such blocks leave no more behind than many small ones. */
HK_SLOW_PATH void hk_purge_tick_long(size_t bytes);

/* A thread has ended: gives pieces back until no more is free than what is live now allows. Where there is nothing to
 * give it looks no further. */
void hk_purge_end_thread(void);

/* Gives back all that can be, but about `keep` bytes; returns the bytes. */
size_t hk_purge_now(size_t keep);

/* Starts the thread, if HAKMEM_PURGE_THREAD asks for it. Once, by the library's constructor. */
void hk_purge_start(void);

/* Ends it, and waits a moment for that (exit, unload). */
void hk_purge_stop(void);

/* In the child of a fork, which has no thread but the calling one: starts it again, if it may; else slow paths give
 * back there, and in that child's children. */
void hk_purge_fork_child(bool may_start);

/* Bytes given back since the start, and where they are counted. */
uint64_t hk_purge_total(void);
extern HK_HIDDEN hk_seen hk_purge_seen[1];

#endif
