/* SPDX-License-Identifier: MIT */
#include "api/usage.h"

#include "box/hot_cold.h"
#include "large/own.h"
#include "large/huge.h"
#include "large/walls.h"
#include "box/pool.h"
#include "box/side.h"
#include "front/hardened/hard.h"
#include "os/os.h"
#include "pages/meta.h"
#include "pages/ss_arena.h"

#include <string.h>

/* Bytes of a range that are resident; counted, those that are known to have been touched. */
static size_t resident_bytes_of(const struct hk_usage *u, void *start, size_t size, size_t touched)
{
    return u->counted ? hk_min(touched, size) : hk_os_resident(start, size);
}

static void visit_slab(struct hk_usage *u, struct hk_slab *slab)
{
    struct hk_class_usage *c = &u->cls[slab->cls];
    c->slabs++;
    unsigned used = hk_peek(&slab->used); /* its heap's lock is not held */
    c->hot += hk_temperature(used, slab->capacity) == HK_TEMP_HOT;
    c->used += used;
    c->remote += hk_remote_count(slab);
    c->carved += hk_peek(&slab->carved);
    c->resident += resident_bytes_of(u, hk_slab_base(slab), slab->slabs * HK_SLAB_SIZE, hk_slab_length_out(slab));
}

static void visit_superslab(void *ctx, struct hk_superslab *ss)
{
    struct hk_usage *u = ctx;
    uint32_t resident = ss->empty_mask | (ss->huge ? ss->unused_mask : 0);
    u->superslabs++;
    for (unsigned i = 0; i < HK_SLABS;) {
        struct hk_slab *slab = &ss->slab[i];
        bool owned = hk_peek(&slab->state) != HK_SLAB_FREE;
        if (owned)
            visit_slab(u, slab);
        else
            u->empty +=
                resident_bytes_of(u, ss->base + i * HK_SLAB_SIZE, HK_SLAB_SIZE, (resident >> i & 1) * HK_SLAB_SIZE);
        i += owned ? slab->slabs : 1;
    }
}

static void add_hits(struct hk_front_hits *to, const struct hk_front_hits *from)
{
    to->malloc_hits += hk_peek(&from->malloc_hits);
    to->malloc_misses += hk_peek(&from->malloc_misses);
    to->free_hits += hk_peek(&from->free_hits);
    to->free_misses += hk_peek(&from->free_misses);
}

/* Are the bins of a thread there, or would we have been told? (Whether they are at this moment hk_front_count decides.)
 * At the end of the process threads end unnoticed. */
static bool is_told_of(const struct hk_thread *thread)
{
    return hk_thread_exit_is_seen() || thread == hk_front_thread();
}

static void visit_heap(void *ctx, struct hk_heap *heap)
{
    struct hk_usage *u = ctx;
    u->refills += hk_peek(&heap->refills);
    u->flushes += hk_peek(&heap->flushes);
    u->chains += hk_peek(&heap->chains);
    if (heap == &hk_orphan_heap)
        return;
    struct hk_thread *thread = hk_thread_of(heap);
    /* Not those that stayed behind in the parent of a fork: their stacks, and the bins in them, may be gone. */
    bool alive = hk_load_acquire(&heap->owner.state) == HK_OWNER_ALIVE && /* pairs with hk_heap_begin */
                 (heap->shared || (hk_load_relaxed(&thread->seen) != NULL && is_told_of(thread)));
    u->threads += alive && !heap->shared;
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        struct hk_class_usage *c = &u->cls[cls];
        c->front += alive ? hk_front_count(thread, cls) : 0;
        c->moved.refills += hk_peek(&thread->metrics[cls].refills);
        c->moved.flushes += hk_peek(&thread->metrics[cls].flushes);
        c->moved.refilled += hk_peek(&thread->metrics[cls].refilled);
        c->moved.flushed += hk_peek(&thread->metrics[cls].flushed);
        if (HK_TELEMETRY)
            add_hits(c->hits, &thread->hits[cls]);
    }
}

/* What waits in the arrays between fronts counts as in a front. */
static void add_transfers(struct hk_usage *u)
{
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        struct hk_transfer_sums sums = hk_transfer_count(cls);
        u->cls[cls].front += sums.blocks;
        u->transfers += sums.batches;
    }
}

static void visit_run(void *ctx, void *start, size_t size, enum hk_run_kind kind)
{
    struct hk_usage *u = ctx;
    if (kind == HK_RUN_SUPERSLAB)
        return;
    /* Dirty pages of what is not live are counted together. */
    size_t touched = resident_bytes_of(u, start, size, kind == HK_RUN_LIVE ? size : 0);
    if (kind == HK_RUN_NONE) {
        u->metadata += touched;
    } else if (kind == HK_RUN_FREED) {
        u->run_free += touched;
    } else {
        u->runs += size - hk_wall_in(start, size);
        u->run_blocks++;
        u->live_resident += touched;
    }
}

