/* SPDX-License-Identifier: MIT
 *
 * purge_priv: what purge.c and purge_thread.c share. Included by box/purge*.c only.
 */
#ifndef HK_BOX_PURGE_PRIV_H
#define HK_BOX_PURGE_PRIV_H

#include "box/purge.h"

enum hk_purge_thread_state {
    HK_PURGER_NONE = 0,
    HK_PURGER_AT_WORK, /* or asleep for a moment */
    HK_PURGER_RESTS,   /* asleep until it is woken */
    HK_PURGER_ENDS,    /* told to end */
};

extern HK_HIDDEN _Atomic uint32_t hk_purge_thread_state; /* the thread sleeps on it */

static inline uint32_t hk_purge_delay_ms(void)
{
    return (uint32_t)hk_opt(HK_OPT_PURGE_DELAY_MS);
}

static inline size_t hk_purge_min_keep(void)
{
    return (size_t)hk_opt(HK_OPT_MIN_KEEP);
}

/* Pieces, until about `keep` bytes are left, or none has been free for delay_ms. One that the system refuses is not
 * asked for again: they are all judged by one moment. */
size_t hk_purge_give_all(uint32_t now, uint32_t delay_ms, size_t keep);

/* Bytes went back. */
void hk_purge_count(size_t given);

/* Pages of free blocks in slabs where others are in use (purge_pages.c): how much is in use now; a piece of them, when
 * it is time (true: there may be more). Or at once all of them, unless no more than about `keep` bytes are free so;
 * returns the bytes. */
void hk_purge_note_used(uint32_t now);
bool hk_purge_pages(uint32_t now);
size_t hk_purge_pages_now(size_t keep);

/* On behalf of every heap. */
void hk_purge_sweep_heaps(void);

#endif
