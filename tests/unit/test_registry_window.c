/* SPDX-License-Identifier: MIT
 *
 * The window. It begins once per process: each case runs in a child.
 */
#include "registry_fixture.h"

/* From the first unit to the last one that was covered, and no further. */
static void cover(void *arg)
{
    fake_os_set_page_size(*(size_t *)arg);
    char *base = begin();
    const size_t lengths[] = {1, 2, 17, 1000, 300000, HK_SPACE_UNITS - 1, HK_SPACE_UNITS};
    unsigned code, mappings;
    EXPECT(!hk_registry_lookup(base, &code));
    for (unsigned i = 0; i < HK_COUNT(lengths); i++) {
        char *end = base + lengths[i] * HK_UNIT_SIZE;
        EXPECT(hk_registry_cover(end - HK_UNIT_SIZE, HK_UNIT_SIZE));
        EXPECT(hk_window_base == (uintptr_t)base && hk_window_slots == lengths[i] * HK_SLABS);
        EXPECT(hk_registry_unit(end - HK_UNIT_SIZE) == lengths[i] - 1);
        use_unit(end - HK_UNIT_SIZE, i + 1);
        EXPECT(!hk_registry_lookup(end, &code) && hk_registry_superslab(end) == NULL);
        EXPECT(!hk_registry_lookup(base - 1, &code) && hk_registry_superslab(base - 1) == NULL);
        EXPECT(mapped_bytes(&mappings) >= lengths[i] * (HK_SLABS + sizeof(void *)) && mappings == 2);
        expect_foreign();
    }
    EXPECT(!hk_registry_cover(base + HK_SPACE_MOST, HK_UNIT_SIZE));
    EXPECT(!hk_registry_cover(base + HK_SPACE_MOST - HK_UNIT_SIZE, 2 * HK_UNIT_SIZE));
    EXPECT(!hk_registry_cover(base - HK_UNIT_SIZE, HK_UNIT_SIZE));
    EXPECT(hk_registry_cover(base, HK_UNIT_SIZE) && hk_window_slots == HK_SPACE_UNITS * HK_SLABS); /* is so already */
    EXPECT(fake_os_misaligned() == 0);
}

static void the_window_reaches_to_the_last_unit(void **state)
{
    (void)state;
    size_t pages[] = {4096, 16384, 65536};
    for (size_t i = 0; i < HK_COUNT(pages); i++)
        unit_passes(cover, &pages[i]);
}

/* Somebody frees NULL while another thread has the first unit: of what is written then he may see the length alone. */
static void see_half(void *arg)
{
    (void)arg;
    unsigned code;
    hk_window_slots = HK_SPACE_UNITS * HK_SLABS;
    EXPECT(!hk_registry_lookup(NULL, &code) && hk_registry_superslab(NULL) == NULL);
    EXPECT(!hk_registry_lookup(&code, &code) && hk_registry_code((void *)((uintptr_t)2 << 46)) == 0);
}

static void nothing_lies_in_a_window_that_has_not_begun(void **state)
{
    (void)state;
    unit_passes(see_half, NULL);
}

/* A page of each table is there from the first unit on, and lasts for the first 64 MiB. */
static void look_at_the_tables(void *arg)
{
    (void)arg;
    unsigned mappings;
    char *base = begin();
    EXPECT(mapped_bytes(&mappings) == 0);
    uint64_t calls = fake_os_count(FAKE_ANY);
    EXPECT(hk_registry_cover(base, 64 * HK_MIB));
    EXPECT(fake_os_count(FAKE_ANY) == calls);
    EXPECT(mapped_bytes(&mappings) == 2 * 4096 && mappings == 2);
}

static void a_small_heap_needs_a_page_of_each_table(void **state)
{
    (void)state;
    unit_passes(look_at_the_tables, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_reaches_to_the_last_unit),
        cmocka_unit_test(nothing_lies_in_a_window_that_has_not_begun),
        cmocka_unit_test(a_small_heap_needs_a_page_of_each_table),
    };
    return cmocka_run_group_tests_name("registry_window", tests, NULL, NULL);
}
