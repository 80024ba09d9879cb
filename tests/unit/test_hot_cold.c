/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "base/options.h"
#include "box/hot_cold.h"

static void hot_is_above_three_quarters(void **state)
{
    (void)state;
    for (uint32_t capacity = 1; capacity <= 4096; capacity = capacity * 3 / 2 + 1) {
        for (uint32_t used = 0; used <= capacity; used += 1 + capacity / 100) {
            bool hot = (double)used > 0.75 * capacity;
            assert_int_equal(hk_temperature(used, capacity), hot ? HK_TEMP_HOT : HK_TEMP_COLD);
        }
    }
    assert_int_equal(hk_temperature(3, 4), HK_TEMP_COLD);
    assert_int_equal(hk_temperature(4, 4), HK_TEMP_HOT);
}

static struct hk_slab slabs[16];

/* The first of the list is the last used here. */
static struct hk_slab *choose(const uint32_t *used, unsigned n)
{
    struct hk_list list = {0};
    for (unsigned i = n; i-- > 0;) {
        slabs[i].used = used[i];
        hk_list_push(&list, &slabs[i].node);
    }
    return hk_hot_cold_choose(&list);
}

static void an_empty_list_has_no_choice(void **state)
{
    (void)state;
    assert_null(choose(NULL, 0));
}

static void the_fullest_of_the_first_is_chosen(void **state)
{
    (void)state;
    assert_ptr_equal(choose((uint32_t[]){5}, 1), &slabs[0]);
    if (!HK_HOT_COLD) {
        assert_ptr_equal(choose((uint32_t[]){5, 9}, 2), &slabs[0]);
        return;
    }
    assert_ptr_equal(choose((uint32_t[]){5, 9}, 2), &slabs[1]);
    assert_ptr_equal(choose((uint32_t[]){9, 5, 7}, 3), &slabs[0]);
    assert_ptr_equal(choose((uint32_t[]){1, 2, 3, 4}, 4), &slabs[3]);
    assert_ptr_equal(choose((uint32_t[]){1, 7, 3, 7}, 4), &slabs[1]); /* the nearer of two */
}

static void of_mid_slabs_the_first_is_taken(void **state)
{
    (void)state;
    slabs[0].cls = slabs[1].cls = HK_TINY_LAST + 1;
    assert_ptr_equal(choose((uint32_t[]){5, 9}, 2), &slabs[0]);
    slabs[0].cls = slabs[1].cls = HK_TINY_LAST;
    assert_ptr_equal(choose((uint32_t[]){5, 9}, 2), &slabs[HK_HOT_COLD ? 1 : 0]);
    slabs[0].cls = slabs[1].cls = 0;
}

static void no_more_than_the_limit_are_looked_at(void **state)
{
    (void)state;
    const uint32_t used[] = {1, 2, 3, 4, 100, 200};
    assert_int_equal(hk_opt(HK_OPT_HOT_COLD_SCAN), 4);
    assert_ptr_equal(choose(used, 6), &slabs[HK_HOT_COLD ? 3 : 0]);
    for (unsigned limit = 1; limit <= 6; limit++) {
        assert_true(hk_option_store(HK_OPT_HOT_COLD_SCAN, limit));
        assert_ptr_equal(choose(used, 6), &slabs[HK_HOT_COLD ? limit - 1 : 0]);
    }
    assert_false(hk_option_store(HK_OPT_HOT_COLD_SCAN, 0)); /* one is always looked at */
    assert_true(hk_option_store(HK_OPT_HOT_COLD_SCAN, 4));
}

static void follows_the_model(void **state)
{
    (void)state;
    uint64_t seed = 17;
    for (unsigned i = 0; i < 5000; i++) {
        uint32_t used[16];
        unsigned n = 1 + (unsigned)unit_random(&seed, 16), limit = 1 + (unsigned)unit_random(&seed, 8), best = 0;
        for (unsigned j = 0; j < n; j++)
            used[j] = (uint32_t)unit_random(&seed, 6);
        assert_true(hk_option_store(HK_OPT_HOT_COLD_SCAN, limit));
        for (unsigned j = 1; HK_HOT_COLD && j < n && j < limit; j++)
            best = used[j] > used[best] ? j : best;
        assert_ptr_equal(choose(used, n), &slabs[best]);
    }
    assert_true(hk_option_store(HK_OPT_HOT_COLD_SCAN, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hot_is_above_three_quarters),          cmocka_unit_test(an_empty_list_has_no_choice),
        cmocka_unit_test(the_fullest_of_the_first_is_chosen),   cmocka_unit_test(of_mid_slabs_the_first_is_taken),
        cmocka_unit_test(no_more_than_the_limit_are_looked_at), cmocka_unit_test(follows_the_model),
    };
    return cmocka_run_group_tests_name("hot_cold", tests, NULL, NULL);
}
