/* SPDX-License-Identifier: MIT
 *
 * link: how a free block that lies in a slab's list, or on its way there, says which one is next: in its first word,
 * as it is or, with -Dlinks=encoded, hidden by the process's secret. What was written over such a link then leads out
 * of the slab, and is found by who follows it (hk_slab_link_is_sane).
 *
 * Of whoever has the list. Must not know which list.
 */
#ifndef HK_SUPERSLAB_LINK_H
#define HK_SUPERSLAB_LINK_H

#include "base/bits.h"
#include "os/secret.h"

static HK_ALWAYS_INLINE void *hk_link_of(const void *block)
{
    if (HK_LINKS)
        return hk_secret_show(*(const uintptr_t *)block, block);
    return *(void *const *)block;
}

static HK_ALWAYS_INLINE void hk_link_to(void *block, void *next)
{
    if (HK_LINKS)
        *(uintptr_t *)block = hk_secret_hide(next, block);
    else
        *(void **)block = next;
}

/* A block that was freed comes to a list, where the link takes the place of its first word. With -Dfill nothing stands
 * there, unless somebody wrote it since: then the mark in the second word is wrong from now on, for who looks at it. */
static HK_ALWAYS_INLINE void hk_link_first(void *block, void *next)
{
    uintptr_t *word = block;
    if (HK_FILL)
        word[1] ^= word[0];
    hk_link_to(block, next);
}

/* What is in the third word of a free block whose pages went, plus its address. The program's first write to the block
 * overwrites it; where that leaves it out, the pages of the next time stay. */
#define HK_GIVEN_MARK 0x5d1e37f9u

/* Of smaller blocks few have a whole page between their ends. */
#define HK_GIVEN_FROM ((size_t)8192)

/* The block leaves its list. With -Dfill it is as zero as when it was freed, but for the mark. */
static HK_ALWAYS_INLINE void hk_link_leave(void *block, size_t size)
{
    uintptr_t *word = block;
    if (!HK_FILL)
        return;
    word[0] = 0;
    if (HK_UNLIKELY(size >= HK_GIVEN_FROM) && word[2] == (uintptr_t)block + HK_GIVEN_MARK)
        word[2] = 0;
}

#endif
