/* SPDX-License-Identifier: MIT
 *
 * Are a heap's slabs in the lists that their states name? For tests and -Dcheck builds, which link it; it is in no
 * other library.
 */
#include "box/heap.h"

static bool check_list(const struct hk_heap *heap, const struct hk_list *list, enum hk_slab_state state)
{
    for (struct hk_node *node = list->first; node != NULL; node = node->next) {
        struct hk_slab *slab = HK_CONTAINER(node, struct hk_slab, node);
        if (slab->state != state || hk_slab_owner(slab) != &heap->owner || slab->used == 0 || !hk_slab_check(slab))
            return false;
    }
    return true;
}

bool hk_heap_check(struct hk_heap *heap)
{
    hk_lock(&heap->lock);
    bool ok = check_list(heap, &heap->full, HK_SLAB_FULL);
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        struct hk_slab *active = heap->cls[cls].active;
        ok = ok && check_list(heap, &heap->cls[cls].partial, HK_SLAB_PARTIAL);
        ok = ok && (active == NULL || (active->state == HK_SLAB_ACTIVE && hk_slab_check(active)));
    }
    hk_unlock(&heap->lock);
    return ok;
}
