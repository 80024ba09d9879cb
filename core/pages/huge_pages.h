/* SPDX-License-Identifier: MIT
 *
 * huge_pages: which memory asks the kernel for huge pages (2 MiB), where it leaves that to those who ask, and when
 * nobody does. A SuperSlab asks as it is made (box/pool_new.c), a block of more than half of HAKMEM_HUGE_FROM bytes
 * when malloc takes it, or realloc makes it longer: beside that a huge page more is at most a quarter, and buffers of
 * that size are written from end to end. What calloc takes does not ask: tables that begin empty may stay so.
 *
 * Nobody synchronises: a block is its owner's, and the rest is relaxed. Nothing is asked of the system. Must not know
 * slabs, nor what a block is for.
 */
#ifndef HK_PAGES_HUGE_PAGES_H
#define HK_PAGES_HUGE_PAGES_H

#include "base/bits.h"
#include "base/options.h"
#include "config.h"

#define HK_HUGE_PAGE ((size_t)2 * HK_MIB)

/* One was slow to come, so that nobody asks for some time. A hint. */
bool hk_huge_pages_rest(void);

/* A SuperSlab that will be filled begins with this slab. Where huge pages were asked for, writes to it and looks how
 * long that takes; where nobody asks and it is untouched, writes to all of its small pages, and looks whether they come
 * any faster. The caller holds no lock, and was to write there anyway. */
void hk_huge_pages_touch(void *slab, bool asked, bool untouched);

/* A block that will probably be written from end to end. Is it long enough, all huge pages that lie in it as a whole
 * are asked for, unless memory is dear (HAKMEM_MEMORY_LIMIT, or once some was refused), or the program has so many long
 * blocks that the kernel might run out of mappings. Where it is `alone` in a mapping, all of that asks: else the kernel
 * has two or three mappings there, and moves none of them (mremap). Its owner, without a lock. */
void hk_huge_pages_ask(void *start, size_t size, bool alone);

/* Before a run is free, or becomes shorter: what lies there later need not be written as a whole. */
void hk_huge_pages_end(void *start, size_t size);

#endif
