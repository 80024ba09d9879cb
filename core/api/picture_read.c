/* SPDX-License-Identifier: MIT */
#include "api/picture.h"

#include "box/heap.h"
#include "box/hot_cold.h"
#include "large/huge.h"
#include "large/walls.h"
#include "box/pool.h"
#include "os/os.h"
#include "pages/ss_arena_source.h"

#include <string.h>

/* ---- SuperSlabs; all under the pool's lock. What a heap's lock guards is read without it, as statistics do. ---- */

static bool is_abandoned(const struct hk_slab *slab)
{
    struct hk_owner *owner = hk_slab_owner(slab);
    return owner == &hk_orphan_heap.owner || (owner != NULL && hk_load_relaxed(&owner->state) == HK_OWNER_GONE);
}

/* The cell that begins with slab i. A slab that is being purged, or was taken from the pool a moment ago, is in no mask
 * and has no state: it counts as EMPTY. */
static struct hk_cell look_at(const struct hk_superslab *ss, unsigned i)
{
    const struct hk_slab *slab = &ss->slab[i];
    struct hk_cell cell = {.kind = HK_CELL_EMPTY, .slabs = 1};
    uint8_t state = hk_peek(&slab->state);
    if ((ss->purged_mask >> i & 1) != 0) {
        cell.kind = HK_CELL_PURGED;
    } else if ((ss->unused_mask >> i & 1) != 0) {
        cell.kind = HK_CELL_UNUSED;
    } else if ((ss->empty_mask >> i & 1) == 0 && state != HK_SLAB_FREE) {
        cell.kind = is_abandoned(slab) ? HK_CELL_ABANDONED : HK_CELL_OWNED;
        cell.slabs = (uint8_t)hk_min(hk_max(slab->slabs, 1), HK_SLABS - i);
        cell.cls = slab->cls;
        cell.state = state;
        cell.used = hk_peek(&slab->used);
        cell.capacity = slab->capacity;
    }
    return cell;
}

static void sum_superslab(void *ctx, struct hk_superslab *ss)
{
    struct hk_slab_sums *sums = ctx;
    sums->superslabs++;
    for (unsigned i = 0; i < HK_SLABS;) {
        struct hk_cell cell = look_at(ss, i);
        sums->slabs[cell.kind] += cell.slabs;
        if (cell.kind >= HK_CELL_OWNED)
            *(hk_temperature(cell.used, cell.capacity) == HK_TEMP_HOT ? &sums->hot : &sums->cold) += cell.slabs;
        i += cell.slabs;
    }
}

void hk_picture_sum(struct hk_slab_sums *sums)
{
    memset(sums, 0, sizeof *sums);
    hk_pool_visit(sum_superslab, sums);
}

struct lowest {
    const char *after;
    char **base;
    unsigned n, most;
};

/* Keeps `base` sorted and no longer than `most`. */
static void note_superslab(void *ctx, struct hk_superslab *ss)
{
    struct lowest *l = ctx;
    if (ss->base <= l->after || (l->n == l->most && ss->base > l->base[l->n - 1]))
        return;
    unsigned at = l->n < l->most ? l->n++ : l->n - 1;
    for (; at > 0 && l->base[at - 1] > ss->base; at--)
        l->base[at] = l->base[at - 1];
    l->base[at] = ss->base;
}

unsigned hk_picture_superslabs(const char *after, char **base, unsigned n)
{
    struct lowest l = {after, base, 0, n};
    hk_pool_visit(note_superslab, &l);
    return l.n;
}

bool hk_picture_row(char *base, struct hk_row *row)
{
    memset(row, 0, sizeof *row);
    row->base = base;
    hk_lock(hk_pool_lock());
    struct hk_superslab *ss = hk_registry_superslab(base);
    for (unsigned i = 0; i < HK_SLABS && ss != NULL; i += row->cell[row->cells++].slabs)
        row->cell[row->cells] = look_at(ss, i);
    if (ss != NULL)
        row->node = ss->node;
    hk_unlock(hk_pool_lock());
    return ss != NULL;
}

