/* SPDX-License-Identifier: MIT
 *
 * ss_arena_source: where SuperSlabs (2 MiB, aligned) come from, for the pool. -Dss_arena picks one of two sources:
 *
 * enabled (ss_arena_cut.c): they are cut from the units, as page runs are. One that went back stays mapped, with its
 * pages, until it is purged as any free run is.
 * disabled (ss_arena_single.c): each is a mapping of its own, which is unmapped when it goes back. Its memory lies in
 * the space too, but in no run.
 *
 * Take and give are called by any thread and take the arena lock; whoever calls the functions _locked holds it. Must
 * not know slabs or pools.
 */
#ifndef HK_PAGES_SS_ARENA_SOURCE_H
#define HK_PAGES_SS_ARENA_SOURCE_H

#include "config.h"
#include "pages/ss_arena.h"

/* Do SuperSlabs lie among the runs? Then one that went back stays mapped, and may be taken again with its pages. */
static inline bool hk_arena_has_superslabs(void)
{
    return HK_SS_ARENA;
}

/* A SuperSlab of that node. Its slabs (64 KiB each) in `clean` are known to be zero, the others count as dirty; on the
 * way back too. NULL, and none is clean: no memory, or HAKMEM_MEMORY_LIMIT. */
void *hk_arena_take_superslab(unsigned node, uint32_t *clean);

/* Returns the bytes that went back to the system by that; 0 where the SuperSlab stays mapped. */
size_t hk_arena_give_superslab(void *ptr, uint32_t clean);

/* Of SuperSlabs that lie in no run: the one at an address (kind HK_RUN_NONE: there is none), all of them, and their
 * bytes. */
struct hk_run hk_arena_find_superslab_locked(const void *ptr);
void hk_arena_visit_superslabs_locked(void (*visit)(void *ctx, void *start, size_t size, enum hk_run_kind kind),
                                      void *ctx);
size_t hk_arena_superslab_bytes_locked(void);

#endif
