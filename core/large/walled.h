/* SPDX-License-Identifier: MIT
 *
 * walled: page runs that may end before a wall (large/walls.h), a part of the box page_heap with -Dguards=enabled.
 * Included by large/walled.c and large/page_heap.c only.
 *
 * Who synchronises: the SSArena; a run is its caller's. Must not know blocks.
 */
#ifndef HK_LARGE_WALLED_H
#define HK_LARGE_WALLED_H

#include <stdbool.h>
#include <stddef.h>

/* A run of `pages` and a wall, where it is the turn of one and there is room; where that cannot be hidden the run has a
 * page more. NULL: take one without. */
void *hk_walled_take(size_t pages, size_t align, bool *zero);

/* As hk_arena_give. A run whose wall the system does not take away waits until it does; its other pages go back. */
bool hk_walled_give(void *run);

/* As hk_arena_resize, of the pages that are not the wall. */
bool hk_walled_resize(void *run, size_t pages, size_t roomy);

#endif
