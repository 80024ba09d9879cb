/* SPDX-License-Identifier: MIT */
#include "front_fixture.h"

#include "base/options.h"

void front_check_bin(const struct hk_thread *thread, unsigned cls)
{
    const struct hk_bin *bin = &thread->front->bin[cls];
    void **base = thread->own.base[cls];
    EXPECT(bin->empty16 == (uint16_t)(uintptr_t)base);
    EXPECT(bin->full16 == (uint16_t)(uintptr_t)(base + thread->own.room.cap[cls].now));
    EXPECT(bin->inverse == hk_class_inverse[cls]);
    EXPECT(base + thread->own.room.cap[cls].max < thread->own.slots + thread->own.slots_used);
}

void front_turn_off(unsigned group)
{
    EXPECT(group < 8 && hk_option_store((enum hk_option)(HK_OPT_TINY_UNIFIED_C0 + group), 0));
}

void front_turn_all_off(void)
{
    EXPECT(hk_option_store(HK_OPT_TINY_UNIFIED_CACHE, 0));
}
