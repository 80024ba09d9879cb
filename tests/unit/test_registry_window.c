/* SPDX-License-Identifier: MIT
 *
 * The window. It is placed once per process: each case runs in a child.
 */
#include "registry_fixture.h"

struct placing {
    char *anchor;
    size_t page_size, address_limit;
};

/* Covers the first and the last unit of the window, and refuses what is beyond either. */
static void place(void *arg)
{
    const struct placing *p = arg;
    fake_os_set_page_size(p->page_size);
    fake_os_set_address_limit(p->address_limit);
    EXPECT(hk_registry_cover(p->anchor, 4 * HK_MIB));
    size_t window = hk_window_slots * HK_SLAB_SIZE;
    char *first = (char *)hk_window_base, *end = first + window;
    EXPECT(window == (p->address_limit == SIZE_MAX ? HK_WINDOW_MAX : HK_WINDOW_MAX / 16));
    EXPECT(hk_window_base % HK_SUPERSLAB_SIZE == 0);
    EXPECT(p->anchor >= first && p->anchor + 4 * HK_MIB <= end);
    EXPECT(hk_registry_unit(first) == 0);
    EXPECT(hk_registry_unit(end - 1) == window / HK_SUPERSLAB_SIZE - 1);
    use_unit(p->anchor, 1);
    use_unit(p->anchor + HK_SUPERSLAB_SIZE, 2);
    if (first != NULL) {
        EXPECT(hk_registry_cover(first, HK_SUPERSLAB_SIZE));
        use_unit(first, 3);
    }
    EXPECT(hk_registry_cover(end - HK_SUPERSLAB_SIZE, HK_SUPERSLAB_SIZE));
    use_unit(end - HK_SUPERSLAB_SIZE, 4);
    EXPECT(hk_registry_superslab(p->anchor + 5) == fake_superslab(1));
    EXPECT(hk_registry_superslab(p->anchor + HK_SUPERSLAB_SIZE) == fake_superslab(2));

    unsigned code;
    EXPECT(!hk_registry_lookup(end, &code));
    EXPECT(hk_registry_superslab(end) == NULL);
    EXPECT(!hk_registry_cover(end, HK_SUPERSLAB_SIZE));
    EXPECT(!hk_registry_cover(end - HK_SUPERSLAB_SIZE, 2 * HK_SUPERSLAB_SIZE));
    if (first != NULL) {
        EXPECT(!hk_registry_lookup(first - 1, &code));
        EXPECT(hk_registry_superslab(first - 1) == NULL);
        EXPECT(!hk_registry_cover(first - HK_SUPERSLAB_SIZE, HK_SUPERSLAB_SIZE));
        EXPECT(!hk_registry_cover(first - HK_SUPERSLAB_SIZE, 2 * HK_SUPERSLAB_SIZE));
    }
    expect_foreign();
    EXPECT(fake_os_misaligned() == 0);
}

static void the_window_lies_around_its_anchor(void **state)
{
    (void)state;
    const size_t pages[] = {4096, 16384, 65536}, limits[] = {SIZE_MAX, (size_t)64 << 20};
    char *anchors[] = {(char *)HK_SUPERSLAB_SIZE, MIDDLE, MIDDLE + 0x1234 * HK_SUPERSLAB_SIZE, TOP - HK_SUPERSLAB_SIZE};
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 2; j++) {
            for (size_t k = 0; k < HK_COUNT(anchors); k++) {
                struct placing p = {anchors[k], pages[i], limits[j]};
                unit_passes(place, &p);
            }
        }
    }
}

static void place_near_zero(void *arg)
{
    (void)arg;
    EXPECT(hk_registry_cover((char *)HK_SUPERSLAB_SIZE, HK_SUPERSLAB_SIZE));
    EXPECT(hk_window_base == 0);
    unsigned code = 1;
    EXPECT(hk_registry_lookup(NULL, &code) && code == 0);
    EXPECT(hk_registry_superslab(NULL) == NULL);
}

static void null_is_in_the_lowest_window_and_not_ours(void **state)
{
    (void)state;
    unit_passes(place_near_zero, NULL);
}

static void look_at_the_tables(void *arg)
{
    (void)arg;
    unsigned mappings;
    EXPECT(mapped_bytes(&mappings) == 0);
    EXPECT(hk_registry_cover(MIDDLE, 64 * HK_MIB));
    EXPECT(mapped_bytes(&mappings) == HK_WINDOW_MAX / HK_SLAB_SIZE + HK_UNITS_MAX * sizeof(void *));
    EXPECT(mappings == 1);
    EXPECT(hk_registry_committed() >= 2 * 4096 && hk_registry_committed() <= 4 * 4096);
    EXPECT(fake_os_count(FAKE_RESERVE_READABLE) == 1 && fake_os_count(FAKE_COMMIT) == 2);
}

static void the_tables_are_one_mapping(void **state)
{
    (void)state;
    unit_passes(look_at_the_tables, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_lies_around_its_anchor),
        cmocka_unit_test(null_is_in_the_lowest_window_and_not_ours),
        cmocka_unit_test(the_tables_are_one_mapping),
    };
    return cmocka_run_group_tests_name("registry_window", tests, NULL, NULL);
}
