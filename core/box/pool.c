/* SPDX-License-Identifier: MIT */
#include "box/pool_priv.h"

#include "base/telemetry.h"
#include "os/os.h"
#include "pages/huge_pages.h"
#include "pages/ss_arena_source.h"

/* SuperSlabs without an owned slab that stay: one, so that a thread that comes and goes does not move 2 MiB each time.
 */
#define IDLE_KEEP 1u

struct pool hk_pool = {.lock = HK_LOCK_FREE(HK_RANK_POOL)};
hk_seen hk_pool_seen[2] = {&hk_pool.all, hk_pool.served};
_Atomic size_t hk_pool_empty_slabs;
_Atomic size_t hk_pool_empty_mid;
_Atomic size_t hk_pool_huge_unused;
_Atomic size_t hk_pool_owned;
_Atomic size_t hk_pool_clean_taken;

struct hk_lock *hk_pool_lock(void)
{
    return &hk_pool.lock;
}

HK_SLOW_PATH bool hk_pool_start(void)
{
    static _Atomic bool covered;
    if (hk_load_acquire(&covered)) /* pairs with the release below; each thread asks at its beginning */
        return true;
    hk_lock(&hk_pool.lock);
    if (hk_registry_cover((void *)hk_space_base, HK_UNIT_SIZE)) /* again does no harm */
        hk_store_release(&covered, true);                       /* pairs with the acquire above */
    hk_unlock(&hk_pool.lock);
    return hk_load_relaxed(&covered);
}

/* ---- acquire ---- */

static struct hk_superslab *find_span(unsigned node, unsigned cls, bool fills, unsigned *index,
                                      enum hk_pool_stage *stage)
{
    struct hk_superslab *ss;
    const struct pool_node *n = hk_pool_node(node);
    *stage = HK_STAGE_EMPTY;
    if (HK_EMPTY_REUSE && n != NULL && (ss = hk_pool_take_empty(n, cls, index)) != NULL)
        return ss;
    /* SuperSlabs that went back are in the SSArena with their pages: before an untouched slab. */
    if (hk_arena_has_superslabs() && hk_pool_reuses() && n != NULL && n->gone != 0 &&
        hk_arena_dirty() >= HK_SUPERSLAB_SIZE) {
        *stage = HK_STAGE_NEW;
        if ((ss = hk_pool_take_new(node, cls, index, fills)) != NULL)
            return ss;
    }
    *stage = HK_STAGE_UNUSED;
    if (fills && n != NULL && (ss = hk_pool_take_huge(n, cls, index)) != NULL)
        return ss;
    if (n != NULL && (ss = hk_pool_take_unused(n, cls, index)) != NULL)
        return ss;
    *stage = HK_STAGE_NEW;
    if ((ss = hk_pool_take_new(node, cls, index, fills)) != NULL || n == NULL)
        return ss;
    *stage = HK_STAGE_UNUSED;
    return hk_pool_take_huge(n, cls, index);
}

/* Where the node can give no memory, not even new one, any other may. */
static struct hk_superslab *find_elsewhere(unsigned node, unsigned cls, unsigned *index, enum hk_pool_stage *stage)
{
    struct hk_superslab *ss = NULL;
    for (unsigned other = 0; ss == NULL && other < hk_numa_nodes(); other++) {
        if (other != node)
            ss = find_span(other, cls, false, index, stage);
    }
    return ss;
}

/* Moves a span out of the masks; true when all of it is known to be zero. */
static bool claim_span(struct hk_superslab *ss, unsigned index, unsigned slabs)
{
    uint32_t mask = hk_mask32(index, slabs);
    bool zero = (ss->unused_mask & mask) == mask;
    if (ss->huge)
        hk_sub_relaxed(&hk_pool_huge_unused, hk_count64(ss->unused_mask & mask));
    hk_pool.idle -= is_idle(ss);
    hk_add_relaxed(&hk_pool_owned, slabs);
    size_t clean = hk_count64(ss->unused_mask & mask);
    hk_telemetry_add(HK_PAGES_SSM, clean * (HK_SLAB_SIZE / HK_PAGE));
    hk_store_relaxed(&hk_pool_clean_taken, hk_load_relaxed(&hk_pool_clean_taken) + clean); /* the lock's */
    hk_pool_leave_empty(ss, ss->empty_mask & mask);
    ss->unused_mask &= ~mask;
    ss->purged_mask &= ~mask;
    hk_pool_index(ss);
    return zero;
}

