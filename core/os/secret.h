/* SPDX-License-Identifier: MIT
 *
 * secret: a number that this process alone knows, and what is made of it and an address. With it are written the ends
 * of blocks (superslab/end.h) and the links of free ones (superslab/link.h), so that nobody writes either by accident,
 * and nobody on purpose who cannot read the heap.
 *
 * Written once, before the first block; a fork keeps it. Any thread. Not for what has to withstand mathematics: who has
 * read some ends, and knows where they lie, can work it out. Must not know what is kept with it.
 */
#ifndef HK_OS_SECRET_H
#define HK_OS_SECRET_H

#include "base/atomic.h"
#include "base/compiler.h"

extern HK_HIDDEN uintptr_t hk_secret; /* 0: not known yet */

HK_SLOW_PATH void hk_secret_make(void);

/* Makes it where it is not known yet. Before the first block, in any thread. */
static inline void hk_secret_learn(void)
{
    if (HK_UNLIKELY(hk_peek(&hk_secret) == 0))
        hk_secret_make();
}

/* A number below `bound` (at most 2^32) that nobody can foresee, of what lies at `at`. The secret is known. */
unsigned hk_secret_draw(const void *at, unsigned bound);

/* Odd, and the two are inverse to each other modulo 2^64. */
#define HK_SECRET_SPREAD UINT64_C(0x9e3779b97f4a7c15)
#define HK_SECRET_GATHER UINT64_C(0xf1de83e19937733d)

/* What stands for an address of a word: its upper half hangs on all bits. Odd, as the secret is, so that its first byte
 * in memory is never zero. */
static HK_ALWAYS_INLINE uint64_t hk_secret_of(const void *at)
{
    return ((uintptr_t)at ^ HK_OPERAND(hk_secret)) * HK_SECRET_SPREAD;
}

/* A pointer as it is written at `at`, and back. One byte of it that is overwritten changes the pointer's upper bits. */
static HK_ALWAYS_INLINE uint64_t hk_secret_hide(const void *pointer, const void *at)
{
    return ((uintptr_t)pointer ^ (uintptr_t)at ^ HK_OPERAND(hk_secret)) * HK_SECRET_SPREAD;
}

static HK_ALWAYS_INLINE void *hk_secret_show(uint64_t hidden, const void *at)
{
    return (void *)(uintptr_t)(hidden * HK_SECRET_GATHER ^ (uintptr_t)at ^ HK_OPERAND(hk_secret));
}

#endif
