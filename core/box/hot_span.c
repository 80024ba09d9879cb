/* SPDX-License-Identifier: MIT */
#include "box/hot_span.h"

size_t hk_hot_span_purge(uint32_t now, bool *refused)
{
    if (HK_HOT_SPAN) /* there is nothing that must not stay */
        return 0;
    size_t given = hk_arena_purge(now, 0, HK_PURGE_MOST, refused);
    return given != 0 || *refused ? given : hk_pool_purge(now, 0, HK_PURGE_MOST, HK_POOL_MID, refused);
}
