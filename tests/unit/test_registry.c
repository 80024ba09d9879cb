/* SPDX-License-Identifier: MIT
 *
 * What holds for the registry whichever was chosen. The tables are set up once per process: each case runs in a child.
 */
#include "registry_fixture.h"

#include <stdlib.h>

static void before_the_first_arena(void *arg)
{
    (void)arg;
    unsigned mappings;
    expect_foreign();
    EXPECT(hk_registry_code(MIDDLE) == 0);
    EXPECT(hk_registry_committed() == 0 && mapped_bytes(&mappings) == 0);
    EXPECT(fake_os_count(FAKE_ANY) == 0);
}

static void nothing_is_ours_before_the_first_arena(void **state)
{
    (void)state;
    unit_passes(before_the_first_arena, NULL);
}

struct placing {
    char *anchor;
    size_t page_size, address_limit;
};

static void place(void *arg)
{
    const struct placing *p = arg;
    fake_os_set_page_size(p->page_size);
    fake_os_set_address_limit(p->address_limit);
    EXPECT(hk_registry_cover(p->anchor, 4 * HK_MIB));
    use_unit(p->anchor, 1);
    use_unit(p->anchor + HK_SUPERSLAB_SIZE, 2);
    EXPECT(hk_registry_unit(p->anchor) != hk_registry_unit(p->anchor + HK_SUPERSLAB_SIZE));
    EXPECT(hk_registry_superslab(p->anchor + 5) == fake_superslab(1));
    hk_registry_set_superslab(p->anchor, NULL);
    EXPECT(hk_registry_superslab(p->anchor + 5) == NULL);
    EXPECT(hk_registry_superslab(p->anchor + HK_SUPERSLAB_SIZE) == fake_superslab(2));
    expect_foreign();
    EXPECT(fake_os_misaligned() == 0);
}

static void the_first_arena_may_lie_anywhere(void **state)
{
    (void)state;
    const size_t pages[] = {4096, 16384, 65536}, limits[] = {SIZE_MAX, (size_t)64 << 20, (size_t)1 << 40};
    char *anchors[] = {(char *)HK_SUPERSLAB_SIZE, MIDDLE, MIDDLE + 0x1234 * HK_SUPERSLAB_SIZE, TOP - HK_SUPERSLAB_SIZE};
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++) {
            for (size_t k = 0; k < HK_COUNT(anchors); k++) {
                struct placing p = {anchors[k], pages[i], limits[j]};
                unit_passes(place, &p);
            }
        }
    }
}

/* Two arenas; the n-th call of the system is refused. Either cover works at once or when it is tried again. */
static void be_refused(void *arg)
{
    fake_os_fail_nth(FAKE_ANY, *(unsigned *)arg);
    for (unsigned i = 0; i < 2; i++) {
        char *arena = MIDDLE + 3 * i * HK_GIB;
        if (!hk_registry_cover(arena, HK_SUPERSLAB_SIZE)) {
            EXPECT(fake_os_failures() == 1);
            EXPECT(hk_registry_code(arena) == 0 && hk_registry_superslab(arena) == NULL);
            expect_foreign();
            EXPECT(hk_registry_cover(arena, HK_SUPERSLAB_SIZE));
        }
        use_unit(arena, i + 1);
    }
    EXPECT(hk_registry_superslab(MIDDLE) == fake_superslab(1));
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
        cmocka_unit_test(nothing_is_ours_before_the_first_arena),
        cmocka_unit_test(the_first_arena_may_lie_anywhere),
        cmocka_unit_test(a_refused_cover_can_be_tried_again),
    };
    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
