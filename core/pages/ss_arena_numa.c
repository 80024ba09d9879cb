/* SPDX-License-Identifier: MIT
 *
 * What the SSArena does when the nodes are learned; without -Dnuma=auto or enabled it is not built.
 */
#include "pages/ss_arena_priv.h"

void hk_arena_place(void)
{
    hk_lock(&hk_arenas.lock);
    for (uint32_t at = 0, run = 0, unit = 0; at < all_pages(); at = run) {
        struct page seen = seen_at(at);
        run = at + pages_of(&seen);
        bool ours = kind_of(&seen) != PAGE_TAKEN && kind_of(&seen) != PAGE_ABSENT;
        for (; unit < run; unit += UNIT_PAGES) { /* those that begin in the run */
            if (ours)
                hk_numa_prefer(address_of(unit), HK_UNIT_SIZE, node_of(unit));
        }
    }
    hk_unlock(&hk_arenas.lock);
}
