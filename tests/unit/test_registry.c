/* SPDX-License-Identifier: MIT
 *
 * What holds for the registry whichever was chosen. The tables are set up once per process: each case runs in a child.
 */
#include "registry_fixture.h"

#include <stdlib.h>

static void before_the_first_unit(void *arg)
{
    (void)arg;
    unsigned mappings;
    expect_foreign();
    EXPECT(hk_registry_code(TOP - HK_GIB) == 0);
    EXPECT(mapped_bytes(&mappings) == 0 && mappings == 0);
    EXPECT(fake_os_count(FAKE_ANY) == 0);
}

static void nothing_is_ours_before_the_first_unit(void **state)
{
    (void)state;
    unit_passes(before_the_first_unit, NULL);
}

struct placing {
    size_t page_size, unit; /* of which number the units are */
};

/* Two units one behind the other, wherever they are. */
static void place(void *arg)
{
    const struct placing *p = arg;
    fake_os_set_page_size(p->page_size);
    char *first = begin() + p->unit * HK_UNIT_SIZE;
    EXPECT(hk_registry_cover(first, 2 * HK_UNIT_SIZE));
    use_unit(first, 1);
    use_unit(first + HK_UNIT_SIZE, 2);
    EXPECT(hk_registry_unit(first) != hk_registry_unit(first + HK_UNIT_SIZE));
    EXPECT(hk_registry_superslab(first + 5) == fake_superslab(1));
    hk_registry_set_superslab(first, NULL);
    EXPECT(hk_registry_superslab(first + 5) == NULL);
    EXPECT(hk_registry_superslab(first + HK_UNIT_SIZE) == fake_superslab(2));
    if (p->unit != 0)
        EXPECT(hk_registry_code(first - 1) == 0 && hk_registry_superslab(first - 1) == NULL);
    EXPECT(hk_registry_code(first + 2 * HK_UNIT_SIZE) == 0 && hk_registry_superslab(first + 2 * HK_UNIT_SIZE) == NULL);
    expect_foreign();
    EXPECT(fake_os_misaligned() == 0);
}

static void every_unit_of_the_space_can_be_covered(void **state)
{
    (void)state;
    const size_t pages[] = {4096, 16384, 65536},
                 units[] = {0, 1, 511, 512, 40000, HK_SPACE_UNITS / 2, HK_SPACE_UNITS - 2};
    for (size_t i = 0; i < HK_COUNT(pages); i++) {
        for (size_t j = 0; j < HK_COUNT(units); j++) {
            struct placing p = {pages[i], units[j]};
            unit_passes(place, &p);
        }
    }
}

/* What was entered stays where it was while the tables grow. */
static void grow(void *arg)
{
    (void)arg;
    enum { STEPS = 600 };
    char *unit = begin();
    for (size_t i = 0, at = 0; i < STEPS; at += 1 + i % 7 * 100, i++) {
        EXPECT(hk_registry_cover(unit + at * HK_UNIT_SIZE, HK_UNIT_SIZE));
        use_unit(unit + at * HK_UNIT_SIZE, (unsigned)i + 1);
    }
    for (size_t i = 0, at = 0; i < STEPS; at += 1 + i % 7 * 100, i++) {
        EXPECT(hk_registry_superslab(unit + at * HK_UNIT_SIZE + 999) == fake_superslab((unsigned)i + 1));
        EXPECT(hk_registry_code(unit + at * HK_UNIT_SIZE) == 2 * (1 + (i + 1) % (HK_CLASS_COUNT - 1)));
    }
    expect_foreign();
}

static void tables_grow_with_the_units(void **state)
{
    (void)state;
    unit_passes(grow, NULL);
}

/* Units near and far; the n-th call of the system is refused. Each cover works at once or when it is tried again. */
static void be_refused(void *arg)
{
    char *base = begin();
    fake_os_fail_nth(FAKE_ANY, *(unsigned *)arg);
    for (unsigned i = 0; i < 3; i++) {
        char *unit = base + i * 800 * HK_GIB;
        if (!hk_registry_cover(unit, HK_UNIT_SIZE)) {
            EXPECT(fake_os_failures() == 1);
            EXPECT(hk_registry_code(unit) == 0 && hk_registry_superslab(unit) == NULL);
            expect_foreign();
            EXPECT(hk_registry_cover(unit, HK_UNIT_SIZE));
        }
        use_unit(unit, i + 1);
    }
    EXPECT(hk_registry_superslab(base) == fake_superslab(1));
    exit(fake_os_failures() == 1 ? 0 : 3);
}

static void a_refused_cover_can_be_tried_again(void **state)
{
    (void)state;
    int status;
    unsigned n = 0;
    do {
        n++;
        status = unit_status(be_refused, &n);
    } while (status == 0);
    assert_int_equal(status, 3);
    assert_true(n > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_ours_before_the_first_unit),
        cmocka_unit_test(every_unit_of_the_space_can_be_covered),
        cmocka_unit_test(tables_grow_with_the_units),
        cmocka_unit_test(a_refused_cover_can_be_tried_again),
    };
    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
