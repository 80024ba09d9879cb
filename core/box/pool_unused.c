/* SPDX-License-Identifier: MIT
 *
 * Second stage: slabs that were never handed out or were purged. A span of several slabs may also mix UNUSED and EMPTY ones
 * here; it is then not known to be zero.
 */
#include "base/options.h"
#include "box/pool_priv.h"

struct hk_superslab *hk_pool_take_unused(unsigned slabs, unsigned *index)
{
    size_t unit = hk_unit_set_first(&hk_pool.usable[slabs - 1]);
    if (unit == HK_UNITS_MAX)
        return NULL;
    struct hk_superslab *ss = hk_load_relaxed(&hk_window_units[unit]); /* written under the lock we hold */
    *index = hk_find_run32(ss->unused_mask, slabs);
    if (*index == HK_SLABS)
        *index = hk_find_run32(ss->empty_mask | ss->unused_mask, slabs);
    return ss;
}