static void visit_huge(void *ctx, void *start, size_t size)
{
    struct hk_usage *u = ctx;
    u->huge += size;
    u->huge_blocks++;
    u->live_resident += resident_bytes_of(u, start, size, size);
}

static void visit_side(void *ctx, void *start, size_t size, size_t used)
{
    struct hk_usage *u = ctx;
    u->mapped += size;
    u->metadata += resident_bytes_of(u, start, size, used);
}

/* What the side box has resident and is not live counts as metadata. */
static void add_side(struct hk_usage *u)
{
    size_t blocks, bytes;
    hk_side_live(&blocks, &bytes);
    size_t before = u->metadata;
    hk_side_visit(visit_side, u);
    size_t live = hk_min(bytes, u->metadata - before);
    u->live += bytes;
    u->live_blocks += blocks;
    u->live_resident += live;
    u->metadata -= live;
}

static void visit_metadata(void *ctx, void *start, size_t size)
{
    struct hk_usage *u = ctx;
    u->metadata += resident_bytes_of(u, start, size, 0);
    u->mapped += size;
}

/* A live block's page is resident; what of it the program did not ask for counts as metadata. */
static void add_guarded(struct hk_usage *u)
{
    size_t live, before = u->metadata;
    u->guarded = hk_guarded_count();
    live = u->guarded.live_bytes;
    hk_guarded_visit(visit_metadata, u);
    if (u->counted)
        u->metadata += u->guarded.live_blocks * hk_guarded_page();
    u->live += live;
    u->live_blocks += u->guarded.live_blocks;
    live = hk_min(live, u->metadata - before);
    u->live_resident += live;
    u->metadata -= live;
}

/* Splits the resident bytes of a class: first to live blocks (a large block may be untouched), then to cached ones, the
 * rest is free in the slabs. */
static void add_class(struct hk_usage *u, unsigned cls)
{
    const struct hk_class_usage *c = &u->cls[cls];
    size_t size = hk_class_size(cls);
    size_t cached = c->front + c->remote;
    size_t live = c->used - hk_min(c->used, cached); /* a busy program may show more cached than used */
    size_t live_resident = hk_min(live * size, c->resident);
    size_t cached_resident = hk_min(cached * size, c->resident - live_resident);
    u->live += live * size;
    u->live_blocks += live;
    u->live_resident += live_resident;
    u->front += cached_resident;
    u->front_blocks += cached;
    u->slab_free += c->resident - live_resident - cached_resident;
    u->free_blocks += c->carved - hk_min(c->used, c->carved);
    u->slabs += c->slabs;
    u->hot += c->hot;
    u->refilled += c->moved.refilled;
    u->flushed += c->moved.flushed;
    if (HK_TELEMETRY)
        add_hits(&u->hits, c->hits);
}

/* A heap's run is a live one, and counts as the blocks in it; the rest of it is free beside them. */
static void add_own(struct hk_usage *u)
{
    struct hk_own_sums own = hk_own_count_all();
    size_t run_bytes = hk_min(own.held_bytes, u->runs), live = own.live_bytes - hk_min(own.large_bytes, own.live_bytes);
    size_t rest = hk_min(run_bytes - hk_min(live, run_bytes), u->live_resident);
    u->runs -= run_bytes - hk_min(live, run_bytes);
    u->run_blocks += own.live_blocks - hk_min(own.large_blocks, own.live_blocks);
    u->run_blocks -= hk_min(own.runs, u->run_blocks);
    u->live_resident -= rest;
    u->slab_free += rest;
    hk_own_visit(visit_metadata, u);
}

void hk_usage_read(struct hk_usage *u, enum hk_usage_source source)
{
    if (HK_DELAY)
        hk_hard_let_all_go(); /* they live, for all that is counted */
    memset(u, 0, sizeof *u);
    u->counted = source == HK_USAGE_COUNTED;
    if (HK_TRANSFER)
        hk_transfer_hold();
    hk_heap_visit(visit_heap, u);
    hk_pool_visit(visit_superslab, u);
    if (HK_TRANSFER) {
        add_transfers(u);
        hk_transfer_release();
    }
    hk_arena_visit(visit_run, u);
    u->run_free += u->counted ? hk_arena_dirty() : 0;
    hk_huge_visit(visit_huge, u);
    if (hk_own_is_used())
        add_own(u);
    add_side(u);
    add_guarded(u);
    hk_meta_visit(visit_metadata, u);
    hk_lock(hk_pool_lock());
    hk_registry_visit(visit_metadata, u);
    hk_unlock(hk_pool_lock());
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++)
        add_class(u, cls);
    u->live += u->runs + u->huge;
    u->live_blocks += u->run_blocks + u->huge_blocks;
    u->resident = u->live_resident + u->front + u->slab_free + u->empty + u->run_free + u->metadata;
    u->mapped += hk_arena_mapped() + u->huge;
}
