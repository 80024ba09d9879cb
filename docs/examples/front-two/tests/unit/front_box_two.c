/* SPDX-License-Identifier: MIT */
#include "front_fixture.h"

void front_check_bin(const struct hk_thread *thread, unsigned cls)
{
    const struct hk_bin *bin = &thread->front->bin[cls];
    EXPECT(bin->slots == thread->own.slots[cls]);
    EXPECT(bin->cap == thread->own.room.cap[cls].now && bin->cap <= HK_TWO_MOST);
    EXPECT(bin->inverse == hk_class_inverse[cls]);
    for (unsigned i = 0; i < bin->count; i++)
        EXPECT(hk_registry_class(bin->slots[i]) == cls);
}
