/* SPDX-License-Identifier: MIT
 *
 * -Dhot_span=disabled: nothing stays, however much may be kept. One file of two, of which -Dhot_span picks one.
 */
#include "box/hot_span.h"

size_t hk_hot_span_purge(uint32_t now, bool *refused)
{
    size_t given = hk_arena_purge(now, 0, HK_PURGE_MOST, refused);
    return given != 0 || *refused ? given : hk_pool_purge(now, 0, HK_PURGE_MOST, HK_POOL_MID, refused);
}
