/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "base/bits.h"

static void aligns_up_and_down(void **state)
{
    (void)state;
    for (size_t unit = 1; unit <= 64; unit *= 2) {
        for (size_t n = 0; n <= 300; n++) {
            size_t down = n / unit * unit, up = (n + unit - 1) / unit * unit;
            assert_int_equal(hk_align_down(n, unit), down);
            assert_int_equal(hk_align_up(n, unit), up);
        }
    }
    assert_int_equal(hk_align_up(SIZE_MAX - 4095, 4096), SIZE_MAX - 4095);
    assert_int_equal(hk_align_down(SIZE_MAX, 4096), SIZE_MAX - 4095);
}

static void tells_powers_of_two(void **state)
{
    (void)state;
    assert_false(hk_is_pow2(0));
    for (unsigned i = 0; i < 64; i++) {
        size_t n = (size_t)1 << i;
        assert_true(hk_is_pow2(n));
        assert_false(n > 2 && hk_is_pow2(n - 1));
        assert_false(n > 1 && hk_is_pow2(n + 1));
    }
}

static void finds_highest_and_lowest_bit(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        uint64_t bit = (uint64_t)1 << i;
        assert_int_equal(hk_log2(bit), i);
        assert_int_equal(hk_log2(bit | (bit - 1)), i);
        assert_int_equal(hk_lowest(bit), i);
        assert_int_equal(hk_lowest(~(bit - 1)), i);
    }
}

static void takes_smaller_and_larger(void **state)
{
    (void)state;
    assert_int_equal(hk_min(3, SIZE_MAX), 3);
    assert_int_equal(hk_min(7, 7), 7);
    assert_int_equal(hk_max(3, SIZE_MAX), SIZE_MAX);
    assert_int_equal(hk_max(0, 1), 1);
}

/* Bit by bit. */
static unsigned model_run32(uint32_t mask, unsigned run)
{
    for (unsigned at = 0; at + run <= 32; at++) {
        unsigned n = 0;
        while (n < run && (mask >> (at + n) & 1) != 0)
            n++;
        if (n == run)
            return at;
    }
    return 32;
}

static unsigned model_last_run32(uint32_t mask, unsigned run)
{
    unsigned last = 32;
    for (unsigned at = 0; at + run <= 32; at++)
        last = (mask & hk_mask32(at, run)) == hk_mask32(at, run) ? at : last;
    return last;
}

static void finds_runs_in_masks(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (unsigned run = 1; run <= 32; run++) {
        assert_int_equal(hk_find_run32(0, run), 32);
        assert_int_equal(hk_find_last_run32(0, run), 32);
        assert_int_equal(hk_find_last_run32(UINT32_MAX, run), 32 - run);
        assert_int_equal(hk_find_run32(UINT32_MAX, run), 0);
        for (unsigned at = 0; at + run <= 32; at++)
            assert_int_equal(hk_find_run32(hk_mask32(at, run), run), at);
    }
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t mask = (uint32_t)unit_random(&seed, (uint64_t)1 << 32);
        mask |= i % 2 ? (uint32_t)unit_random(&seed, (uint64_t)1 << 32) : 0; /* denser: longer runs */
        mask |= i % 3 ? (uint32_t)unit_random(&seed, (uint64_t)1 << 32) : 0;
        unsigned run = 1 + (unsigned)unit_random(&seed, i % 2 ? 4 : 32);
        assert_int_equal(hk_find_run32(mask, run), model_run32(mask, run));
        assert_int_equal(hk_find_last_run32(mask, run), model_last_run32(mask, run));
    }
}

static void makes_masks(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 32; first++) {
        for (unsigned run = 1; first + run <= 32; run++) {
            uint32_t want = 0;
            for (unsigned i = first; i < first + run; i++)
                want |= (uint32_t)1 << i;
            assert_int_equal(hk_mask32(first, run), want);
        }
    }
}

#define BITS 400

static size_t model_change(bool *model, size_t first, size_t n, bool value)
{
    size_t before = 0;
    for (size_t i = first; i < first + n; i++) {
        before += model[i];
        model[i] = value;
    }
    return before;
}

static size_t model_find(const bool *model, size_t from, size_t end, bool value)
{
    while (from < end && model[from] != value)
        from++;
    return from < end ? from : end;
}