/* ---- arenas, under their lock ---- */

/* Where more than so much in a row is not ours, a strip ends. */
#define GAP_MOST HK_GIB

struct arena_search {
    unsigned number, at; /* wanted, and the one whose runs are coming now */
    bool measuring;      /* the first of two walks: only base and size */
    char *end;           /* of the run before */
    struct hk_strip *strip;
};

/* Adds a run to the parts of the strip that it reaches into. */
static void spread_over_strip(struct hk_strip *s, size_t from, size_t size, enum hk_run_kind kind)
{
    size_t to = from + size;
    while (from < to) {
        size_t i = from / s->step, end = hk_min(to, (i + 1) * s->step);
        uint32_t kib = (uint32_t)((end - from) / HK_KIB);
        if (kind == HK_RUN_SUPERSLAB) {
            s->part[i].superslab += kib;
        } else if (kind == HK_RUN_LIVE) {
            s->part[i].run += kib;
        } else {
            size_t resident = hk_os_resident(s->base + from, end - from);
            s->part[i].resident += (uint32_t)(resident / HK_KIB);
            s->resident += resident;
        }
        from = end;
    }
}

/* Runs come in the order of their addresses, and then the tables. Between two walks units may be added, unmapped, and
 * mapped again: what is not where the first walk found something is left out. */
static void visit_run(void *ctx, void *start, size_t size, enum hk_run_kind kind)
{
    struct arena_search *search = ctx;
    struct hk_strip *s = search->strip;
    if (kind == HK_RUN_NONE || (!hk_arena_has_superslabs() && kind == HK_RUN_SUPERSLAB))
        return; /* a table, or a mapping of its own */
    search->at += search->end != NULL && (size_t)((char *)start - search->end) > GAP_MOST;
    search->end = (char *)start + size;
    if (search->at != search->number)
        return;
    if (search->measuring) {
        s->base = s->size == 0 ? start : s->base;
        s->size = (size_t)(search->end - s->base);
        return;
    }
    size_t from = (size_t)((char *)start - s->base);
    if (from >= s->size)
        return;
    size = hk_min(size, s->size - from);
    *(kind == HK_RUN_SUPERSLAB ? &s->superslabs : kind == HK_RUN_LIVE ? &s->runs : &s->free) += size;
    spread_over_strip(s, from, size, kind);
}

bool hk_picture_arena(unsigned number, struct hk_strip *strip)
{
    memset(strip, 0, sizeof *strip);
    struct arena_search search = {.number = number, .measuring = true, .strip = strip};
    hk_arena_visit(visit_run, &search);
    if (strip->size == 0)
        return false;
    strip->step = hk_align_up((strip->size + HK_STRIP_PARTS - 1) / HK_STRIP_PARTS, HK_SLAB_SIZE);
    strip->parts = (unsigned)((strip->size + strip->step - 1) / strip->step);
    search = (struct arena_search){.number = number, .strip = strip};
    hk_arena_visit(visit_run, &search);
    return true;
}

/* ---- large blocks ---- */

static void note_large(struct hk_large *large, size_t size)
{
    unsigned kind = 0;
    while (kind + 1 < HK_LARGE_KINDS && size > (64 * HK_KIB) << kind)
        kind++;
    large->count[kind]++;
    large->bytes[kind] += size;
}

static void note_run(void *ctx, void *start, size_t size, enum hk_run_kind kind)
{
    if (kind == HK_RUN_LIVE)
        note_large(ctx, size - hk_wall_in(start, size));
}

static void note_huge(void *ctx, void *start, size_t size)
{
    note_large(ctx, size);
}

void hk_picture_large(struct hk_large *large)
{
    memset(large, 0, sizeof *large);
    hk_arena_visit(note_run, large);
    hk_huge_visit(note_huge, large);
}
