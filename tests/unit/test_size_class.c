/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "superslab/size_class.h"

static void class_0_is_no_class(void **state)
{
    (void)state;
    assert_int_equal(hk_class_size(0), 0);
    assert_int_equal(hk_class_slabs(0), 0);
    assert_int_equal(hk_class_inverse[0], 0);
}

static void sizes_rise(void **state)
{
    (void)state;
    assert_int_equal(hk_class_size(1), HK_BLOCK_MIN);
    assert_int_equal(hk_class_size(HK_TINY_LAST), HK_TINY_MAX);
    assert_int_equal(hk_class_size(HK_MID_LAST), HK_MID_MAX);
    assert_int_equal(hk_class_size(HK_CLASS_COUNT - 1), HK_WIDE_MAX);
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        assert_int_equal(hk_class_size(cls) % HK_BLOCK_MIN, 0);
        assert_true(hk_class_size(cls) > hk_class_size(cls - 1));
    }
}

/* Of tiny classes it is the choice that says it. */
static void mid_sizes_are_those_of_the_header(void **state)
{
    (void)state;
    for (unsigned cls = HK_TINY_LAST + 1; cls <= HK_MID_LAST; cls++) {
        size_t size = hk_class_size(cls), step = size - hk_class_size(cls - 1);
        assert_int_equal(size % 64, 0); /* hk_mid_class counts in 64s */
        if (size <= 4096)
            assert_int_equal(step, ((size_t)1 << hk_log2(size - 1)) / 8);
        else if (size != 28672) /* no larger size of which as many fit */
            assert_true((size + 64) * hk_class_capacity(cls) > hk_class_slabs(cls) * HK_SLAB_SIZE);
    }
}

/* The fewest slabs of which less than a sixteenth of a block is left; and no two sizes are more than a half apart. */
static void wide_sizes_fill_their_spans(void **state)
{
    (void)state;
    for (unsigned cls = HK_MID_LAST + 1; cls < HK_CLASS_COUNT; cls++) {
        size_t size = hk_class_size(cls), slabs = 1;
        assert_int_equal(size % 1024, 0); /* hk_wide_class counts in these */
        assert_true(size * 2 <= hk_class_size(cls - 1) * 3);
        while (slabs * HK_SLAB_SIZE < size || slabs * HK_SLAB_SIZE % size >= size / 16)
            slabs++;
        assert_int_equal(hk_class_slabs(cls), slabs);
        assert_in_range(slabs, 1, HK_SPAN_MAX);
        assert_int_equal(hk_class_capacity(cls), slabs * HK_SLAB_SIZE / size);
    }
}

static void tiny_steps_are_those_of_the_choice(void **state)
{
    (void)state;
    const unsigned counts[] = {32, 20, 64, 7}; /* fine, coarse, dense, pow2 */
    assert_int_equal(HK_TINY_LAST, counts[UNIT_CLASSES]);
    for (unsigned cls = 2; cls <= HK_TINY_LAST; cls++) {
        size_t size = hk_class_size(cls), step = size - hk_class_size(cls - 1), doubling = hk_log2(size - 1);
        const size_t steps[] = {
            size <= 256   ? 16
            : size <= 512 ? 32
                          : 64,
            size <= 128 ? 16 : ((size_t)1 << doubling) / 4,
            16,
            (size_t)1 << doubling,
        };
        assert_int_equal(step, steps[UNIT_CLASSES]);
    }
}

/* C0 16-64, C1 80-128, C2 144-192, C3 208-256, C4 288-384, C5 416-512, C6 576-768, C7 832-1024, with every choice. */
static void class_groups_are_ranges_of_sizes(void **state)
{
    (void)state;
    const size_t last[] = {64, 128, 192, 256, 384, 512, 768, 1024, HK_WIDE_MAX};
    assert_int_equal(HK_COUNT(last), HK_CLASS_GROUPS);
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        unsigned group = 0;
        while (hk_class_size(cls) > last[group])
            group++;
        assert_int_equal(hk_class_group(cls), group);
    }
    assert_int_equal(hk_class_group(1), 0);
    assert_int_equal(hk_class_group(HK_TINY_LAST), 7);
    assert_int_equal(hk_class_group(HK_TINY_LAST + 1), 8);
}

static void a_code_fits_into_a_byte(void **state)
{
    (void)state;
    assert_true(2 * (HK_CLASS_COUNT - 1) <= UINT8_MAX);
}

