/* SPDX-License-Identifier: MIT
 *
 * page_heap: blocks above 32 KiB that have no class: runs of pages (L25 up to 1 MiB, huge up to 32 MiB), and above that
 * the huge box's own mappings. Size in bytes in, block out.
 *
 * The SSArena and the huge box synchronise. Must not know slabs or heaps.
 */
#ifndef HK_LARGE_PAGE_HEAP_H
#define HK_LARGE_PAGE_HEAP_H

#include "large/huge.h"
#include "pages/huge_pages.h"
#include "pages/ss_arena.h"
#include "superslab/block.h"

#define HK_RUN_MAX (HK_RUN_PAGES_MAX * HK_PAGE)

/* A block of at least `size` bytes (up to PTRDIFF_MAX) at a multiple of `align` (a power of two up to PTRDIFF_MAX);
 * *zero tells whether it is known to be zero. Its second word always is: where a slab was, that may be the mark of a
 * free block, which realloc would copy to where it is one again. NULL: no memory or over the limit. */
void *hk_page_heap_alloc(size_t size, size_t align, bool *zero);

/* A block that has just been taken, of so many bytes, will probably be written from end to end: it may ask for huge
 * pages. Its owner. */
static inline void hk_page_heap_fill(void *start, size_t size)
{
    if (size >= HK_HUGE_PAGE)
        hk_huge_pages_ask(start, size, size > HK_RUN_MAX);
}

/* The same for a size of any box, as a mapping of its own: where the system has no 2 MiB left it may have a page. */
void *hk_page_heap_alloc_alone(size_t size, size_t align, bool *zero);

/* What starts there: a run, a huge block, a block of a heap of one's own, or nothing. Takes no lock; where hk_huge_look
 * may be led astray, so may this.
 */
struct hk_block hk_page_heap_find(const void *ptr);

/* Frees the run or the huge block that starts there. False: there is none, and nothing happened. */
bool hk_page_heap_free(const struct hk_block *block);

/* Makes a run or huge block hold `size` bytes without copying it in memory: in place, or by moving its mapping; a run
 * that grows holds `roomy` bytes where it can. NULL: that cannot be done (then allocate, copy, free). Sizes that belong
 * to another box are refused too. */
void *hk_page_heap_resize(const struct hk_block *block, size_t size, size_t roomy);

/* Is it worth trying to make a run or huge block larger like that? No lock, and a hint. */
bool hk_page_heap_may_grow(const struct hk_block *block, size_t size);

/* Takes the pages behind `size` bytes away, whatever box such a size belongs to: where there is no memory for a copy.
 * NULL: refused. */
void *hk_page_heap_shrink(const struct hk_block *block, size_t size);

#endif
