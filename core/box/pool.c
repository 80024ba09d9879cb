/* SPDX-License-Identifier: MIT */
#include "box/pool_priv.h"

#include "os/os.h"
#include "pages/ss_arena_source.h"

/* SuperSlabs without an owned slab that stay: one, so that a thread that comes and goes does not move 2 MiB each time.
 */
#define IDLE_KEEP 1u

struct pool hk_pool = {.lock = HK_LOCK_FREE(HK_RANK_POOL)};
_Atomic size_t hk_pool_empty_slabs;
_Atomic size_t hk_pool_empty_mid;
_Atomic size_t hk_pool_owned;
_Atomic size_t hk_pool_clean_taken;

struct hk_lock *hk_pool_lock(void)
{
    return &hk_pool.lock;
}

/* ---- sets of units ---- */

HK_SLOW_PATH bool hk_pool_reach(unsigned node, size_t unit)
{
    struct unit_sets *s = &hk_pool_node(node)->sets;
    size_t size = (unit / 64 + 1) * sizeof s->bits[0];
    _Static_assert((HK_UNITS_MAX / 64 + 1) * sizeof s->bits[0] <= HK_TABLE_MOST, "a table has room for all units");
    if (!hk_table_reach(&s->table, HK_TABLE_SETS + node, size))
        return false;
    s->bits = (uint64_t(*)[SET_COUNT])(void *)s->table.start;
    return true;
}

static void set_add(struct unit_sets *s, unsigned set, size_t unit)
{
    s->bits[unit / 64][set] |= (uint64_t)1 << unit % 64;
    s->groups[unit / 4096][set] |= (uint64_t)1 << unit / 64 % 64;
    s->tops[unit / 262144][set] |= (uint64_t)1 << unit / 4096 % 64;
}

static void set_remove(struct unit_sets *s, unsigned set, size_t unit)
{
    s->bits[unit / 64][set] &= ~((uint64_t)1 << unit % 64);
    if (s->bits[unit / 64][set] == 0)
        s->groups[unit / 4096][set] &= ~((uint64_t)1 << unit / 64 % 64);
    if (s->groups[unit / 4096][set] == 0)
        s->tops[unit / 262144][set] &= ~((uint64_t)1 << unit / 4096 % 64);
}

size_t hk_pool_lowest(const struct pool_node *node, enum unit_set kind, unsigned slabs)
{
    const struct unit_sets *s = &node->sets;
    unsigned set = kind + slabs - 1;
    for (size_t top = 0; top < HK_COUNT(s->tops); top++) {
        if (s->tops[top][set] == 0)
            continue;
        size_t group = top * 64 + hk_lowest(s->tops[top][set]);
        size_t word = group * 64 + hk_lowest(s->groups[group][set]);
        return word * 64 + hk_lowest(s->bits[word][set]);
    }
    return HK_UNITS_MAX;
}

/* The highest of the lowest `n` bits of a word, or 64. */
static unsigned last_of(uint64_t word, size_t n)
{
    word &= ((uint64_t)1 << n) - 1;
    return word != 0 ? hk_log2(word) : 64;
}

HK_SLOW_PATH size_t hk_pool_highest(const struct pool_node *node, enum unit_set kind, unsigned slabs, size_t below)
{
    const struct unit_sets *s = &node->sets;
    unsigned set = kind + slabs - 1, at;
    size_t word = below / 64, group = word / 64, top = group / 64;
    if (below % 64 != 0 && (at = last_of(s->bits[word][set], below % 64)) < 64)
        return word * 64 + at;
    if (word % 64 != 0 && (at = last_of(s->groups[group][set], word % 64)) < 64) {
        word = group * 64 + at;
        return word * 64 + hk_log2(s->bits[word][set]);
    }
    uint64_t groups = group % 64 != 0 ? s->tops[top][set] & (((uint64_t)1 << group % 64) - 1) : 0;
    while (groups == 0 && top > 0)
        groups = s->tops[--top][set];
    if (groups == 0)
        return HK_UNITS_MAX;
    group = top * 64 + hk_log2(groups);
    word = group * 64 + hk_log2(s->groups[group][set]);
    return word * 64 + hk_log2(s->bits[word][set]);
}

