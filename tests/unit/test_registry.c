/* SPDX-License-Identifier: MIT
 *
 * The window is placed once per process: each case runs in a child.
 */
#include "unit.h"

#include "fake_os.h"
#include "superslab/registry.h"

#include <stdlib.h>

#define MIDDLE ((char *)0x7f0000000000) /* with room for half a window on both sides */
#define TOP ((char *)0x7fffffe00000)    /* the last 2 MiB that a program can have on x86-64 */

static struct hk_superslab *fake_superslab(unsigned n)
{
    return (struct hk_superslab *)(uintptr_t)(0x1000 + n * 64);
}

/* Addresses that are never ours, wherever the window is. */
static void expect_foreign(void)
{
    static int in_bss;
    int on_stack;
    void *on_heap = malloc(10);
    const void *pointers[] = {
        NULL,
        (void *)1,
        (void *)0xffff,
        &in_bss,
        &on_stack,
        on_heap,
        (void *)&expect_foreign,
        (void *)0x8000000000000000u,
        (void *)((uintptr_t)MIDDLE | 0xffff000000000000u),
        (void *)((uintptr_t)MIDDLE | 0x0100000000000000u),
        (void *)((uintptr_t)TOP + 0x200000),
        (void *)UINTPTR_MAX,
    };
    for (size_t i = 0; i < HK_COUNT(pointers); i++) {
        EXPECT(hk_registry_code(pointers[i]) == 0);
        EXPECT(hk_registry_superslab(pointers[i]) == NULL);
    }
    free(on_heap);
}

static void before_the_first_arena(void *arg)
{
    (void)arg;
    unsigned code;
    expect_foreign();
    EXPECT(!hk_registry_lookup(MIDDLE, &code));
    EXPECT(hk_registry_code(MIDDLE) == 0);
    EXPECT(hk_registry_committed() == 0);
    EXPECT(fake_os_count(FAKE_ANY) == 0);
}

static void nothing_is_ours_before_the_first_arena(void **state)
{
    (void)state;
    unit_passes(before_the_first_arena, NULL);
}

/* The slabs of one covered unit, its first and last byte, and their neighbours outside. */
static void use_unit(char *unit, unsigned n)
{
    for (unsigned i = 0; i < HK_SLABS; i++)
        EXPECT(hk_registry_code(unit + i * HK_SLAB_SIZE) == 0);
    EXPECT(hk_registry_superslab(unit) == NULL);
    hk_registry_set_superslab(unit, fake_superslab(n));
    for (unsigned i = 0; i < HK_SLABS; i++)
        hk_registry_set_code(unit + i * HK_SLAB_SIZE, 1, hk_code_of_class(1 + (i + n) % 72));
    for (unsigned i = 0; i < HK_SLABS; i++) {
        unsigned code, want = 2 * (1 + (i + n) % 72);
        char *slab = unit + i * HK_SLAB_SIZE;
        EXPECT(hk_registry_lookup(slab, &code) && code == want);
        EXPECT(hk_registry_lookup(slab + HK_SLAB_SIZE - 1, &code) && code == want);
        EXPECT(hk_registry_code(slab + 4321) == want);
        EXPECT(hk_registry_superslab(slab + 4321) == fake_superslab(n));
    }
    hk_registry_set_code(unit + HK_SLAB_SIZE, 4, 0);
    EXPECT(hk_registry_code(unit) != 0);
    for (unsigned i = 1; i < 5; i++)
        EXPECT(hk_registry_code(unit + i * HK_SLAB_SIZE) == 0);
    EXPECT(hk_registry_code(unit + 5 * HK_SLAB_SIZE) != 0);
}

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

static void be_refused(void *arg)
{
    enum fake_call kind = *(enum fake_call *)arg;
    fake_os_fail_nth(kind, 1);
    EXPECT(!hk_registry_cover(MIDDLE, HK_SUPERSLAB_SIZE));
    EXPECT(hk_registry_code(MIDDLE) == 0);
    EXPECT(hk_registry_superslab(MIDDLE) == NULL);
    expect_foreign();
    EXPECT(hk_registry_cover(MIDDLE, HK_SUPERSLAB_SIZE));
    use_unit(MIDDLE, 1);
    fake_os_fail_nth(FAKE_COMMIT, 2); /* the second table */
    EXPECT(!hk_registry_cover(MIDDLE + HK_GIB, HK_SUPERSLAB_SIZE));
    EXPECT(hk_registry_code(MIDDLE + HK_GIB) == 0);
    EXPECT(hk_registry_cover(MIDDLE + HK_GIB, HK_SUPERSLAB_SIZE));
    use_unit(MIDDLE + HK_GIB, 2);
}

static void a_refused_cover_can_be_tried_again(void **state)
{
    (void)state;
    enum fake_call kinds[] = {FAKE_RESERVE_READABLE, FAKE_COMMIT};
    unit_passes(be_refused, &kinds[0]);
    unit_passes(be_refused, &kinds[1]);
}

static void look_at_the_tables(void *arg)
{
    (void)arg;
    void *start;
    EXPECT(hk_registry_mapped(&start) == 0);
    EXPECT(hk_registry_cover(MIDDLE, 64 * HK_MIB));
    size_t mapped = hk_registry_mapped(&start);
    EXPECT(mapped == HK_WINDOW_MAX / HK_SLAB_SIZE + HK_UNITS_MAX * sizeof(void *));
    EXPECT(start == (void *)hk_window_codes);
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
        cmocka_unit_test(nothing_is_ours_before_the_first_arena),
        cmocka_unit_test(the_window_lies_around_its_anchor),
        cmocka_unit_test(null_is_in_the_lowest_window_and_not_ours),
        cmocka_unit_test(a_refused_cover_can_be_tried_again),
        cmocka_unit_test(the_tables_are_one_mapping),
    };
    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
