/* SPDX-License-Identifier: MIT */
#include "large/walled.h"

#include "base/assert.h"
#include "large/walls.h"
#include "os/os.h"
#include "pages/ss_arena.h"

static char *last_page(const void *run, size_t pages)
{
    return (char *)(uintptr_t)run + (pages - 1) * HK_PAGE;
}

static bool has_wall(const void *run, size_t pages)
{
    return hk_wall_in(run, pages * HK_PAGE) != 0;
}

void *hk_walled_take(size_t pages, size_t align, bool *zero)
{
    void *run = hk_wall_is_due() ? hk_arena_take(pages + 1, align, zero) : NULL;
    if (run != NULL)
        hk_wall_put(last_page(run, pages + 1));
    return run;
}

/* Runs whose walls the system would not take away, linked through their first words: theirs is the memory of no one
 * until it does. The other pages have gone back to it. */
static void *_Atomic left;

static void leave_run(void *run)
{
    void *first = hk_load_relaxed(&left); /* the exchange looks again */
    do {
        *(void **)run = first;
    } while (!hk_cas_weak_release(&left, &first, run)); /* pairs with give_left */
}

static bool has_gone(void *run, size_t pages)
{
    return !has_wall(run, pages) || hk_wall_take(last_page(run, pages));
}

static HK_NOINLINE void give_left(void)
{
    void *run = hk_swap_acq_rel(&left, NULL); /* pairs with leave_run */
    while (run != NULL) {
        void *next = *(void **)run;
        if (!has_gone(run, hk_arena_pages_of_live(run)))
            leave_run(run);
        else
            hk_arena_give(run);
        run = next;
    }
}

bool hk_walled_give(void *run)
{
    size_t pages = hk_arena_pages_of_live(run);
    if (pages == 0)
        return false;
    if (HK_UNLIKELY(hk_load_relaxed(&left) != NULL)) /* a hint: else the next one */
        give_left();
    if (has_gone(run, pages))
        return hk_arena_give(run);
    for (size_t at = 0; at < pages - 1; at += HK_PURGE_MOST / HK_PAGE)
        hk_os_purge((char *)run + at * HK_PAGE, hk_min(pages - 1 - at, HK_PURGE_MOST / HK_PAGE) * HK_PAGE);
    leave_run(run);
    return true;
}

/* The wall goes first where the run becomes shorter, and where it grows, last: until then it may have to stay. */
bool hk_walled_resize(void *run, size_t pages, size_t roomy)
{
    size_t have = hk_arena_pages_of_live(run);
    if (!has_wall(run, hk_max(have, 1)))
        return hk_arena_resize(run, pages, roomy);
    char *wall = last_page(run, have);
    bool grows = pages >= have - 1;
    if (!grows && !hk_wall_take(wall))
        return false;
    if (!hk_arena_resize(run, pages + 1, hk_max(roomy, pages) + 1))
        return false; /* it grows: what is shorter has room */
    if (grows && !hk_wall_take(wall)) {
        bool back = hk_arena_resize(run, have, have);
        HK_ASSERT(back);
        (void)back;
        return false;
    }
    hk_wall_put(last_page(run, hk_arena_pages_of_live(run)));
    return true;
}