static void index_mask(struct unit_sets *s, enum unit_set kind, size_t unit, uint32_t mask)
{
    for (unsigned run = 1; run <= HK_SPAN_MAX; run++) {
        unsigned set = kind + run - 1;
        bool has = hk_find_run32(mask, run) < HK_SLABS;
        bool had = (s->bits[unit / 64][set] >> unit % 64 & 1) != 0;
        if (has && !had)
            set_add(s, set, unit);
        else if (had && !has)
            set_remove(s, set, unit);
    }
}

void hk_pool_index(struct hk_superslab *ss)
{
    struct unit_sets *s = &hk_pool_node(ss->node)->sets;
    size_t unit = hk_registry_unit(ss->base);
    if (HK_EMPTY_REUSE)
        index_mask(s, SET_EMPTY, unit, ss->empty_mask);
    index_mask(s, SET_USABLE, unit, hk_pool_usable(ss));
}

void hk_pool_unindex(struct hk_superslab *ss)
{
    struct unit_sets *s = &hk_pool_node(ss->node)->sets;
    size_t unit = hk_registry_unit(ss->base);
    if (HK_EMPTY_REUSE)
        index_mask(s, SET_EMPTY, unit, 0);
    index_mask(s, SET_USABLE, unit, 0);
}

/* ---- EMPTY slabs; their counts are hints that change under the lock ---- */

void hk_pool_enter_empty(struct hk_superslab *ss, uint32_t mask)
{
    ss->empty_mask |= mask;
    hk_add_relaxed(&hk_pool_empty_slabs, hk_count64(mask));
    hk_add_relaxed(&hk_pool_empty_mid, hk_pool_count_mid(ss, mask));
}

void hk_pool_leave_empty(struct hk_superslab *ss, uint32_t mask)
{
    if (mask == 0)
        return;
    if (HK_EMPTY_REUSE)
        hk_pool_forget(ss, mask);
    ss->empty_mask &= ~mask;
    ss->refused_mask &= ~mask;
    hk_sub_relaxed(&hk_pool_empty_slabs, hk_count64(mask));
    hk_sub_relaxed(&hk_pool_empty_mid, hk_pool_count_mid(ss, mask));
}

/* ---- acquire ---- */

static struct hk_superslab *find_span(unsigned node, unsigned cls, unsigned *index, enum hk_pool_stage *stage)
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
        if ((ss = hk_pool_take_new(node, cls, index)) != NULL)
            return ss;
    }
    *stage = HK_STAGE_UNUSED;
    if (n != NULL && (ss = hk_pool_take_unused(n, cls, index)) != NULL)
        return ss;
    *stage = HK_STAGE_NEW;
    return hk_pool_take_new(node, cls, index);
}

/* Where the node can give no memory, not even new one, any other may. */
static struct hk_superslab *find_elsewhere(unsigned node, unsigned cls, unsigned *index, enum hk_pool_stage *stage)
{
    struct hk_superslab *ss = NULL;
    for (unsigned other = 0; ss == NULL && other < hk_numa_nodes(); other++) {
        if (other != node)
            ss = find_span(other, cls, index, stage);
    }
    return ss;
}

/* Moves a span out of the masks; true when all of it is known to be zero. */
static bool claim(struct hk_superslab *ss, unsigned index, unsigned slabs)
{
    uint32_t mask = hk_mask32(index, slabs);
    bool zero = (ss->unused_mask & mask) == mask;
    hk_pool.idle -= is_idle(ss);
    hk_add_relaxed(&hk_pool_owned, slabs);
    size_t clean = hk_count64(ss->unused_mask & mask);
    hk_store_relaxed(&hk_pool_clean_taken, hk_load_relaxed(&hk_pool_clean_taken) + clean); /* the lock's */
    hk_pool_leave_empty(ss, ss->empty_mask & mask);
    ss->unused_mask &= ~mask;
    ss->purged_mask &= ~mask;
    hk_pool_index(ss);
    return zero;
}