struct hk_slab *hk_pool_acquire(unsigned cls, struct hk_owner *owner, bool fills)
{
    unsigned index, slabs = hk_class_slabs(cls);
    enum hk_pool_stage stage;
    struct hk_slab *slab = NULL;
    unsigned node = hk_numa_node();
    hk_lock(&hk_pool.lock);
    struct hk_superslab *ss = find_span(node, cls, fills, &index, &stage);
    if (HK_UNLIKELY(ss == NULL))
        ss = find_elsewhere(node, cls, &index, &stage);
    if (ss != NULL) {
        bool zero = claim_span(ss, index, slabs);
        hk_poke_add(&hk_pool.served[stage][cls], 1);
        slab = hk_slab_open(ss, index, cls, zero);
        hk_slab_set_owner(slab, owner);
        hk_registry_set_code(hk_slab_base(slab) + HK_SLAB_SIZE, slabs - 1, HK_CODE_SECOND);
        hk_registry_set_code(hk_slab_base(slab), 1, hk_code_of_class(cls));
    }
    bool fresh = slab != NULL && stage == HK_STAGE_NEW && fills, huge = fresh && ss->huge;
    hk_unlock(&hk_pool.lock);
    if (HK_UNLIKELY(fresh))
        hk_huge_pages_touch(hk_slab_base(slab), huge, slab->zero);
    return slab;
}

/* ---- release ---- */

static const struct hk_leaving nobody = {NULL, 0, false};

/* Takes a SuperSlab without an owned slab out of the pool. */
static struct hk_leaving detach_superslab(struct hk_superslab *ss)
{
    /* What is UNUSED in a huge page is resident. */
    struct hk_leaving leaving = {ss->base, hk_pool_unused(ss), ss->huge};
    if (ss->huge)
        hk_pool_end_huge(ss);
    hk_pool_unindex(ss);
    hk_pool_leave_empty(ss, ss->empty_mask);
    hk_registry_set_superslab(ss->base, NULL);
    hk_list_remove(&ss->list);
    hk_list_push(&hk_pool.records, &ss->list);
    hk_pool_node(ss->node)->gone++;
    return leaving;
}

HK_SLOW_PATH size_t hk_pool_let_go(const struct hk_leaving *leaving)
{
    if (leaving->huge) {
        hk_large_calls_begin(); /* the caller's heap may be locked; no page is touched: nobody waits long */
        hk_os_hint_no_huge(leaving->base, HK_SUPERSLAB_SIZE);
        hk_large_calls_end();
    }
    return hk_arena_give_superslab(leaving->base, leaving->clean);
}

struct hk_leaving hk_pool_settle(struct hk_superslab *ss)
{
    if (is_idle(ss) && hk_pool.idle >= IDLE_KEEP)
        return detach_superslab(ss);
    hk_pool.idle += is_idle(ss);
    hk_pool_index(ss);
    return nobody;
}

void hk_pool_release(struct hk_slab *slab)
{
    struct hk_superslab *ss = hk_slab_superslab(slab);
    HK_ASSERT(slab->used == 0 && hk_load_relaxed(&slab->remote) == 0);
    uint32_t now = hk_os_now_ms();
    hk_registry_set_code(hk_slab_base(slab), slab->slabs, 0);
    hk_lock(&hk_pool.lock);
    hk_poke(&slab->state, HK_SLAB_FREE);
    for (unsigned i = 0; i < slab->slabs; i++) {
        ss->since[slab->index + i] = now;
        hk_poke(&slab[i].cls, slab->cls);
    }
    hk_sub_relaxed(&hk_pool_owned, slab->slabs);
    hk_pool_enter_empty(ss, hk_mask32(slab->index, slab->slabs));
    if (HK_EMPTY_REUSE)
        hk_pool_remember(slab);
    struct hk_leaving leaving = hk_pool_settle(ss);
    hk_unlock(&hk_pool.lock);
    if (leaving.base != NULL)
        hk_pool_let_go(&leaving);
}

static struct hk_leaving detach_idle(void)
{
    for (struct hk_node *node = hk_pool.idle ? hk_pool.all.first : NULL; node != NULL; node = node->next) {
        if (is_idle(superslab_of(node))) {
            hk_pool.idle--;
            return detach_superslab(superslab_of(node));
        }
    }
    return nobody;
}

HK_SLOW_PATH size_t hk_pool_trim(void)
{
    for (size_t given = 0;;) {
        hk_lock(&hk_pool.lock);
        struct hk_leaving leaving = detach_idle();
        hk_unlock(&hk_pool.lock);
        if (leaving.base == NULL)
            return given;
        given += hk_pool_let_go(&leaving);
    }
}

/* ---- statistics ---- */

void hk_pool_count_partial(unsigned cls)
{
    hk_lock(&hk_pool.lock);
    hk_poke_add(&hk_pool.served[HK_STAGE_PARTIAL][cls], 1);
    hk_unlock(&hk_pool.lock);
}
