/* SPDX-License-Identifier: MIT
 *
 * What the fixture checks of fronts that use room.c.
 */
#include "front_fixture.h"

#include "front/bin.h"

void front_check(void)
{
    struct hk_thread *thread = front_self();
    size_t bytes = 0;
    EXPECT(thread->front == hk_front_mine() && hk_front_mine()->thread == thread);
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        if (thread->own.room.cap[cls].max == 0)
            continue;
        const struct hk_cap *cap = &thread->own.room.cap[cls];
        EXPECT(hk_bin_count(thread, cls) <= cap->now && cap->now <= cap->max);
        front_check_bin(thread, cls);
        bytes += cap->now * hk_class_size(cls);
    }
    EXPECT(bytes == thread->own.room.bytes);
    for (size_t i = 0; i < sizeof thread->front->bin[0]; i++)
        EXPECT(((const char *)&thread->front->bin[0])[i] == 0);
}

void front_check_budget(void)
{
    front_check();
    EXPECT(front_self()->own.room.bytes <= 2 * hk_front_limit(front_self()));
}

unsigned front_first_of(unsigned group)
{
    unsigned cls = 1;
    while (hk_class_group(cls) != group)
        cls++;
    return cls;
}

size_t front_held_in_bins(void)
{
    size_t held = 0;
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++)
        held += hk_bin_count(front_self(), cls) * hk_class_size(cls);
    return held;
}
