/* SPDX-License-Identifier: MIT */
#include "front_fixture.h"

#include "box/heap_lists.h"

void front_check(void)
{
    struct hk_thread *thread = front_self();
    EXPECT(thread->front == hk_front_mine() && hk_front_mine()->thread == thread);
    EXPECT(thread->own.count < HK_FOREIGN);
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        const struct hk_bin *bin = &hk_front_mine()->bin[cls];
        EXPECT(bin->inverse == 0 || bin->inverse == hk_class_inverse[cls]);
        EXPECT(hk_class_slabs(cls) == 1 || (bin->list == NULL && bin->slab == 0));
        for (void *block = bin->list; block != NULL; block = *(void **)block) {
            EXPECT(hk_bin_slab(block) == bin->slab && hk_registry_class(block) == cls);
            EXPECT(hk_slab_is_block(hk_slab_of(block), block));
        }
    }
    for (size_t i = 0; i < sizeof thread->front->bin[0]; i++)
        EXPECT(((const char *)&thread->front->bin[0])[i] == 0);
}
