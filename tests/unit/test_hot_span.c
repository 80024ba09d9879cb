/* SPDX-License-Identifier: MIT
 *
 * What freed page runs and Mid spans leave resident, with both choices of the box. Each case runs in a child.
 */
#include "pool_fixture.h"

#include "box/hot_span.h"
#include "fake_os.h"
#include "os/os.h"

#define MID (HK_TINY_LAST + 1)

static char *run;
static struct hk_slab *tiny, *span;

static void free_one_of_each(void)
{
    bool zero;
    char *inside = hk_slab_base(acquire(SINGLE)); /* so that no SuperSlab becomes idle */
    EXPECT(inside != NULL);
    run = hk_arena_take(20, HK_PAGE, &zero);
    EXPECT(run != NULL);
    memset(run, 1, 20 * HK_PAGE);
    tiny = acquire(SINGLE);
    span = acquire(MID);
    EXPECT(hk_hot_span_bytes() == 0 && !hk_hot_span_at_once());
    EXPECT(hk_arena_give(run));
    release(tiny);
    release(span);
    EXPECT(hk_hot_span_bytes() == 20 * HK_PAGE + hk_class_slabs(MID) * HK_SLAB_SIZE);
    EXPECT(hk_hot_span_at_once() == !HK_HOT_SPAN);
}

/* Piece by piece, as the calls that free do. */
static size_t purge_at_once(void)
{
    size_t given = 0, piece;
    for (bool refused = false; (piece = hk_hot_span_purge(hk_os_now_ms(), &refused)) != 0; given += piece)
        EXPECT(!refused);
    return given;
}

/* Enabled nothing goes, disabled all but the tiny class's slab. */
static void stay_or_go(void *arg)
{
    (void)arg;
    free_one_of_each();
    size_t bytes = hk_hot_span_bytes(), given = purge_at_once();
    EXPECT(given == (HK_HOT_SPAN ? 0 : bytes));
    EXPECT(hk_hot_span_bytes() == bytes - given && !hk_hot_span_at_once() == (HK_HOT_SPAN || given == bytes));
    EXPECT(fake_os_was_purged(run) == !HK_HOT_SPAN);
    EXPECT(fake_os_was_purged(hk_slab_base(span)) == !HK_HOT_SPAN);
    EXPECT(!fake_os_was_purged(hk_slab_base(tiny)));
    EXPECT(hk_pool_check() && hk_arena_check());
}

static void freed_spans_stay_only_where_they_may(void **state)
{
    (void)state;
    unit_passes(stay_or_go, NULL);
}

/* The next one finds its pages there, or gets zeros. */
static void take_again(void *arg)
{
    (void)arg;
    bool zero;
    free_one_of_each();
    purge_at_once();
    EXPECT(hk_arena_take(20, HK_PAGE, &zero) == run && zero == !HK_HOT_SPAN);
    EXPECT(hk_os_resident(run, 20 * HK_PAGE) == (HK_HOT_SPAN ? 20 * HK_PAGE : 0));
    EXPECT(HK_HOT_SPAN ? run[0] == 1 : unit_is_zero(run, 20 * HK_PAGE));
}

static void the_next_run_faults_only_without_hot_spans(void **state)
{
    (void)state;
    unit_passes(take_again, NULL);
}

static void give_pieces(void *arg)
{
    (void)arg;
    bool zero, refused = false;
    char *large = hk_arena_take(5 * HK_MIB / HK_PAGE, HK_SUPERSLAB_SIZE, &zero);
    EXPECT(large != NULL && hk_arena_give(large));
    for (unsigned i = 1; i <= 3; i++) {
        hk_hot_span_purge(hk_os_now_ms(), &refused);
        EXPECT(fake_os_count(FAKE_PURGE) == (HK_HOT_SPAN ? 0 : i));
    }
    EXPECT(hk_hot_span_at_once() == false);
    for (size_t i = 0; i < fake_os_purges(); i++)
        EXPECT(fake_os_purge(i).size <= HK_PURGE_MOST);
}

static void one_call_gives_one_piece(void **state)
{
    (void)state;
    unit_passes(give_pieces, NULL);
}

static void be_refused(void *arg)
{
    (void)arg;
    free_one_of_each();
    bool refused = false;
    size_t bytes = hk_hot_span_bytes();
    fake_os_fail_from(FAKE_PURGE, 1);
    EXPECT(hk_hot_span_purge(hk_os_now_ms(), &refused) == 0 && refused == !HK_HOT_SPAN);
    EXPECT(hk_hot_span_bytes() == bytes && hk_pool_check() && hk_arena_check());
    bool zero;
    EXPECT(hk_arena_take(20, HK_PAGE, &zero) == run && !zero && run[0] == 1);
}

static void what_the_system_refuses_stays(void **state)
{
    (void)state;
    unit_passes(be_refused, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freed_spans_stay_only_where_they_may),
        cmocka_unit_test(the_next_run_faults_only_without_hot_spans),
        cmocka_unit_test(one_call_gives_one_piece),
        cmocka_unit_test(what_the_system_refuses_stays),
    };
    return cmocka_run_group_tests_name("hot_span", tests, NULL, NULL);
}
