/* SPDX-License-Identifier: MIT
 *
 * -Dhot_span=enabled: units of 2 MiB whose page runs come and go become huge pages.
 *
 * A huge page takes no fault for its other 511 pages, and a fraction of the TLB misses. But what the program does not
 * touch of it is resident too. So a unit is made one only where reuse goes on touching new pages, at such a pace that
 * it would be resident before long, and while most of that is yet to come: a page that is there already has had its
 * fault, and moving it costs more than the huge page brings. A program that uses the same part of the same blocks again
 * and again stays as small as it is.
 *
 * A look asks the system how many pages of a unit are resident. The first one comes after some reuses, the next ones
 * after as many again, then at distances that double: it costs as much as thousands of small blocks. What becomes of a
 * unit one would know too late if one asked it alone, so what two stretches of equal length showed is added up over all
 * units, for each length apart; see fills_up. That is asked at each look, and what it says may change.
 *
 * Looks are made under the arena lock; the huge page is made without it, by the thread whose run was the last, while
 * the purge passes the unit's runs by and nobody makes it a SuperSlab.
 */
#include "base/options.h"
#include "os/os.h"
#include "os/thread.h"
#include "superslab/ss_arena_priv.h"

#define STEP 16u      /* reuses between the first looks at a unit; also counted in steps: */
#define LONGEST 2048u /* most of them between two looks */
#define COMPARED 3u   /* from this look on there are two stretches to compare */
#define PACE 2u       /* most reuses for a new page, over all units, */
#define SLOWEST 4u    /* and in the unit that is to become a huge page */
#define NEWS 32u      /* new pages with which a unit begins anew that had nothing more to say */
#define REFUSALS 8u   /* units that the system refused, after which it is not asked again */

/* So many units found more than half resident, one after the other, say the same of so many next ones. */
#define FULL 4u
#define SKIPPED 32u

/* Samples that a level must have before it says something, and the number from which the older half counts no more:
 * what a heap does while it grows is not what it does later. */
#define SAMPLES_LEAST 4u
#define SAMPLES_MOST 64u

/* Where units go: if of the touched pages always the same proportion is new, stretches of equal length add up to a
 * geometric series. (Pages are not touched equally often, so later there are more new ones than it says.) Its sum is
 * to be a third of a unit. */
static bool level_fills_up(const struct level *l, uint64_t reuses)
{
    uint64_t third = (uint64_t)l->samples * UNIT_PAGES / 3;
    if (l->samples < SAMPLES_LEAST || l->second * PACE < l->samples * reuses)
        return false;
    uint64_t slower = l->first > l->second ? l->first - l->second : 0;
    return l->before >= third || l->first * l->first >= (third - l->before) * slower; /* before + first^2 / slower */
}

/* One level is enough: what it says is too little rather than too much, and short stretches know it sooner. */
static bool fills_up(const struct growth *g)
{
    for (unsigned i = 0; i < LEVELS; i++)
        if (level_fills_up(&g->level[i], (uint64_t)STEP << i))
            return true;
    return false;
}

static void learn(struct level *l, uint32_t before, uint32_t first, uint32_t second)
{
    if (l->samples == SAMPLES_MOST) {
        l->samples /= 2;
        l->before /= 2;
        l->first /= 2;
        l->second /= 2;
    }
    l->samples++;
    l->before += before;
    l->first += first;
    l->second += second;
}

/* All pages of the unit belong to live runs or may be resident anyway: then a huge page makes nothing resident that the
 * purge does not know of. */
static bool is_whole(struct arena *a, uint32_t unit)
{
    uint32_t first = unit * UNIT_PAGES, end = first + UNIT_PAGES;
    uint32_t start = hk_arena_start_of((uint32_t)(a - hk_arenas.arena) << PAGE_BITS | first);
    for (uint32_t at = number_of(start); at < end; at += pages_of(record_of(a, at))) {
        struct page *p = record_of(a, at);
        uint32_t from = at > first ? at : first, to = (uint32_t)hk_min(at + pages_of(p), end);
        bool is_hole = kind_of(p) == PAGE_FREE || kind_of(p) == PAGE_FREE_EDGES;
        if (kind_of(p) != PAGE_RUN && !(is_hole && hk_bits_find(a->dirty, from, to, false) == to))
            return false;
    }
    return true;
}

static char *base_of(const struct arena *a, uint32_t unit)
{
    return a->base + (size_t)unit * HK_SUPERSLAB_SIZE;
}

/* Steps between two looks: each stretch but the first ones is as long as all since the unit began. */
static uint32_t stretch(uint32_t looks)
{
    return looks <= COMPARED ? 1 : (uint32_t)hk_min((size_t)1 << hk_min(looks - COMPARED, 16), LONGEST);
}

/* Leaves a unit alone for so many steps; then it begins anew. */
static void rest(struct unit *u, uint32_t steps)
{
    u->looks = 1;
    u->tried = false;
    u->wait = (uint16_t)steps;
}

