/* SPDX-License-Identifier: MIT
 *
 * The array magazine: how its bins grow, their order, its options. Each case runs in a child.
 */
#include "front_fixture.h"

#include "front/bin.h"

#include "base/options.h"

static void *blocks[2000];

static void all_arrays_fit_into_a_record(void **state)
{
    (void)state;
    unsigned slots = 0;
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        assert_in_range(hk_v2_most(cls), 1, 512);
        slots += hk_v2_most(cls) + 1;
    }
    assert_true(slots <= HK_FRONT_SLOTS);
}

/* From 8 on by half at each miss, up to 512; half of it is filled. */
static void grow(void *arg)
{
    (void)arg;
    const unsigned caps[] = {8, 12, 18, 27, 41, 62, 93, 140, 210, 315, 473, 512, 512};
    for (unsigned i = 0; i < HK_COUNT(caps); i++) {
        front_take(32);
        struct hk_thread *thread = front_self();
        unsigned cls = hk_class_of(32);
        EXPECT(thread->own.room.cap[cls].now == caps[i]);
        EXPECT(thread->metrics[cls].refills == i + 1);
        while (hk_bin_count(thread, cls) > 0)
            front_take(32);
    }
}

static void bins_grow_by_half_where_they_miss(void **state)
{
    (void)state;
    unit_passes(grow, NULL);
}

static void *others[2][2000];

static void fill_room(unsigned cls, unsigned room, unsigned other, void **from)
{
    struct hk_cap *cap = front_self()->own.room.cap;
    for (unsigned i = 0; cap[cls].now < room && i < HK_COUNT(others[0]); i++) {
        cap[other].misses = 60000;
        front_free(from[i]);
    }
    EXPECT(cap[cls].now >= room);
}

/* There is room for one full bin, and a quarter of another, which misses less. */
static void share(void *arg)
{
    unsigned rich = hk_class_of(1024), poor = hk_class_of(960);
    (void)arg;
    front_borrow(others[0], HK_COUNT(others[0]), 1024);
    front_borrow(others[1], HK_COUNT(others[1]), 960);
    front_free(front_take(16));
    const struct hk_cap *cap = front_self()->own.room.cap;
    EXPECT(hk_option_store(HK_OPT_FRONT_BYTES, 16777216));
    fill_room(rich, 64, 1, others[0]);
    EXPECT(cap[rich].now == cap[rich].max);
    EXPECT(hk_option_store(HK_OPT_FRONT_BYTES, (int64_t)(cap[rich].max * 1024 + cap[rich].max * 960 / 4) / 2));
    fill_room(poor, cap[rich].max / 3, rich, others[1]);
    EXPECT(cap[rich].now == cap[rich].max / 2);
}

static void a_rich_bin_gives_to_one_without_half(void **state)
{
    (void)state;
    unit_passes(share, NULL);
}

static void reuse_newest(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 300; i++)
        blocks[i] = front_take(48);
    for (unsigned i = 0; i < 20; i++)
        front_free(blocks[i]);
    for (unsigned i = 20; i > 0; i--)
        EXPECT(front_malloc(48) == blocks[i - 1]);
}

static void last_in_first_out(void **state)
{
    (void)state;
    unit_passes(reuse_newest, NULL);
}

static void flush_half(void *arg)
{
    (void)arg;
    unsigned cls = hk_class_of(32), i = 0;
    for (; i < 1000; i++)
        blocks[i] = front_take(32);
    struct hk_thread *thread = front_self();
    EXPECT(thread->own.room.cap[cls].now == 512);
    for (i = 0; hk_bin_count(thread, cls) < 512; i++)
        front_free(blocks[i]);
    front_free(blocks[i]);
    EXPECT(hk_bin_count(thread, cls) == 257);
    for (unsigned back = 0; back < 257; back++)
        EXPECT(front_malloc(32) == blocks[i - back]);
    front_check();
}

static void a_full_bin_keeps_its_newest_half(void **state)
{
    (void)state;
    unit_passes(flush_half, NULL);
}

static void cap_by_option(void *arg)
{
    unsigned most = *(const unsigned *)arg, cls = hk_class_of(100);
    EXPECT(hk_option_store(HK_OPT_FRONT_V2_CAP, most));
    for (unsigned i = 0; i < HK_COUNT(blocks); i++)
        blocks[i] = front_take(100);
    EXPECT(front_self()->own.room.cap[cls].now == most);
    unsigned largest = 0;
    for (unsigned i = 0; i < HK_COUNT(blocks); i++) {
        front_free(blocks[i]);
        largest = (unsigned)hk_max(largest, hk_bin_count(front_self(), cls));
    }
    EXPECT(largest == most);
    front_check();
}

static void the_cap_is_an_option(void **state)
{
    (void)state;
    unsigned caps[] = {8, 16, 50, 64, 256};
    for (unsigned i = 0; i < HK_COUNT(caps); i++)
        unit_passes(cap_by_option, &caps[i]);
}

/* All groups but one: the sum of their numbers. */
static void only_one_group(void *arg)
{
    unsigned group = *(const unsigned *)arg;
    EXPECT(hk_option_store(HK_OPT_FRONT_V2_OFF, 511 - (1 << group)));
    front_be_threaded();
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        size_t size = hk_class_size(cls);
        for (unsigned i = 0; i < 100; i++)
            memset(blocks[i] = front_take(size), (int)i, size);
        for (unsigned i = 0; i < 100; i++) {
            EXPECT(((char *)blocks[i])[size - 1] == (char)i);
            front_free(blocks[i]);
        }
        EXPECT((front_self()->own.room.cap[cls].max != 0) == (hk_class_group(cls) == group));
    }
    front_check();
    EXPECT(hk_heap_check(&front_self()->heap));
    hk_front_flush_all(front_self());
    hk_heap_sweep();
    EXPECT(front_owned_slabs() == 0);
}

static void groups_are_off_by_their_bits(void **state)
{
    (void)state;
    unsigned groups[] = {0, 1, 7, 8};
    for (unsigned i = 0; i < HK_COUNT(groups); i++)
        unit_passes(only_one_group, &groups[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_arrays_fit_into_a_record),         cmocka_unit_test(bins_grow_by_half_where_they_miss),
        cmocka_unit_test(a_rich_bin_gives_to_one_without_half), cmocka_unit_test(last_in_first_out),
        cmocka_unit_test(a_full_bin_keeps_its_newest_half),     cmocka_unit_test(the_cap_is_an_option),
        cmocka_unit_test(groups_are_off_by_their_bits),
    };
    return cmocka_run_group_tests_name("front_v2", tests, NULL, NULL);
}
