/* SPDX-License-Identifier: MIT
 *
 * The bins that are arrays, as room.c sees them.
 */
#include "front/bin.h"

unsigned hk_bin_count(const struct hk_thread *thread, unsigned cls)
{
    void **base = hk_peek(&thread->own.base[cls]), **cur = hk_peek(&thread->front->bin[cls].cur);
    return base != NULL && cur != NULL ? (unsigned)(cur - base) : 0;
}

void hk_array_set_up(struct hk_thread *thread, unsigned cls, unsigned most)
{
    struct hk_front_own *own = &thread->own;
    struct hk_bin *bin = &thread->front->bin[cls];
    if (own->base[cls] == NULL) {
        hk_poke(&own->base[cls], &own->slots[own->slots_used]); /* whoever counts looks at both */
        own->slots_used += most + 1u;
        HK_ASSERT(own->slots_used <= HK_FRONT_SLOTS);
    }
    hk_poke(&bin->cur, own->base[cls]);
    bin->empty16 = (uint16_t)(uintptr_t)bin->cur;
    bin->full16 = bin->empty16;
    bin->inverse = hk_class_inverse[cls];
}

void hk_bin_set_cap(struct hk_thread *thread, unsigned cls)
{
    void **full = thread->own.base[cls] + thread->own.room.cap[cls].now;
    thread->front->bin[cls].full16 = (uint16_t)(uintptr_t)full;
}