/* Enters what a look at the end of a stretch found. A unit that has grown no more, or through all lengths, teaches
 * nothing until there is news. */
static void enter(struct growth *g, struct unit *u, uint32_t pages, uint32_t growth)
{
    unsigned level = u->looks - COMPARED; /* of a unit that has fewer looks: none */
    if (u->looks >= COMPARED + LEVELS && growth >= NEWS)
        u->looks = 1;
    if (u->looks == 1) {
        u->base = (uint16_t)pages;
    } else if (level < LEVELS) {
        learn(&g->level[level], u->base, u->pages - (uint32_t)hk_min(u->pages, u->base), growth);
        if (growth == 0)
            u->looks = COMPARED + LEVELS;
    }
    u->pages = (uint16_t)pages;
    u->looks += u->looks < UINT8_MAX;
    u->wait = (uint16_t)stretch(u->looks);
    u->tried = false;
}

/* Has somebody switched it off, has the system refused, or might a sandbox mind the question? */
static bool must_not_look(void)
{
    return hk_opt(HK_OPT_HOT_SPAN_HUGE) == 0 || hk_arenas.refused >= REFUSALS || !hk_os_may_collapse();
}

/* Looks at a unit, because it is time or because it may be made a huge page, once a stretch; does it go on growing, and
 * is it worth one? */
static bool look(struct growth *g, struct unit *u, char *base)
{
    uint32_t pages = (uint32_t)(hk_os_resident(base, HK_SUPERSLAB_SIZE) / HK_PAGE);
    uint32_t growth = pages - (uint32_t)hk_min(pages, u->pages); /* less: swapped out, which is not untouched */
    bool grows = u->looks > 1 && growth * SLOWEST >= (stretch(u->looks) - u->wait) * STEP;
    u->tried = true;
    if (u->wait == 0)
        enter(g, u, pages, growth);
    if (pages <= UNIT_PAGES / 2) {
        g->full = 0;
        return grows;
    }
    if (++g->full >= FULL)
        g->skip = SKIPPED;
    rest(u, LONGEST);
    return false;
}

bool hk_arena_look(struct arena *a, uint32_t unit)
{
    struct unit *u = &a->unit[unit];
    struct growth *g = &hk_arenas.growth;
    u->left = STEP - 1;
    if (u->looks == 0) { /* the reuses before are not known */
        rest(u, 1);
        return false;
    }
    bool due = --u->wait == 0;
    if (!due && (u->looks == 1 || u->tried || !fills_up(g)))
        return false;
    if (u->state != UNIT_COLD) {
        rest(u, LONGEST);
    } else if (g->skip != 0) {
        g->skip--;
        rest(u, LONGEST / 8);
    } else if (must_not_look()) {
        rest(u, LONGEST);
    } else if (look(g, u, base_of(a, unit)) && fills_up(g) && is_whole(a, unit)) {
        u->state = UNIT_RISING;
        hk_add_relaxed(&hk_arenas.rising, 1); /* under the lock */
        return true;
    }
    return false;
}

void hk_arena_raise(uint32_t ref)
{
    struct arena *a = arena_of(ref);
    uint32_t unit = number_of(ref) / UNIT_PAGES;
    if (a->no_huge)
        hk_os_hint_huge(base_of(a, unit), HK_SUPERSLAB_SIZE);
    bool done = hk_os_collapse(base_of(a, unit));
    if (!done && a->no_huge)
        hk_os_hint_no_huge(base_of(a, unit), HK_SUPERSLAB_SIZE);
    hk_lock(&hk_arenas.lock);
    a->unit[unit].state = done ? UNIT_WARM : UNIT_COLD;
    rest(&a->unit[unit], LONGEST); /* a huge page needs no looks, and who refuses is left alone for a while */
    hk_arenas.refused += !done;
    /* 0 already where a handler came meanwhile, forked, and this is the child */
    if (hk_load_relaxed(&hk_arenas.rising) != 0)
        hk_sub_relaxed(&hk_arenas.rising, 1);
    hk_unlock(&hk_arenas.lock);
    hk_thread_wake(&hk_arenas.rising);
}

void hk_arena_wait(void)
{
    uint32_t rising = hk_load_relaxed(&hk_arenas.rising);
    hk_unlock(&hk_arenas.lock);
    hk_thread_sleep(&hk_arenas.rising, rising, 10);
    hk_lock(&hk_arenas.lock);
}

void hk_arena_cool(struct arena *a, uint32_t first, uint32_t pages)
{
    for (uint32_t unit = first / UNIT_PAGES; unit * UNIT_PAGES < first + pages; unit++) {
        if (a->unit[unit].state != UNIT_COLD && a->no_huge)
            hk_os_hint_no_huge(base_of(a, unit), HK_SUPERSLAB_SIZE);
        a->unit[unit] = (struct unit){0};
    }
}
