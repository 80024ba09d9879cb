/* SPDX-License-Identifier: MIT */
#include "box/peak.h"

#include "base/options.h"
#include "box/pool.h"
#include "large/huge.h"
#include "os/os.h"
#include "pages/ss_arena.h"

/* All relaxed: a statistic, and each of them is one number. */
static _Atomic size_t most; /* bytes */
hk_seen hk_peak_seen[1] = {&most};
static _Atomic size_t beside; /* address space that was not in huge blocks at the last look at those */

static void at_least(size_t bytes)
{
    size_t before = hk_load_relaxed(&most);
    while (bytes > before && !hk_cas_relaxed(&most, &before, bytes)) {
    }
}

/* Asks the huge box, under its lock, and so only where there may be more than ever. */
static HK_SLOW_PATH void look_closely(size_t rest)
{
    hk_lock(hk_huge_lock());
    size_t huge = hk_huge_bytes();
    hk_unlock(hk_huge_lock());
    size_t held = hk_os_held();
    hk_store_relaxed(&beside, held - hk_min(held, huge));
    at_least(rest + huge);
}

/* Of what is free now, what may have been live until a moment ago. */
static size_t was_live(size_t free_bytes)
{
    return hk_min(free_bytes, hk_max((size_t)hk_opt(HK_OPT_MIN_KEEP), HK_PURGE_MOST));
}

/* Beside page runs and huge blocks there are `small` bytes, and there were `before` until a moment ago. */
static void look_at_peak(size_t small, size_t before)
{
    size_t held = hk_os_held();
    /* With those that threads keep: they were live, and nobody knows how long ago. */
    size_t rest = hk_load_relaxed(&hk_arena_run_pages) * HK_PAGE + small + before;
    if (rest + held - hk_min(held, hk_load_relaxed(&beside)) > hk_load_relaxed(&most))
        look_closely(rest);
}

void hk_peak_look_now(size_t freed)
{
    look_at_peak(hk_load_relaxed(&hk_pool_owned) * HK_SLAB_SIZE,
                 hk_max(freed, was_live(hk_pool_empty_bytes() + hk_arena_dirty())));
}

size_t hk_peak_live(size_t live, size_t small, size_t free_bytes)
{
    look_at_peak(small, was_live(free_bytes));
    at_least(live);
    return hk_load_relaxed(&most);
}
