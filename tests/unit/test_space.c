/* SPDX-License-Identifier: MIT
 *
 * Units and tables. The base is chosen once per process: each case runs in a child.
 */
#include "unit.h"

#include "fake_os.h"
#include "needs.h"
#include "os/os.h"
#include "pages/space.h"

#include <sys/mman.h>
#include <unistd.h>

/* Something of somebody else. */
static void *try_to_put(void *where, size_t size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    return mmap(where, size, PROT_NONE, flags, -1, 0);
}

static void put(void *where, size_t size)
{
    EXPECT(try_to_put(where, size) == where);
}

static char *extend(size_t units)
{
    size_t first;
    return hk_space_extend(units, units, &first) == units ? hk_space_address(first) : NULL;
}

/* Zero, and can be written. */
static void use(char *start, size_t size)
{
    EXPECT(start != NULL && unit_is_zero(start, size));
    memset(start, 1, size);
}

/* ---- the base ---- */

static void begin_and_go_on(void *arg)
{
    int here;
    fake_os_set_page_size(*(size_t *)arg);
    EXPECT(hk_space_base == 0 && hk_space_units == 0);
    char *first = extend(1), *next = extend(3);
    EXPECT(hk_space_base != 0 && hk_space_base % HK_UNIT_SIZE == 0);
    EXPECT(first == hk_space_address(0) && next == hk_space_address(1) && hk_space_units == 4);
    use(first, 4 * HK_UNIT_SIZE);
    uintptr_t distance = (uintptr_t)&here - hk_space_base;
    EXPECT(hk_min(distance, -distance) >= 32 * HK_GIB); /* away from what the kernel places */
    EXPECT(fake_os_misaligned() == 0);
    size_t mapped = 0;
    for (size_t i = 0; i < fake_os_places(); i++)
        mapped += fake_os_place(i).size;
    EXPECT(mapped <= 4 * HK_UNIT_SIZE + 8 * *(size_t *)arg); /* beside the units a page of each common table */
}

static void units_lie_one_behind_the_other(void **state)
{
    (void)state;
    size_t pages[] = {4096, 16384, 65536};
    for (unsigned i = 0; i < HK_COUNT(pages); i++)
        unit_passes(begin_and_go_on, &pages[i]);
}

static void be_refused(void *arg)
{
    fake_os_fail_nth(FAKE_MAP_AT, *(unsigned *)arg);
    char *first = extend(1);
    bool refused = fake_os_failures() == 1;
    struct fake_range wish = fake_os_place(0);
    EXPECT((first != wish.start) == refused);
    use(first, HK_UNIT_SIZE);
    for (size_t i = 0; refused && fake_os_place(i).start != first; i++)
        put(fake_os_place(i).start, fake_os_place(i).size); /* what was mapped for the other place has gone */
    _exit(refused ? 0 : 3);
}

static void where_a_part_is_refused_another_place_is_tried(void **state)
{
    (void)state;
    unsigned n = 0, status;
    do {
        n++;
        status = (unsigned)unit_status(be_refused, &n);
    } while (status == 0 && n < 50);
    assert_int_equal(status, 3);
    assert_true(n > 3); /* the unit, and tables */
}

/* Where the units and the tables would lie is told by what is asked for when all is refused. */
static void be_in_the_way(void *arg)
{
    unsigned part = *(unsigned *)arg;
    fake_os_fail_from(FAKE_MAP_AT, part + 1);
    EXPECT(extend(1) == NULL && hk_space_base == 0 && hk_space_units == 0);
    char *wish = fake_os_place(0).start, *wanted = fake_os_place(part).start;
    fake_os_reset();
    put(wanted, 4096);
    char *first = extend(1);
    EXPECT(fake_os_place(0).start == wish && first != wish);
    use(first, HK_UNIT_SIZE);
    _exit(fake_os_place(part).start == wanted && wanted < wish + HK_UNIT_SIZE ? 0 : 3);
}

static void where_somebody_is_another_place_is_tried(void **state)
{
    (void)state;
    unit_needs(lacks_exact_places());
    for (unsigned part = 0; part < 4; part++)
        assert_int_equal(unit_status(be_in_the_way, &part), 0);
}

