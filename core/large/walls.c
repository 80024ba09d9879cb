/* SPDX-License-Identifier: MIT */
#include "large/walls.h"

#include "base/options.h"
#include "os/os.h"

uintptr_t hk_wall_places[HK_GUARDS ? HK_WALLS : 1];

#define PAGE ((size_t)4096)

static _Atomic uint32_t turn; /* relaxed: which run has one does not matter */

bool hk_wall_is_due(void)
{
    return hk_add_relaxed(&turn, 1) % (uint32_t)hk_opt(HK_OPT_WALL_EVERY) == 0 && hk_os_page_size() == PAGE;
}

bool hk_wall_put(void *page)
{
    uintptr_t none = 0;
    if (!hk_poke_cas(hk_wall_place((uintptr_t)page), &none, (uintptr_t)page))
        return false;
    if (hk_os_hide(page, PAGE))
        return true;
    hk_poke(hk_wall_place((uintptr_t)page), 0);
    return false;
}

bool hk_wall_take(void *page)
{
    if (!hk_os_commit(page, PAGE))
        return false;
    hk_poke(hk_wall_place((uintptr_t)page), 0);
    return true;
}