struct hk_slab *hk_pool_acquire(unsigned cls, struct hk_owner *owner)
{
    unsigned index, slabs = hk_class_slabs(cls);
    enum hk_pool_stage stage;
    struct hk_slab *slab = NULL;
    unsigned node = hk_numa_node();
    hk_lock(&hk_pool.lock);
    struct hk_superslab *ss = find_span(node, cls, &index, &stage);
    if (HK_UNLIKELY(ss == NULL))
        ss = find_elsewhere(node, cls, &index, &stage);
    if (ss != NULL) {
        bool zero = claim(ss, index, slabs);
        hk_poke_add(&hk_pool.served[stage][cls], 1);
        slab = hk_slab_open(ss, index, cls, zero);
        hk_slab_set_owner(slab, owner);
        hk_registry_set_code(hk_slab_base(slab), slabs, hk_code_of_class(cls));
    }
    hk_unlock(&hk_pool.lock);
    return slab;
}

/* ---- release ---- */

static const struct hk_leaving nobody = {NULL, 0};

/* Takes a SuperSlab without an owned slab out of the pool. */
static struct hk_leaving detach(struct hk_superslab *ss)
{
    struct hk_leaving leaving = {ss->base, ss->unused_mask};
    hk_pool_unindex(ss);
    hk_pool_leave_empty(ss, ss->empty_mask);
    hk_registry_set_superslab(ss->base, NULL);
    hk_list_remove(&ss->list);
    hk_list_push(&hk_pool.records, &ss->list);
    hk_pool_node(ss->node)->gone++;
    return leaving;
}

struct hk_leaving hk_pool_settle(struct hk_superslab *ss)
{
    if (is_idle(ss) && hk_pool.idle >= IDLE_KEEP)
        return detach(ss);
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
        slab[i].cls = slab->cls;
    }
    hk_sub_relaxed(&hk_pool_owned, slab->slabs);
    hk_pool_enter_empty(ss, hk_mask32(slab->index, slab->slabs));
    if (HK_EMPTY_REUSE)
        hk_pool_remember(slab);
    struct hk_leaving leaving = hk_pool_settle(ss);
    hk_unlock(&hk_pool.lock);
    if (leaving.base != NULL)
        hk_arena_give_superslab(leaving.base, leaving.clean);
}

static struct hk_superslab *of_node(struct hk_node *node)
{
    return HK_CONTAINER(node, struct hk_superslab, list);
}

static struct hk_leaving detach_idle(void)
{
    for (struct hk_node *node = hk_pool.idle ? hk_pool.all.first : NULL; node != NULL; node = node->next) {
        if (is_idle(of_node(node))) {
            hk_pool.idle--;
            return detach(of_node(node));
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
        given += hk_arena_give_superslab(leaving.base, leaving.clean);
    }
}

/* ---- statistics ---- */

void hk_pool_count_partial(unsigned cls)
{
    hk_lock(&hk_pool.lock);
    hk_poke_add(&hk_pool.served[HK_STAGE_PARTIAL][cls], 1);
    hk_unlock(&hk_pool.lock);
}

uint64_t hk_pool_stage_count(enum hk_pool_stage stage, unsigned cls)
{
    if (cls != 0)
        return hk_peek(&hk_pool.served[stage][cls]);
    uint64_t total = 0;
    for (cls = 1; cls < HK_CLASS_COUNT; cls++)
        total += hk_peek(&hk_pool.served[stage][cls]);
    return total;
}

HK_SLOW_PATH void hk_pool_visit(void (*visit)(void *ctx, struct hk_superslab *ss), void *ctx)
{
    hk_lock(&hk_pool.lock);
    for (struct hk_node *node = hk_pool.all.first; node != NULL; node = node->next)
        visit(ctx, of_node(node));
    hk_unlock(&hk_pool.lock);
}