static unsigned model_class(size_t n)
{
    unsigned cls = 1;
    while (hk_class_size(cls) < n)
        cls++;
    return cls;
}

static void every_size_has_the_smallest_class_that_holds_it(void **state)
{
    (void)state;
    for (size_t n = 0; n <= HK_WIDE_MAX; n++)
        assert_int_equal(hk_class_of(n), model_class(n));
    for (size_t n = HK_TINY_MAX + 1; n <= HK_MID_MAX; n++)
        assert_int_equal(hk_class_of_mid(n), model_class(n));
    for (size_t n = HK_MID_MAX + 1; n <= HK_WIDE_MAX; n++)
        assert_int_equal(hk_class_of_wide(n), model_class(n));
}

static void every_aligned_size_has_the_smallest_class_that_serves_it(void **state)
{
    (void)state;
    for (size_t align = 1; align <= 4096; align *= 2) {
        for (size_t n = 0; n <= HK_MID_MAX; n += n < 2100 ? 1 : 61) {
            unsigned want = 1;
            while (hk_class_size(want) < n || hk_class_size(want) % align != 0)
                want++;
            assert_int_equal(hk_class_of_aligned(n, align), want);
        }
    }
}

static void spans_of_two_hold_more_than_two_slabs_would(void **state)
{
    (void)state;
    for (unsigned cls = 1; cls <= HK_MID_LAST; cls++) {
        size_t size = hk_class_size(cls), one = HK_SLAB_SIZE / size, two = 2 * HK_SLAB_SIZE / size;
        bool longer = size > 16384 && two > 2 * one;
        assert_int_equal(hk_class_slabs(cls), longer ? 2 : 1);
        assert_int_equal(hk_class_capacity(cls), longer ? two : one);
        assert_in_range(hk_class_capacity(cls), 2, (1 << 16) - 1); /* a remote word counts in 16 bits */
    }
}

static void the_inverse_tells_block_starts(void **state)
{
    (void)state;
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        uint32_t inverse = hk_class_inverse[cls], size = (uint32_t)hk_class_size(cls);
        unsigned wrong = 0;
        for (uint32_t offset = 0; offset < HK_SLAB_SIZE; offset++)
            wrong += (offset * inverse < inverse) != (offset % size == 0);
        for (uint32_t start = size; start < HK_SLAB_SIZE; start += size) /* from start to start they rise */
            wrong += start * inverse <= (start - size) * inverse;
        assert_int_equal(wrong, 0);
    }
}

/* For spans of any length, and the tail behind the last block. */
static void division_tells_block_starts(void **state)
{
    (void)state;
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        size_t size = hk_class_size(cls);
        unsigned wrong = 0;
        for (size_t offset = 0; offset < HK_SPAN_MAX * HK_SLAB_SIZE; offset++)
            wrong += hk_class_divides(cls, offset) != (offset % size == 0);
        assert_int_equal(wrong, 0);
    }
}

/* The figure of the choice's list, for sizes 1 to 1000. */
static void mean_waste_of_tiny_sizes(void **state)
{
    (void)state;
    const size_t per_mille[] = {43, 86, 15, 347};
    size_t asked = 0, given = 0;
    for (size_t n = 1; n <= 1000; n++) {
        asked += n;
        given += hk_class_size(hk_class_of(n));
    }
    assert_int_equal((given - asked) * 1000 / asked, per_mille[UNIT_CLASSES]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(class_0_is_no_class),
        cmocka_unit_test(sizes_rise),
        cmocka_unit_test(mid_sizes_are_those_of_the_header),
        cmocka_unit_test(wide_sizes_fill_their_spans),
        cmocka_unit_test(tiny_steps_are_those_of_the_choice),
        cmocka_unit_test(class_groups_are_ranges_of_sizes),
        cmocka_unit_test(a_code_fits_into_a_byte),
        cmocka_unit_test(every_size_has_the_smallest_class_that_holds_it),
        cmocka_unit_test(every_aligned_size_has_the_smallest_class_that_serves_it),
        cmocka_unit_test(spans_of_two_hold_more_than_two_slabs_would),
        cmocka_unit_test(the_inverse_tells_block_starts),
        cmocka_unit_test(division_tells_block_starts),
        cmocka_unit_test(mean_waste_of_tiny_sizes),
    };
    return cmocka_run_group_tests_name("size_class", tests, NULL, NULL);
}
