/* SPDX-License-Identifier: MIT
 *
 * The table for all addresses, and life without it. It is decided once per process: each case runs in a child.
 */
#include "registry_fixture.h"

static void with_table(void *arg)
{
    unsigned code = 1, mappings;
    fake_os_set_address_limit(*(size_t *)arg);
    char *base = begin();
    EXPECT(!hk_registry_lookup(base, &code));
    EXPECT(hk_registry_cover(base, HK_UNIT_SIZE));
    EXPECT(fake_os_committed() > 0 && fake_os_committed() <= 2 * 4096);
    for (size_t unit = 1; unit < 100; unit++)
        EXPECT(hk_registry_cover(base + unit * HK_UNIT_SIZE, HK_UNIT_SIZE));
    EXPECT(fake_os_committed() <= 3 * 4096); /* none twice, and the rest is never touched */
    EXPECT(hk_registry_lookup(NULL, &code) && code == 0);
    EXPECT(hk_registry_lookup((char *)((uintptr_t)1 << HK_ADDRESS_BITS) - 1, &code) && code == 0);
    EXPECT(!hk_registry_lookup((char *)((uintptr_t)1 << HK_ADDRESS_BITS), &code));
    hk_registry_set_code(base, 1, 34);
    EXPECT(hk_registry_lookup(base + 777, &code) && code == 34);
    hk_registry_set_code(base, 1, 0);
    EXPECT(mapped_bytes(&mappings) > HK_FLAT_SLOTS && mappings == 2);
    use_unit(base, 1);
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
        fake_os_fail_nth(FAKE_RESERVE_READABLE, 1);
    char *base = begin();
    EXPECT(hk_registry_cover(base, HK_UNIT_SIZE));
    EXPECT(fake_os_count(FAKE_RESERVE_READABLE) == (limit == SIZE_MAX ? 1 : 0));
    EXPECT(mapped_bytes(&mappings) < HK_MIB && mappings == 1);
    use_unit(base, 1);
    EXPECT(!hk_registry_lookup(base, &code) && hk_registry_code(base) != 0);
    EXPECT(hk_registry_cover(base + 3 * HK_GIB, HK_UNIT_SIZE)); /* once without, always without */
    EXPECT(!hk_registry_lookup(base + 3 * HK_GIB, &code));
    use_unit(base + 3 * HK_GIB, 2);
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
