/* SPDX-License-Identifier: MIT
 *
 * Transfer: what forks and statistics ask. In a file of its own, as most programs never call it (core/meson.build).
 */
#include "box/transfer_priv.h"

void hk_transfer_fork_child(bool inside)
{
    size_t told = 0;
    hk_lock_reset(&hk_transfer_making);
    hk_lock_reset(&hk_transfer_sweeping);
    for (unsigned place = 0; place < place_count(); place++) {
        size_t waits = 0;
        for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
            struct array *a = array_at(place, cls);
            if (a == NULL)
                continue;
            hk_lock_reset(&a->lock);
            waits += hk_load_relaxed(&a->count) * hk_class_size(cls);
        }
        /* Inside this thread may be about to count what it has put or taken. (A write copies a page.) */
        if (!inside && hk_load_relaxed(&hk_transfer_places[place].waiting) != waits)
            hk_store_relaxed(&hk_transfer_places[place].waiting, waits);
        told += hk_load_relaxed(&hk_transfer_places[place].told);
    }
    if (!inside)
        hk_store_relaxed(&hk_transfer_told, told);
}

struct hk_transfer_sums hk_transfer_count(unsigned cls)
{
    struct hk_transfer_sums sums = {0, 0};
    for (unsigned place = 0; place < place_count(); place++) {
        struct array *a = array_at(place, cls);
        if (a == NULL)
            continue;
        sums.blocks += hk_load_relaxed(&a->count);
        sums.batches += hk_peek(&a->batches);
    }
    return sums;
}
