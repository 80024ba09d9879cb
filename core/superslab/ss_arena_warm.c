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
 * A look costs as much as thousands of small blocks. So one unit in four is looked at until it is clear what becomes
 * of them, and none any more that is half resident. Looks are made under the arena lock; the huge page is made without
 * it, by the thread whose run was the last, while the purge passes the unit's runs by and nobody makes it a SuperSlab.
 */
#include "base/options.h"
#include "os/os.h"
#include "os/thread.h"
#include "superslab/ss_arena_priv.h"

#define STEP 16u     /* reuses between looks at a unit, */
#define LOOKS 9u     /* the first ones, of which one only begins to count; the distance doubles from then on */
#define STEPS 32768u /* until here */
#define SCOUTS 4u    /* one unit in so many is looked at before it is known what becomes of them */
#define FULL 8u      /* units found more than half resident, one after the other, that say the same of the next one */
#define REFUSALS 8u  /* units that the system refused, after which it is not asked again */

/* Looks that must have seen two steps before they say something, and the number from which the older half of what was
 * seen counts no more: what a heap does while it grows is not what it does later. */
#define UNITS_LEAST 4u
#define UNITS_MOST 64u

/* Where units go: with each step fewer of the touched pages are new, always in the same proportion, so all steps
 * together are a geometric series. Its sum is at least half of a unit, and the last step more than chance. */
static bool fills_up(const struct growth *g)
{
    uint64_t half = (uint64_t)g->units * UNIT_PAGES / 2;
    if (g->units < UNITS_LEAST || g->second < g->units * (STEP / 2))
        return false;
    uint64_t slower = g->first > g->second ? g->first - g->second : 0;
    return g->before >= half || g->first * g->first >= (half - g->before) * slower; /* before + first^2 / slower */
}

/* Two steps of a unit: `growth` pages more in the last one. */
static void learn(struct growth *g, const struct unit *u, uint32_t growth)
{
    if (g->units == UNITS_MOST) {
        g->units /= 2;
        g->before /= 2;
        g->first /= 2;
        g->second /= 2;
    }
    g->units++;
    g->before += u->pages - u->growth;
    g->first += u->growth;
    g->second += growth;
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

/* Counts what is resident in a scout and learns from it; does it still grow? */
static bool scouts(struct unit *u, uint32_t pages)
{
    uint32_t growth = pages - (uint32_t)hk_min(pages, u->pages); /* less: swapped out, which is not untouched */
    if (u->looks > 3 && u->looks <= LOOKS)
        learn(&hk_arenas.growth, u, growth);
    if (u->looks > 2 && growth == 0) /* not: little; what is learnt must not be of the fast ones alone */
        u->looks = (uint8_t)hk_max(u->looks, LOOKS + 1);
    u->growth = (uint16_t)growth;
    u->pages = (uint16_t)pages;
    return u->looks > 3 && growth >= STEP / 2;
}

bool hk_arena_look(struct arena *a, uint32_t unit)
{
    struct unit *u = &a->unit[unit];
    bool scout = unit % SCOUTS == 0, first = u->looks == 0;
    u->left = STEP - 1;
    u->looks += first;
    if (first || (!scout && !fills_up(&hk_arenas.growth)))
        return false;
    u->left = STEPS - 1;
    if (hk_arenas.growth.full >= FULL) { /* a look now and then, should the program do something else */
        u->left = STEPS / 8 - 1;
        hk_arenas.growth.full--;
        return false;
    }
    if (u->state != UNIT_COLD || hk_opt(HK_OPT_HOT_SPAN_HUGE) == 0 || hk_arenas.refused >= REFUSALS ||
        !hk_os_may_collapse())
        return false;
    uint32_t pages = (uint32_t)(hk_os_resident(base_of(a, unit), HK_SUPERSLAB_SIZE) / HK_PAGE);
    if (pages > UNIT_PAGES / 2) {
        hk_arenas.growth.full++;
        return false;
    }
    hk_arenas.growth.full = 0;
    u->looks += u->looks < UINT8_MAX;
    bool grows = scout ? scouts(u, pages) : pages >= STEP;
    u->left = (uint16_t)(hk_min((size_t)STEP << (u->looks > LOOKS ? hk_min(u->looks - LOOKS, 12) : 0), STEPS) - 1);
    if (!grows || !fills_up(&hk_arenas.growth) || !is_whole(a, unit))
        return false;
    u->state = UNIT_RISING;
    hk_add_relaxed(&hk_arenas.rising, 1); /* under the lock */
    return true;
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
    a->unit[unit].left = STEPS - 1; /* a huge page needs no looks, and who refuses is left alone for a while */
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
