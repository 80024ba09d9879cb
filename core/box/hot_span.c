/* SPDX-License-Identifier: MIT
 *
 * -Dhot_span=enabled: a Mid span stays as long as any EMPTY slab, and the pool's purge is its purge.
 */
#include "box/hot_span.h"

size_t hk_hot_span_purge(uint32_t now, uint32_t delay_ms, size_t keep)
{
    return hk_arena_purge(now, delay_ms, keep);
}
