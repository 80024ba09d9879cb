/* SPDX-License-Identifier: MIT */
#include "pages/huge_pages.h"

#include "os/os.h"
#include "pages/space.h"
#include "pages/ss_arena.h"

/* Where a huge page took longer with its first touch than 512 small ones, it was not at hand: a virtual machine had to
 * ask its host for it, page by page. Then nobody asks for one for a hundred times as long. */
#define SLOW_US 2000u /* at least: 512 small ones take less wherever the system has them at hand */
#define REST 100u

/* Each run that asks may be a mapping of its own to the kernel, and one more between it and the next; the kernel allows
 * a process 65530. With so much in runs, 16 GiB, nobody asks: by the default those are at most 2048. */
#define RUN_PAGES_MOST ((size_t)16 * 1024 * HK_MIB / HK_PAGE)

/* Relaxed: one more that is slow. */
static _Atomic uint32_t slow_since; /* ms of the clock when one was slow */
static _Atomic uint32_t rests_for;  /* ms from then on; 0: none ever was */
static _Atomic uint32_t small_us;   /* what as many bytes in small pages took; 0: nobody has asked yet */

bool hk_huge_pages_rest(void)
{
    uint32_t rest = hk_load_relaxed(&rests_for);
    return rest != 0 && hk_ms_since(hk_os_now_ms(), hk_load_relaxed(&slow_since)) < rest;
}

static void touch_huge(void *ptr)
{
    uint64_t began = hk_os_now_us();
    *(volatile char *)ptr = 0;
    uint64_t took = hk_os_now_us() - began;
    if (took < hk_max(SLOW_US, 2 * (size_t)hk_load_relaxed(&small_us)))
        return;
    hk_store_relaxed(&slow_since, hk_os_now_ms());
    hk_store_relaxed(&rests_for, (uint32_t)hk_min(took * REST / 1000, INT32_MAX));
}

/* A thread that does not run for a moment makes pages look slow: of two looks the faster one counts for more. */
static uint32_t closer_to(uint32_t before, uint32_t took)
{
    return before == 0 || took < before ? took : before + (took - before) / 8;
}

static void touch_small(void *slab)
{
    uint64_t began = hk_os_now_us();
    for (size_t at = 0; at < HK_SLAB_SIZE; at += HK_PAGE)
        *((volatile char *)slab + at) = 0;
    size_t took = hk_min((hk_os_now_us() - began) * (HK_HUGE_PAGE / HK_SLAB_SIZE), INT32_MAX);
    uint32_t small = closer_to(hk_load_relaxed(&small_us), (uint32_t)took);
    hk_store_relaxed(&small_us, small);
    if (2 * (size_t)small * REST / 1000 >= hk_load_relaxed(&rests_for)) /* the slow one was hardly slower */
        hk_store_relaxed(&rests_for, 0);
}

void hk_huge_pages_touch(void *slab, bool asked, bool untouched)
{
    if (asked)
        touch_huge(slab);
    else if (untouched && hk_huge_pages_rest())
        touch_small(slab);
}

/* The huge pages of a block that is long enough to ask; false: there are none. */
static bool find_inner(void **start, size_t *size)
{
    size_t from = (size_t)hk_opt(HK_OPT_HUGE_FROM);
    if (from == 0 || *size <= from / 2 || hk_opt(HK_OPT_THP) != 0)
        return false;
    uintptr_t first = hk_align_up((uintptr_t)*start, HK_HUGE_PAGE);
    uintptr_t end = hk_align_down((uintptr_t)*start + *size, HK_HUGE_PAGE);
    *start = (void *)first;
    *size = end - first;
    return end > first;
}

void hk_huge_pages_ask(void *start, size_t size, bool alone)
{
    void *inner = start;
    size_t bytes = size;
    bool dear = hk_opt(HK_OPT_MEMORY_LIMIT) != 0 || hk_arena_is_scarce();
    bool many = hk_load_relaxed(&hk_arena_run_pages) > RUN_PAGES_MOST;
    if (dear || many || hk_huge_pages_rest() || !find_inner(&inner, &bytes))
        return;
    if (alone)
        hk_os_hint_huge(start, hk_align_up(size, hk_os_page_size()));
    else
        hk_os_hint_huge(inner, bytes);
}

void hk_huge_pages_end(void *start, size_t size)
{
    if (find_inner(&start, &size))
        hk_os_hint_no_huge(start, size);
}
