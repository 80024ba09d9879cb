/* SPDX-License-Identifier: MIT
 *
 * The table for all addresses, and life without it. It is decided once per process: each case runs in a child.
 */
#include "registry_fixture.h"

static void with_table(void *arg)
{
    unsigned code = 1, mappings;
    fake_os_set_address_limit(*(size_t *)arg);
    EXPECT(!hk_registry_lookup(MIDDLE, &code));
    EXPECT(hk_registry_cover(MIDDLE, 2 * HK_SUPERSLAB_SIZE));
    EXPECT(hk_registry_lookup(NULL, &code) && code == 0);
    EXPECT(hk_registry_lookup((char *)((uintptr_t)1 << HK_ADDRESS_BITS) - 1, &code) && code == 0);
    EXPECT(!hk_registry_lookup((char *)((uintptr_t)1 << HK_ADDRESS_BITS), &code));
    hk_registry_set_code(MIDDLE, 1, 34);
    EXPECT(hk_registry_lookup(MIDDLE + 777, &code) && code == 34);
    hk_registry_set_code(MIDDLE, 1, 0);
    EXPECT(mapped_bytes(&mappings) > HK_FLAT_SLOTS && mappings == 2);
    EXPECT(hk_registry_committed() < 64 * HK_KIB); /* the rest is never touched */
    use_unit(MIDDLE, 1);
    expect_foreign();
}

static void every_address_is_in_the_table(void **state)
{
    (void)state;
    size_t limits[] = {SIZE_MAX, 8 * HK_FLAT_SLOTS};
    unit_passes(with_table, &limits[0]);
    unit_passes(with_table, &limits[1]);
}

static void without_table(void *arg)
{
    unsigned code, mappings;
    size_t limit = *(size_t *)arg;
    fake_os_set_address_limit(limit);
    if (limit == SIZE_MAX)
        fake_os_fail_nth(FAKE_RESERVE_READABLE, 2); /* the leaves come first */
    EXPECT(hk_registry_cover(MIDDLE, HK_SUPERSLAB_SIZE));
    EXPECT(fake_os_count(FAKE_RESERVE_READABLE) == (limit == SIZE_MAX ? 2 : 1));
    EXPECT(mapped_bytes(&mappings) < 64 * HK_MIB && mappings == 1);
    use_unit(MIDDLE, 1);
    EXPECT(!hk_registry_lookup(MIDDLE, &code) && hk_registry_code(MIDDLE) != 0);
    EXPECT(hk_registry_cover(MIDDLE + 3 * HK_GIB, HK_SUPERSLAB_SIZE)); /* once without, always without */
    EXPECT(!hk_registry_lookup(MIDDLE + 3 * HK_GIB, &code));
    use_unit(MIDDLE + 3 * HK_GIB, 2);
    expect_foreign();
}

static void without_the_table_leaves_serve(void **state)
{
    (void)state;
    size_t limits[] = {SIZE_MAX, 8 * HK_FLAT_SLOTS - 1, (size_t)64 << 20};
    for (unsigned i = 0; i < HK_COUNT(limits); i++)
        unit_passes(without_table, &limits[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_address_is_in_the_table),
        cmocka_unit_test(without_the_table_leaves_serve),
    };
    return cmocka_run_group_tests_name("registry_flat", tests, NULL, NULL);
}