static size_t model_find_last(const bool *model, size_t from, size_t end, bool value)
{
    size_t last = end;
    for (size_t i = from; i < end; i++)
        last = model[i] == value ? i : last;
    return last;
}

static size_t model_count(const bool *model, size_t first, size_t n)
{
    size_t count = 0;
    for (size_t i = first; i < first + n; i++)
        count += model[i];
    return count;
}

static void arrays_of_bits_follow_the_model(void **state)
{
    (void)state;
    uint64_t words[(BITS + 63) / 64 + 1] = {0}, seed = 7;
    bool model[BITS] = {0};
    words[HK_COUNT(words) - 1] = 0x123456789abcdef0u; /* nothing writes beyond the array */
    for (unsigned i = 0; i < 20000; i++) {
        size_t first = unit_random(&seed, BITS), n = unit_random(&seed, BITS - first + 1);
        n = i % 2 ? hk_min(n, 5) : n;
        bool value = unit_random(&seed, 2);
        size_t before = value ? hk_bits_set(words, first, n) : hk_bits_clear(words, first, n);
        assert_int_equal(before, model_change(model, first, n, value));
        for (size_t bit = 0; bit < BITS; bit++)
            assert_int_equal(words[bit / 64] >> bit % 64 & 1, model[bit]);
        size_t from = unit_random(&seed, BITS + 1), end = from + unit_random(&seed, BITS - from + 1);
        assert_int_equal(hk_bits_find(words, from, end, true), model_find(model, from, end, true));
        assert_int_equal(hk_bits_find(words, from, end, false), model_find(model, from, end, false));
        assert_int_equal(hk_bits_find_last(words, from, end, true), model_find_last(model, from, end, true));
        assert_int_equal(hk_bits_find_last(words, from, end, false), model_find_last(model, from, end, false));
        assert_int_equal(hk_bits_count(words, from, end - from), model_count(model, from, end - from));
        assert_int_equal(words[HK_COUNT(words) - 1], 0x123456789abcdef0u);
    }
}

static void finds_nothing_in_an_empty_range(void **state)
{
    (void)state;
    uint64_t words[2] = {UINT64_MAX, UINT64_MAX};
    assert_int_equal(hk_bits_find(words, 5, 5, true), 5);
    assert_int_equal(hk_bits_find(words, 128, 128, true), 128); /* and reads no word there */
    assert_int_equal(hk_bits_find(words, 0, 128, false), 128);
    assert_int_equal(hk_bits_find_last(words, 5, 5, true), 5);
    assert_int_equal(hk_bits_find_last(words, 0, 128, false), 128);
    assert_int_equal(hk_bits_count(words, 128, 0), 0);
    assert_int_equal(hk_bits_set(words, 128, 0), 0);
}

/* The clock comes round after 2^32 ms, 49.7 days, wherever it starts. Threads read it at different moments. */
static void the_clock_comes_round(void **state)
{
    (void)state;
    const uint32_t starts[] = {0, 1, 1000, UINT32_MAX / 2, UINT32_MAX - 600, UINT32_MAX};
    const uint32_t day = 86400000;
    for (size_t i = 0; i < HK_COUNT(starts); i++) {
        for (uint32_t age = 0; age < 49 * day; age = age * 2 + 1)
            assert_int_equal(hk_ms_since(starts[i] + age, starts[i]), age);
        assert_true(hk_ms_since(starts[i] + 49 * day, starts[i]) == 49 * day);
        for (uint32_t ahead = 1; ahead < 600000; ahead = ahead * 2 + 1)
            assert_int_equal(hk_ms_since(starts[i], starts[i] + ahead), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aligns_up_and_down),
        cmocka_unit_test(tells_powers_of_two),
        cmocka_unit_test(finds_highest_and_lowest_bit),
        cmocka_unit_test(takes_smaller_and_larger),
        cmocka_unit_test(finds_runs_in_masks),
        cmocka_unit_test(makes_masks),
        cmocka_unit_test(arrays_of_bits_follow_the_model),
        cmocka_unit_test(finds_nothing_in_an_empty_range),
        cmocka_unit_test(the_clock_comes_round),
    };
    return cmocka_run_group_tests_name("bits", tests, NULL, NULL);
}
