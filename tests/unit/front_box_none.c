/* SPDX-License-Identifier: MIT */
#include "front_fixture.h"

void front_check_bin(const struct hk_thread *thread, unsigned cls)
{
    const struct hk_bin *bin = &thread->front->bin[cls];
    unsigned listed = 0;
    for (void *block = bin->list.first; block != NULL; block = *(void **)block, listed++)
        EXPECT(hk_registry_class(block) == cls && hk_slab_is_block(hk_slab_of(block), block));
    EXPECT(bin->list.count == listed);
    EXPECT(bin->list.cap == thread->own.room.cap[cls].now);
    EXPECT(bin->inverse == hk_class_inverse[cls]);
}
