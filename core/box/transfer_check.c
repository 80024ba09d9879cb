/* SPDX-License-Identifier: MIT
 *
 * What tests ask of the arrays. They link it; it is in no other library.
 */
#include "box/transfer_priv.h"

size_t hk_transfer_bytes(void)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < HK_COUNT(hk_transfer_places); i++)
        bytes += hk_load_relaxed(&hk_transfer_places[i].waiting);
    return bytes;
}

struct hk_lock *hk_transfer_lock(unsigned place, unsigned cls)
{
    struct array *a = array_at(place, cls);
    return cls == 0 ? &hk_transfer_making : a != NULL ? &a->lock : NULL;
}