/* All places but the last are taken: by programs that reserved nearly everything. */
static void dig(void *arg)
{
    (void)arg;
    static char *taken[FAKE_PLACES];
    size_t n = 0;
    fake_os_fail_from(FAKE_MAP_AT, 1);
    EXPECT(extend(1) == NULL && hk_space_base == 0 && hk_space_units == 0);
    size_t places = fake_os_places();
    EXPECT(places > 15 && places < FAKE_PLACES);
    for (size_t i = 0; i < places; i++) {
        struct fake_range place = fake_os_place(i);
        EXPECT((uintptr_t)place.start + place.size <= (uintptr_t)1 << HK_ADDRESS_BITS);
        for (size_t j = 0; j < i; j++)
            EXPECT(fake_os_place(j).start != place.start);
        if (try_to_put(place.start, HK_UNIT_SIZE) == place.start)
            taken[n++] = place.start;
    }
    fake_os_reset();
    EXPECT(n > 10 && extend(1) == NULL && hk_space_base == 0);
    do
        EXPECT(n > 0 && munmap(taken[--n], HK_UNIT_SIZE) == 0);
    while (extend(1) == NULL);
    EXPECT(hk_space_units == 1);
    use(hk_space_address(0), HK_UNIT_SIZE);
}

static void there_are_places_near_and_far(void **state)
{
    (void)state;
    unit_needs(lacks_exact_places());
    if (HK_THREAD_SANITIZER)
        skip(); /* it has shadow near the stack only */
    unit_passes(dig, NULL);
}

/* ---- units ---- */

static void step_over(void *arg)
{
    (void)arg;
    extend(1);
    const size_t sizes[] = {4096, HK_UNIT_SIZE, HK_UNIT_SIZE + 4096, 5 * HK_UNIT_SIZE, 1000 * HK_UNIT_SIZE};
    for (unsigned i = 0; i < HK_COUNT(sizes); i++) {
        size_t before = hk_space_units, units = hk_align_up(sizes[i], HK_UNIT_SIZE) / HK_UNIT_SIZE;
        put(hk_space_address(before), sizes[i]);
        char *behind = extend(2);
        use(behind, 2 * HK_UNIT_SIZE);
        EXPECT(behind >= hk_space_address(before + units) && behind == hk_space_address(hk_space_units - 2));
        EXPECT(hk_space_units <= before + 2 * units + 2); /* not much further than is needed */
        use(extend(1), HK_UNIT_SIZE);
        EXPECT(hk_space_units <= before + 2 * units + 3);
    }
}

static void what_lies_in_the_way_is_passed_over(void **state)
{
    (void)state;
    unit_needs(lacks_exact_places());
    unit_passes(step_over, NULL);
}

static void get_less(void *arg)
{
    (void)arg;
    size_t first = 77;
    EXPECT(hk_space_extend(1, 16, &first) == 16 && first == 0);
    fake_os_fail_nth(FAKE_MAP_AT, 1);
    EXPECT(hk_space_extend(3, 16, &first) == 3 && first == 16 && hk_space_units == 19);
    use(hk_space_address(16), 3 * HK_UNIT_SIZE);
    fake_os_fail_from(FAKE_MAP_AT, 1);
    uint64_t calls = fake_os_count(FAKE_MAP_AT);
    EXPECT(hk_space_extend(3, 16, &first) == 0 && hk_space_units == 19);
    EXPECT(fake_os_count(FAKE_MAP_AT) == calls + 2); /* a refusal is no obstacle */
    EXPECT(hk_space_extend(3, 3, &first) == 0 && fake_os_count(FAKE_MAP_AT) == calls + 3);
}

static void where_much_is_refused_little_may_be_had(void **state)
{
    (void)state;
    unit_passes(get_less, NULL);
}

static void come_to_the_end(void *arg)
{
    (void)arg;
    size_t rest = (HK_SPACE_UNITS - 4) * HK_UNIT_SIZE;
    use(extend(2), 2 * HK_UNIT_SIZE);
    put(hk_space_address(2), rest);
    EXPECT(extend(3) == NULL && hk_space_units == 2);
    EXPECT(munmap(hk_space_address(2), rest) == 0);
    use(extend(3), 3 * HK_UNIT_SIZE);
    for (size_t left; (left = HK_SPACE_UNITS - hk_space_units) > 0;) { /* a TiB at a time */
        size_t step = hk_min(left, (size_t)1 << 19);
        EXPECT(extend(step) != NULL);
    }
    EXPECT(extend(1) == NULL && hk_space_units == HK_SPACE_UNITS);
    use((char *)hk_space_base + HK_SPACE_MOST - HK_UNIT_SIZE, HK_UNIT_SIZE);
}

