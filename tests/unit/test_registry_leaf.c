/* SPDX-License-Identifier: MIT
 *
 * Leaves, for two_level and for flat. Their table grows once per process: each case runs in a child.
 */
#include "registry_fixture.h"

static void add_bytes(void *ctx, void *start, size_t size)
{
    (void)start;
    *(size_t *)ctx += size;
}

static size_t leaf_bytes(void)
{
    size_t bytes = 0;
    hk_leaf_visit(add_bytes, &bytes);
    return bytes;
}

static void cover_everywhere(void *arg)
{
    (void)arg;
    char *base = begin();
    char *units[] = {base, base + 3 * HK_GIB, base + 5 * HK_GIB, base + 7 * HK_GIB,
                     base + HK_SPACE_MOST - HK_UNIT_SIZE};
    size_t before = 0;
    for (unsigned i = 0; i < HK_COUNT(units); i++) {
        EXPECT(hk_registry_code(units[i]) == 0 && hk_registry_superslab(units[i]) == NULL);
        EXPECT(hk_registry_cover(units[i], HK_UNIT_SIZE));
        use_unit(units[i], i + 1);
        EXPECT(leaf_bytes() >= before && leaf_bytes() >= (i + 2) * sizeof(struct hk_leaf));
        before = leaf_bytes();
        EXPECT(hk_registry_unit(units[i]) / HK_LEAF_UNITS == i + 1); /* in the order of coming into use */
    }
    for (unsigned i = 0; i < HK_COUNT(units); i++)
        EXPECT(hk_registry_superslab(units[i]) == fake_superslab(i + 1));
    expect_foreign();
}

static void units_may_lie_anywhere(void **state)
{
    (void)state;
    unit_passes(cover_everywhere, NULL);
}

/* Units on both sides of a GiB border, and what lies beyond the end of addresses. */
static void cover_borders(void *arg)
{
    (void)arg;
    char *border = (char *)hk_align_up((uintptr_t)begin() + HK_GIB, HK_GIB);
    EXPECT(hk_registry_cover(border - HK_UNIT_SIZE, 2 * HK_UNIT_SIZE));
    use_unit(border - HK_UNIT_SIZE, 1);
    use_unit(border, 2);
    EXPECT(hk_registry_superslab(border - 1) == fake_superslab(1) &&
           hk_registry_superslab(border) == fake_superslab(2));
    char *below = border - 256 * HK_MIB;
    EXPECT(hk_registry_code(below) == 0 && hk_registry_superslab(below) == NULL); /* the same leaf, not covered */
    char *end = (char *)((uintptr_t)1 << HK_ADDRESS_BITS);
    EXPECT(!hk_registry_cover(end, HK_UNIT_SIZE));
    EXPECT(!hk_registry_cover(end - HK_UNIT_SIZE, 2 * HK_UNIT_SIZE));
    EXPECT(hk_registry_code(end) == 0 && hk_registry_superslab(end) == NULL);
}

static void units_may_cross_a_border(void **state)
{
    (void)state;
    unit_passes(cover_borders, NULL);
}

static void use_all(void *arg)
{
    (void)arg;
    char *base = begin();
    for (size_t gib = 0; gib < HK_SPACE_MOST / HK_GIB; gib++)
        EXPECT(hk_registry_cover(base + gib * HK_GIB, HK_GIB));
    EXPECT(hk_registry_unit(base + HK_SPACE_MOST - 1) < HK_UNITS_MAX);
    use_unit(base, 1);
    use_unit(base + HK_SPACE_MOST - HK_UNIT_SIZE, 2);
    expect_foreign();
}

static void there_is_a_leaf_for_every_part_of_the_space(void **state)
{
    (void)state;
    unit_passes(use_all, NULL);
}

/* More than the space, and not in one piece: there is an end, which is told. */
static void use_up(void *arg)
{
    (void)arg;
    char *base = begin();
    size_t n = 0;
    while (n < 2 * HK_LEAVES_MAX && hk_registry_cover(base + n * HK_GIB, HK_UNIT_SIZE))
        n++;
    EXPECT(n == HK_LEAVES_MAX - 1); /* one is the leaf of zeros */
    EXPECT(hk_registry_cover(base, HK_UNIT_SIZE));
    use_unit(base + (n - 1) * HK_GIB, 1);
    EXPECT(hk_registry_code(base + n * HK_GIB) == 0 && hk_registry_superslab(base + n * HK_GIB) == NULL);
}

static void leaves_come_to_an_end(void **state)
{
    (void)state;
    unit_passes(use_up, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_may_lie_anywhere),
        cmocka_unit_test(units_may_cross_a_border),
        cmocka_unit_test(there_is_a_leaf_for_every_part_of_the_space),
        cmocka_unit_test(leaves_come_to_an_end),
    };
    return cmocka_run_group_tests_name("registry_leaf", tests, NULL, NULL);
}
