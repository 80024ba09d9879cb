/* SPDX-License-Identifier: MIT
 *
 * fill: what is zero in a block while nobody has it (-Dfill), so that what is written into it then is seen by whoever
 * hands it out again: with -Dfill=start its first 48 bytes and its last 32, the end among them (superslab/end.h); in a
 * small block they are all that there is. With -Dfill=whole all of up to 32 KiB, of longer ones so many bytes and their
 * end. The second word is the mark's (superslab/slab.h), and not touched here.
 *
 * A slot has 32 bytes or more. Of whoever has the block; but its end is looked at by others (superslab/end.h), and so
 * cleared first. Must not know why a block is free.
 */
#ifndef HK_SUPERSLAB_FILL_H
#define HK_SUPERSLAB_FILL_H

#include "superslab/end.h"

#define HK_FILL_WHOLE ((size_t)32768) /* what HK_FILL is with -Dfill=whole */

/* Two words, each of which is written in one step; and such a pair in a slab, where slots lie at multiples of 16. */
typedef uint64_t hk_fill_pair __attribute__((vector_size(16), aligned(8), may_alias));
typedef uint64_t hk_fill_in_slab __attribute__((vector_size(16), may_alias));

static HK_ALWAYS_INLINE void *hk_fill_at(const void *block, size_t at)
{
    return (char *)(uintptr_t)block + at;
}

static HK_ALWAYS_INLINE void hk_fill_two(uint64_t *at)
{
    if (HK_THREAD_SANITIZER) { /* which would call the end's others wrong */
        hk_poke(&at[0], 0);
        hk_poke(&at[1], 0);
    } else {
        *(hk_fill_pair *)at = (hk_fill_pair){0, 0};
    }
}

/* Beside the second pair and the last, where is it zero? From so many bytes on, and from so many before its end: in the
 * smallest slot these are the same. */
#define HK_FILL_MIDDLE(slot) ((slot) < 48u ? 16u : 32u)

/* With -Dfill=whole: so many words, and the last two. */
static HK_ALWAYS_INLINE size_t hk_fill_rest(size_t slot)
{
    return hk_min(slot, HK_FILL_WHOLE) / 8;
}

/* `middle` is HK_FILL_MIDDLE(slot), here and below. */
static HK_ALWAYS_INLINE void hk_fill(void *block, size_t slot, size_t middle)
{
    uint64_t *word = block;
    hk_fill_two(hk_fill_at(block, slot - 16));
    hk_fence_signal(); /* for a child that is forked in between: nobody has it, and then its fence goes */
    word[0] = 0;
    hk_fill_two(word + 2);
    hk_fill_two(hk_fill_at(block, middle));
    hk_fill_two(hk_fill_at(block, slot - middle));
    for (size_t i = 2; HK_FILL == HK_FILL_WHOLE && i + 1 < hk_fill_rest(slot); i += 2)
        hk_fill_two(word + i);
}

/* Is a block of a slab, or a page run, as it was left, but for the second word, which is `second`? */
static HK_ALWAYS_INLINE bool hk_fill_is_whole(const void *block, size_t slot, size_t middle, uint64_t second)
{
    const hk_fill_in_slab *pair = block, *front = hk_fill_at(block, middle), *last = hk_fill_at(block, slot - 16);
    const hk_fill_in_slab *back = hk_fill_at(block, slot - middle);
    const uint64_t *word = block;
    hk_fill_in_slab all = pair[1] | *front | *back | *last;
    for (size_t i = 2; HK_FILL == HK_FILL_WHOLE && i < hk_fill_rest(slot) / 2; i++)
        all |= pair[i];
    return ((word[1] ^ second) | word[0] | all[0] | all[1]) == 0;
}

#endif