static void there_are_so_many_units_and_no_more(void **state)
{
    (void)state;
    unit_needs(lacks_own_memory());
    if (HK_THREAD_SANITIZER)
        skip(); /* nor for 8 TiB */
    unit_passes(come_to_the_end, NULL);
}

/* The only place left is near the end of what an address may be: no unit lies beyond it, whatever the kernel has. */
static void reach_the_top(void *arg)
{
    (void)arg;
    size_t first;
    uintptr_t top = (uintptr_t)1 << HK_ADDRESS_BITS;
    extend(1);
    hk_space_base = top - 64 * HK_UNIT_SIZE;
    hk_space_units = 0;
    fake_os_reset();
    for (unsigned i = 0; i < 80; i++)
        hk_space_extend(1, 16, &first);
    EXPECT(fake_os_places() > 0);
    for (size_t i = 0; i < fake_os_places(); i++)
        EXPECT((uintptr_t)fake_os_place(i).start + fake_os_place(i).size <= top);
}

static void no_unit_lies_where_addresses_have_more_bits(void **state)
{
    (void)state;
    unit_passes(reach_the_top, NULL);
}

static void drop_units(void *arg)
{
    (void)arg;
    use(extend(2), 2 * HK_UNIT_SIZE);
    char *next = extend(5);
    use(next, 5 * HK_UNIT_SIZE);
    hk_space_drop(5);
    EXPECT(hk_space_units == 2);
    put(next, 5 * HK_UNIT_SIZE);
    EXPECT(munmap(next, 5 * HK_UNIT_SIZE) == 0);
    EXPECT(extend(5) == next);
    use(next, 5 * HK_UNIT_SIZE);
    fake_os_fail_from(FAKE_UNMAP, 1);
    hk_space_drop(5);
    EXPECT(hk_space_units == 7); /* they stay, and are nobody's */
    use(extend(1), HK_UNIT_SIZE);
    fake_os_recover();
    hk_space_drop(1);
    hk_space_drop(7);
    EXPECT(hk_space_units == 0 && extend(1) == hk_space_address(0));
    use(hk_space_address(0), HK_UNIT_SIZE);
}

static void the_last_units_can_be_dropped(void **state)
{
    (void)state;
    unit_passes(drop_units, NULL);
}

static void go_and_come_again(void *arg)
{
    (void)arg;
    bool taken = true;
    use(extend(8), 8 * HK_UNIT_SIZE);
    EXPECT(hk_os_unmap(hk_space_address(2), 3 * HK_UNIT_SIZE));
    fake_os_fail_nth(FAKE_MAP_AT, 1);
    EXPECT(!hk_space_return(2, 1, &taken) && !taken);
    EXPECT(hk_space_return(2, 1, &taken));
    use(hk_space_address(2), HK_UNIT_SIZE);
    put(hk_space_address(4) + 4096, 4096);
    EXPECT(!hk_space_return(3, 2, &taken) && taken);
    EXPECT(!hk_space_return(4, 1, &taken) && taken);
    EXPECT(hk_space_return(3, 1, &taken));
    use(hk_space_address(3), HK_UNIT_SIZE);
    EXPECT(*hk_space_address(1) == 1 && *hk_space_address(5) == 1 && hk_space_units == 8);
}

static void unmapped_units_can_be_mapped_again(void **state)
{
    (void)state;
    unit_needs(lacks_exact_places());
    unit_passes(go_and_come_again, NULL);
}

/* ---- tables ---- */

static void count(void *ctx, void *start, size_t size)
{
    size_t *sum = ctx;
    EXPECT(start != NULL);
    sum[0] += size;
    sum[1]++;
}

static void grow_tables(void *arg)
{
    fake_os_set_page_size(*(size_t *)arg);
    use(extend(1), HK_UNIT_SIZE);
    for (unsigned number = 0; number <= HK_TABLE_INNER; number++) {
        struct hk_table table = {NULL, 0};
        size_t filled = 0, sum[2] = {0, 0};
        hk_table_visit(&table, count, sum);
        EXPECT(sum[1] == 0);
        for (size_t size = 100; size < 3 * HK_MIB; size += size / 2 + 1) {
            EXPECT(hk_table_reach(&table, number, size));
            EXPECT(table.mapped >= size && table.mapped <= 2 * size + *(size_t *)arg + 256 * HK_KIB);
            EXPECT(table.mapped % *(size_t *)arg == 0);
            EXPECT(unit_is_zero(table.start + filled, size - filled)); /* and what was there has stayed */
            for (size_t at = 0; at < filled; at += 997)
                EXPECT(table.start[at] == (char)(number + 1));
            memset(table.start + filled, (int)number + 1, size - filled);
            filled = size;
        }
        uint64_t calls = fake_os_count(FAKE_ANY);
        EXPECT(hk_table_reach(&table, number, filled) && hk_table_reach(&table, number, 1) &&
               fake_os_count(FAKE_ANY) == calls);
        hk_table_visit(&table, count, sum);
        EXPECT(sum[0] == table.mapped && sum[1] == 1);
    }
    EXPECT(fake_os_misaligned() == 0);
}

