/* SPDX-License-Identifier: MIT */
#include "superslab/ss_arena_priv.h"

void hk_arena_place(void)
{
    hk_lock(&hk_arenas.lock);
    for (uint32_t i = 0; i < hk_arenas.count; i++)
        hk_numa_prefer(hk_arenas.arena[i].start, hk_arenas.arena[i].mapped, hk_arenas.arena[i].node);
    hk_unlock(&hk_arenas.lock);
}
