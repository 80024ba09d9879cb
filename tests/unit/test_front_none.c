/* SPDX-License-Identifier: MIT
 *
 * The slim front: bins that are lists. Each case runs in a child.
 */
#include "front_fixture.h"

#define SIZE 64u

static void *blocks[1000];

static void bins_are_small(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct hk_bin), 16);
}

/* A full list gives its oldest half back and keeps the newest. */
static void flush_half(void *arg)
{
    (void)arg;
    unsigned cls = hk_class_of(SIZE);
    for (unsigned i = 0; i < 400; i++)
        blocks[i] = front_take(SIZE);
    struct hk_thread *thread = front_self();
    const struct hk_front_metrics *moved = &thread->metrics[cls];
    EXPECT(thread->own.room.cap[cls].now == 64 && moved->refills > 0);
    unsigned i = 0;
    for (; hk_front_count(thread, cls) < 64; i++)
        front_free(blocks[i]);
    uint64_t flushes = moved->flushes, flushed = moved->flushed;
    front_free(blocks[i]);
    EXPECT(moved->flushes == flushes + 1 && moved->flushed - flushed == 32 && hk_front_count(thread, cls) == 33);
    for (unsigned back = 0; back < 33; back++)
        EXPECT(front_malloc(SIZE) == blocks[i - back]);
    front_check();
}

static void a_full_list_gives_its_oldest_half_back(void **state)
{
    (void)state;
    unit_passes(flush_half, NULL);
}

static void keep_to_budget(void *arg)
{
    (void)arg;
    uint64_t seed = 3;
    for (unsigned i = 0; i < 8000; i++) {
        unsigned at = (unsigned)unit_random(&seed, 600);
        if (blocks[at] == NULL) {
            blocks[at] = front_take(unit_random(&seed, unit_random(&seed, 3) ? HK_MID_MAX : 1025));
        } else {
            front_free(blocks[at]);
            blocks[at] = NULL;
        }
        if (i % 50 == 0)
            front_check_budget();
    }
}

static void lists_stay_within_twice_the_budget(void **state)
{
    (void)state;
    unit_passes(keep_to_budget, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bins_are_small),
        cmocka_unit_test(lists_stay_within_twice_the_budget),
        cmocka_unit_test(a_full_list_gives_its_oldest_half_back),
    };
    return cmocka_run_group_tests_name("front_none", tests, NULL, NULL);
}
