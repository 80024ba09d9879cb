/* SPDX-License-Identifier: MIT
 *
 * Walls behind runs and mappings: where they stand, and what happens where the system says no. Each case has arenas of
 * its own in a child.
 */
#include "unit.h"

#include "base/options.h"
#include "fake_os.h"
#include "large/page_heap.h"
#include "large/walls.h"
#include "pages/meta.h"

#include <string.h>
#include <unistd.h>

enum { SIZE = 10 * 4096, HUGE = 40 * 1024 * 1024 };

/* Does the processor stop who touches it? */
static bool is_hidden(const void *ptr)
{
    int ends[2];
    bool hidden = pipe(ends) == 0 && write(ends[1], ptr, 1) != 1;
    close(ends[0]);
    close(ends[1]);
    return hidden;
}

static char *take(size_t size)
{
    bool zero;
    EXPECT(hk_option_store(HK_OPT_WALL_EVERY, 1));
    char *p = hk_page_heap_alloc(size, 16, &zero);
    EXPECT(p != NULL);
    memset(p, 7, 100);
    p[size - 1] = 9;
    return p;
}

static size_t size_of(const void *p)
{
    return hk_page_heap_find(p).size;
}

static bool give(const void *p)
{
    struct hk_block block = hk_page_heap_find(p);
    return hk_page_heap_free(&block);
}

static void *resize(const void *p, size_t size)
{
    struct hk_block block = hk_page_heap_find(p);
    return hk_page_heap_resize(&block, size, size);
}

static void nothing_lives(void)
{
    EXPECT(hk_arena_live() == 0 && hk_huge_bytes() == 0 && hk_arena_check());
    for (unsigned i = 0; i < HK_WALLS; i++)
        EXPECT(hk_wall_places[i] == 0);
}

static void stand(void *arg)
{
    size_t size = *(const size_t *)arg;
    char *p = take(size);
    EXPECT(size_of(p) == size && is_hidden(p + size) && !is_hidden(p + size - 1));
    EXPECT(give(p) && !give(p));
    nothing_lives();
    for (unsigned i = 0; i < 4; i++) { /* what was a wall is memory again, also in the middle of the next block */
        char *q = take(size + i * 4096);
        memset(q, 5, size + i * 4096);
        EXPECT(is_hidden(q + size + i * 4096) && give(q));
    }
    nothing_lives();
}

static void behind_runs_and_mappings(void **state)
{
    (void)state;
    size_t sizes[] = {SIZE, 512 * 1024, 32 * HK_MIB, HUGE};
    for (unsigned i = 0; i < HK_COUNT(sizes); i++)
        unit_passes(stand, &sizes[i]);
}

/* The block has the page that cannot be hidden, or the mapping has it for nothing. */
static void no_hiding(void *arg)
{
    (void)arg;
    fake_os_fail_from(FAKE_HIDE, 1);
    char *run = take(SIZE), *huge = take(HUGE);
    EXPECT(size_of(run) == SIZE + 4096 && size_of(huge) == HUGE);
    memset(run, 1, SIZE + 4096);
    EXPECT(!is_hidden(huge + HUGE));
    EXPECT(resize(run, 2 * SIZE) == run && size_of(run) == 2 * SIZE);
    char *moved = resize(huge, 2 * HUGE);
    EXPECT(moved != NULL && moved[0] == 7 && moved[HUGE - 1] == 9 && size_of(moved) == 2 * HUGE);
    EXPECT(give(run) && give(moved));
    nothing_lives();
}

static void where_nothing_can_be_hidden(void **state)
{
    (void)state;
    unit_passes(no_hiding, NULL);
}

/* Nobody gets the run, but its memory goes, until the system has taken the wall away. */
static void no_showing(void *arg)
{
    (void)arg;
    char *run = take(SIZE);
    size_t live = hk_arena_live();
    fake_os_fail_from(FAKE_COMMIT, 1);
    EXPECT(resize(run, SIZE + 4 * 4096) == NULL && resize(run, SIZE - 4096) == NULL);
    EXPECT(size_of(run) == SIZE && is_hidden(run + SIZE) && run[SIZE - 1] == 9);
    unsigned purges = fake_os_count(FAKE_PURGE);
    EXPECT(give(run) && fake_os_count(FAKE_PURGE) == purges + 1);
    EXPECT(hk_arena_live() == live && run[100] == 0 && is_hidden(run + SIZE));
    char *huge = take(HUGE); /* its wall stays behind */
    EXPECT((huge = resize(huge, 2 * HUGE)) != NULL && huge[HUGE - 1] == 9 && is_hidden(huge + 2 * HUGE));
    EXPECT((huge = resize(huge, HUGE + 4096)) != NULL && is_hidden(huge + HUGE + 4096) && give(huge));
    fake_os_fail_nth(FAKE_COMMIT, 1000000); /* no more */
    char *other = take(SIZE);
    EXPECT(other != run && give(other)); /* now both */
    nothing_lives();
}

static void where_a_wall_has_to_stay(void **state)
{
    (void)state;
    unit_passes(no_showing, NULL);
}

