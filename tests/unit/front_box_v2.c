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
}

void front_turn_off(unsigned group)
{
    EXPECT(hk_option_store(HK_OPT_FRONT_V2_OFF, hk_opt(HK_OPT_FRONT_V2_OFF) | 1 << group));
}

void front_turn_all_off(void)
{
    EXPECT(hk_option_store(HK_OPT_TINY_FRONT_V2, 0));
}
