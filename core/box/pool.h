/* SPDX-License-Identifier: MIT
 *
 * pool: the shared pool of slabs without an owner. A slab is taken in stages, each counted: an EMPTY one of any class
 * (lowest address first: its pages are resident, a fault costs 800 hot malloc/free pairs), then an UNUSED one, then one
 * of a new SuperSlab. A SuperSlab that went back to the SSArena with resident pages comes before UNUSED ones. The stage
 * before these, adopting a partial slab of a thread that ended, is the heap box's. On a machine with several NUMA nodes
 * the three stages are those of the calling thread's node; the other nodes' come last.
 *
 * A SuperSlab that is new and taken for a slab that its owner will fill asks for huge pages. All of it is resident with
 * its first touch, so what is UNUSED in it is for such slabs, and for others where there is no other memory. When a
 * part of it goes back to the system, it is a SuperSlab as any other from then on.
 *
 * With -Dempty_reuse=disabled the first stage is left out: an EMPTY slab is taken again only after its purge, as
 * UNUSED.
 *
 * One lock, rank pool. A SuperSlab without any owned slab goes back to the SSArena when another such one is there
 * already. Must not know heaps or fronts.
 */
#ifndef HK_BOX_POOL_H
#define HK_BOX_POOL_H

#include "base/seen.h"
#include "os/lock.h"
#include "superslab/slab.h"

enum hk_pool_stage { HK_STAGE_PARTIAL, HK_STAGE_EMPTY, HK_STAGE_UNUSED, HK_STAGE_NEW, HK_STAGE_COUNT };

/* A span for a class, opened (hk_slab_open) and registered, its owner set; NULL: no memory. `fills`: of one slab, and
 * soon all of it is in use: it comes from a SuperSlab of huge pages if it can. Any thread. */
struct hk_slab *hk_pool_acquire(unsigned cls, struct hk_owner *owner, bool fills);

/* Takes back a span with used == 0 and nothing in its remote word. The caller's heap no longer lists it. */
void hk_pool_release(struct hk_slab *slab);

/* EMPTY slabs: all, or those that held a Mid class. */
enum hk_pool_part { HK_POOL_ALL, HK_POOL_MID };

/* Gives one piece back to the system: neighbouring slabs of that part in one SuperSlab, at a high address (allocations
 * take the lowest), which have been EMPTY for delay_ms at `now`; UNUSED ones between them go along. At most `most`
 * bytes rounded up to slabs. Of the first few SuperSlabs that is a sparsely used one, or the one with the longest
 * piece. Returns the bytes that went; 0: there is none, or the system refused (as hk_arena_purge). */
size_t hk_pool_purge(uint32_t now, uint32_t delay_ms, size_t most, enum hk_pool_part part, bool *refused);

/* Gives every SuperSlab without an owned slab back to the SSArena; returns the bytes that went on to the system. */
size_t hk_pool_trim(void);

/* EMPTY slabs: resident, nothing lives in them; and those of them that held a Mid class. Relaxed: changed under the
 * lock, hints when read without it. */
extern HK_HIDDEN _Atomic size_t hk_pool_empty_slabs;
extern HK_HIDDEN _Atomic size_t hk_pool_empty_mid;

/* UNUSED slabs of huge pages, resident, too; become EMPTY when a part of their SuperSlab goes. Relaxed, as above. */
extern HK_HIDDEN _Atomic size_t hk_pool_huge_unused;

/* Slabs that heaps own. Relaxed, as above. */
extern HK_HIDDEN _Atomic size_t hk_pool_owned;

/* UNUSED slabs that heaps got so far: their pages take faults. Changed under the lock. */
extern HK_HIDDEN _Atomic size_t hk_pool_clean_taken;

static inline size_t hk_pool_empty_bytes(void)
{
    return hk_load_relaxed(&hk_pool_empty_slabs) * HK_SLAB_SIZE;
}

/* Resident and free: EMPTY slabs, and those. */
static inline size_t hk_pool_free_bytes(void)
{
    return hk_pool_empty_bytes() + hk_load_relaxed(&hk_pool_huge_unused) * HK_SLAB_SIZE;
}

/* The list of all SuperSlabs, and how slabs were served. */
extern HK_HIDDEN hk_seen hk_pool_seen[2];

/* Counts an acquisition that the heap box served from a partial slab. */
void hk_pool_count_partial(unsigned cls);

/* How acquisitions of a class (0: of all) were served. */
uint64_t hk_pool_stage_count(enum hk_pool_stage stage, unsigned cls);

/* Calls `visit` for each SuperSlab, under the lock. */
void hk_pool_visit(void (*visit)(void *ctx, struct hk_superslab *ss), void *ctx);

/* Covers the first unit, so that the registry is set up before a block of any kind is anybody's: whoever frees one
 * looks there without order. Once the arena has that unit; again does no harm. False: no memory. */
bool hk_pool_start(void);

struct hk_lock *hk_pool_lock(void);

/* Masks against slab states and counts. (pool_check.c: tests and -Dcheck) */
bool hk_pool_check(void);

#endif
