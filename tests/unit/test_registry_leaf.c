/* SPDX-License-Identifier: MIT
 *
 * Leaves, for two_level and for flat. They are reserved once per process: each case runs in a child.
 */
#include "registry_fixture.h"

static void cover_everywhere(void *arg)
{
    (void)arg;
    char *arenas[] = {MIDDLE, (char *)HK_SUPERSLAB_SIZE, TOP - HK_SUPERSLAB_SIZE, (char *)(5 * HK_GIB),
                      MIDDLE + 7 * HK_GIB};
    size_t before = 0;
    for (unsigned i = 0; i < HK_COUNT(arenas); i++) {
        EXPECT(hk_registry_code(arenas[i]) == 0 && hk_registry_superslab(arenas[i]) == NULL);
        EXPECT(hk_registry_cover(arenas[i], HK_SUPERSLAB_SIZE));
        use_unit(arenas[i], i + 1);
        EXPECT(hk_registry_committed() > before);
        before = hk_registry_committed();
        EXPECT(hk_registry_unit(arenas[i]) / HK_LEAF_UNITS == i + 1); /* in the order of coming into use */
    }
    for (unsigned i = 0; i < HK_COUNT(arenas); i++)
        EXPECT(hk_registry_superslab(arenas[i]) == fake_superslab(i + 1));
    expect_foreign();
}

static void arenas_may_lie_anywhere(void **state)
{
    (void)state;
    unit_passes(cover_everywhere, NULL);
}

/* Units on both sides of a GiB border, and what lies beyond the end of addresses. */
static void cover_borders(void *arg)
{
    (void)arg;
    char *border = MIDDLE + HK_GIB;
    EXPECT(hk_registry_cover(border - HK_SUPERSLAB_SIZE, 2 * HK_SUPERSLAB_SIZE));
    use_unit(border - HK_SUPERSLAB_SIZE, 1);
    use_unit(border, 2);
    EXPECT(hk_registry_superslab(border - 1) == fake_superslab(1) &&
           hk_registry_superslab(border) == fake_superslab(2));
    EXPECT(hk_registry_code(MIDDLE) == 0 && hk_registry_superslab(MIDDLE) == NULL); /* the same leaf, not covered */
    char *end = (char *)((uintptr_t)1 << HK_ADDRESS_BITS);
    EXPECT(!hk_registry_cover(end, HK_SUPERSLAB_SIZE));
    EXPECT(!hk_registry_cover(end - HK_SUPERSLAB_SIZE, 2 * HK_SUPERSLAB_SIZE));
    EXPECT(hk_registry_code(end) == 0 && hk_registry_superslab(end) == NULL);
}

static void an_arena_may_cross_a_border(void **state)
{
    (void)state;
    unit_passes(cover_borders, NULL);
}

static void use_up(void *arg)
{
    size_t limit = *(size_t *)arg;
    unsigned leaves = limit == SIZE_MAX ? HK_LEAVES_MAX : 64, n = 1, mappings;
    fake_os_set_address_limit(limit);
    while (n < 2 * HK_LEAVES_MAX && hk_registry_cover(MIDDLE + n * HK_GIB - 512 * HK_GIB, HK_SUPERSLAB_SIZE))
        n++;
    EXPECT(n == leaves); /* one is the leaf of zeros */
    EXPECT(mapped_bytes(&mappings) >= leaves * sizeof(struct hk_leaf));
    EXPECT(hk_registry_cover(MIDDLE, HK_SUPERSLAB_SIZE) == (leaves > 512)); /* has one already, or there is none */
    use_unit(MIDDLE + HK_GIB - 512 * HK_GIB, 1);
    use_unit(MIDDLE + (leaves - 1) * HK_GIB - 512 * HK_GIB, 2);
    expect_foreign();
}

static void leaves_come_to_an_end(void **state)
{
    (void)state;
    size_t limits[] = {SIZE_MAX, (size_t)1 << 30};
    unit_passes(use_up, &limits[0]);
    unit_passes(use_up, &limits[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arenas_may_lie_anywhere),
        cmocka_unit_test(an_arena_may_cross_a_border),
        cmocka_unit_test(leaves_come_to_an_end),
    };
    return cmocka_run_group_tests_name("registry_leaf", tests, NULL, NULL);
}
