/* SPDX-License-Identifier: MIT */
#include "front_fixture.h"

#include "base/options.h"

void front_check_bin(const struct hk_thread *thread, unsigned cls)
{
    const struct hk_bin *bin = &thread->front->bin[cls];
    EXPECT(bin->slots == thread->own.ring[cls]);
    EXPECT(bin->cap == thread->own.room.cap[cls].now && bin->cap <= HK_RING_MOST);
    EXPECT(bin->inverse == hk_class_inverse[cls]);
}

void front_turn_off(unsigned group)
{
    EXPECT(group < 8 && hk_option_store((enum hk_option)(HK_OPT_TINY_HOT_RING_C0 + group), 0));
}

void front_turn_all_off(void)
{
    EXPECT(hk_option_store(HK_OPT_TINY_HOT_RING_ENABLE, 0));
}