/* To each length around its own, in place or not at all: the wall goes along. */
static void change(void *arg)
{
    (void)arg;
    for (size_t pages = 6; pages <= 30; pages++) {
        char *p = take(SIZE), *to = resize(p, pages * 4096);
        if (to == NULL) {
            EXPECT(size_of(p) == SIZE && is_hidden(p + SIZE));
            to = p;
        } else {
            EXPECT(to == p && size_of(p) == pages * 4096 && is_hidden(p + pages * 4096));
            memset(p, 3, pages * 4096);
        }
        EXPECT(give(to));
        nothing_lives();
    }
}

static void a_run_that_changes_takes_it_along(void **state)
{
    (void)state;
    unit_passes(change, NULL);
}

static void grow_in_place(void *arg)
{
    (void)arg;
    char *p = take(SIZE);
    EXPECT(resize(p, 3 * SIZE) == p && size_of(p) == 3 * SIZE && is_hidden(p + 3 * SIZE) && !is_hidden(p + SIZE));
    EXPECT(p[SIZE - 1] == 9 && resize(p, 2 * SIZE) == p && is_hidden(p + 2 * SIZE) && give(p));
    char *huge = take(HUGE), *moved = resize(huge, 2 * HUGE);
    EXPECT(moved != NULL && moved[HUGE - 1] == 9 && !is_hidden(moved + HUGE) && is_hidden(moved + 2 * HUGE));
    moved = resize(moved, HUGE);
    EXPECT(moved != NULL && is_hidden(moved + HUGE) && give(moved));
    nothing_lives();
}

static void blocks_grow_over_it(void **state)
{
    (void)state;
    unit_passes(grow_in_place, NULL);
}

/* A page more would be too much: then without. */
static void at_the_limit(void *arg)
{
    (void)arg;
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, SIZE));
    char *p = take(SIZE);
    EXPECT(size_of(p) == SIZE && hk_arena_live() == SIZE && !is_hidden(p + SIZE) && give(p));
}

static void a_limit_goes_before(void **state)
{
    (void)state;
    unit_passes(at_the_limit, NULL);
}

/* However many runs there are, there are no more walls than places, and most places are used. */
static void many(void *arg)
{
    (void)arg;
    static char *runs[2 * HK_WALLS];
    size_t walls = 0;
    EXPECT(give(take(SIZE)));
    for (unsigned i = 0; i < HK_COUNT(runs); i++) {
        bool zero;
        runs[i] = hk_page_heap_alloc(SIZE, 16, &zero);
        EXPECT(runs[i] != NULL);
        walls += size_of(runs[i]) == SIZE;
    }
    EXPECT(walls > HK_WALLS / 2 && walls <= HK_WALLS);
    for (unsigned i = 0; i < HK_COUNT(runs); i++)
        EXPECT(give(runs[i]));
    nothing_lives();
}

static void there_are_no_more_than_places(void **state)
{
    (void)state;
    unit_passes(many, NULL);
}

/* One in so many, whatever comes between. */
static void every_so_many(void *arg)
{
    unsigned every = *(const unsigned *)arg, walls = 0;
    EXPECT(hk_option_store(HK_OPT_WALL_EVERY, every));
    for (unsigned i = 0; i < 10 * every; i++) {
        bool zero;
        char *p = hk_page_heap_alloc(SIZE + i % 3 * 4096, 16, &zero);
        EXPECT(p != NULL);
        walls += is_hidden(p + size_of(p));
        EXPECT(size_of(p) == SIZE + i % 3 * 4096 && give(p));
    }
    EXPECT(walls == 10);
    nothing_lives();
}

static void how_many_runs_have_one_is_an_option(void **state)
{
    (void)state;
    unsigned every[] = {1, 2, 64};
    for (unsigned i = 0; i < HK_COUNT(every); i++)
        unit_passes(every_so_many, &every[i]);
}

static void records(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 3; i++)
        EXPECT(hk_meta_alloc(60000) != NULL);
}

struct between {
    unsigned regions, hidden;
};

static void see_region(void *ctx, void *start, size_t size)
{
    struct between *b = ctx;
    b->regions++;
    b->hidden += is_hidden((char *)start - 1) && is_hidden((char *)start + size);
}

static void around_records(void *arg)
{
    struct between b = {0, 0};
    records(arg);
    hk_meta_visit(see_region, &b);
    EXPECT(b.regions > 1 && b.hidden == b.regions);
    fake_os_fail_from(FAKE_HIDE, 1);
    records(arg);
}

static void records_lie_between_walls(void **state)
{
    (void)state;
    unit_passes(around_records, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behind_runs_and_mappings),      cmocka_unit_test(where_nothing_can_be_hidden),
        cmocka_unit_test(where_a_wall_has_to_stay),      cmocka_unit_test(a_run_that_changes_takes_it_along),
        cmocka_unit_test(blocks_grow_over_it),           cmocka_unit_test(a_limit_goes_before),
        cmocka_unit_test(there_are_no_more_than_places), cmocka_unit_test(how_many_runs_have_one_is_an_option),
        cmocka_unit_test(records_lie_between_walls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