static void tables_grow_where_they_are(void **state)
{
    (void)state;
    size_t pages[] = {4096, 16384, 65536};
    for (unsigned i = 0; i < HK_COUNT(pages); i++)
        unit_passes(grow_tables, &pages[i]);
}

static void fill_tables(void *arg)
{
    (void)arg;
    extend(1);
    char *end = NULL;
    for (unsigned number = 0; number <= HK_TABLE_INNER; number++) {
        struct hk_table table = {NULL, 0};
        size_t most = number < HK_TABLE_INNER ? HK_TABLE_MOST : 32 * HK_GIB;
        EXPECT(hk_table_reach(&table, number, 1) && hk_table_reach(&table, number, most));
        EXPECT(table.start >= end);
        end = table.start + most;
        table.start[most - 1] = 1;
    }
    EXPECT(end <= hk_space_address(0) && extend(1) != NULL);
}

static void each_table_has_its_own_room(void **state)
{
    (void)state;
    unit_passes(fill_tables, NULL);
}

static void refuse_tables(void *arg)
{
    enum hk_table_number number = *(enum hk_table_number *)arg;
    struct hk_table table = {NULL, 0};
    extend(1);
    EXPECT(hk_table_reach(&table, number, 3 * 4096));
    use(table.start, 3 * 4096);
    EXPECT(hk_table_reach(&table, number, 100 * 4096));
    size_t before = table.mapped;
    fake_os_fail_from(FAKE_MAP_AT, 1);
    EXPECT(!hk_table_reach(&table, number, before + 1) && table.mapped == before);
    fake_os_recover();
    fake_os_fail_nth(FAKE_MAP_AT, 1); /* what it would grow by itself: less will do */
    EXPECT(hk_table_reach(&table, number, before + 1) && table.mapped == before + 4096);
    use(table.start + before, 4096);

    char *behind = table.start + table.mapped;
    before = table.mapped;
    put(behind + 2 * 4096, 4096); /* within a step and not in the next page */
    EXPECT(hk_table_reach(&table, number, before + 4096) && table.mapped == before + 4096);
    use(behind, 4096);
    EXPECT(!hk_table_reach(&table, number, before + 3 * 4096) && table.mapped == before + 4096);
    EXPECT(munmap(behind + 2 * 4096, 4096) == 0);
    EXPECT(hk_table_reach(&table, number, before + 3 * 4096));
    use(behind + 4096, 2 * 4096);
    EXPECT(table.start[0] == 1);
}

static void a_table_grows_less_where_more_is_refused(void **state)
{
    (void)state;
    unit_needs(lacks_exact_places());
    const enum hk_table_number numbers[] = {HK_TABLE_CODES, HK_TABLE_NODES, HK_TABLE_INNER};
    for (unsigned i = 0; i < HK_COUNT(numbers); i++) {
        enum hk_table_number number = numbers[i];
        unit_passes(refuse_tables, &number);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_lie_one_behind_the_other),
        cmocka_unit_test(where_a_part_is_refused_another_place_is_tried),
        cmocka_unit_test(where_somebody_is_another_place_is_tried),
        cmocka_unit_test(there_are_places_near_and_far),
        cmocka_unit_test(what_lies_in_the_way_is_passed_over),
        cmocka_unit_test(where_much_is_refused_little_may_be_had),
        cmocka_unit_test(there_are_so_many_units_and_no_more),
        cmocka_unit_test(no_unit_lies_where_addresses_have_more_bits),
        cmocka_unit_test(the_last_units_can_be_dropped),
        cmocka_unit_test(unmapped_units_can_be_mapped_again),
        cmocka_unit_test(tables_grow_where_they_are),
        cmocka_unit_test(each_table_has_its_own_room),
        cmocka_unit_test(a_table_grows_less_where_more_is_refused),
    };
    return cmocka_run_group_tests_name("space", tests, NULL, NULL);
}
