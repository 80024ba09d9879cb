/* SPDX-License-Identifier: MIT
 *
 * Purging, a system that refuses, and threads. Each case has a pool of its own in a child.
 */
#include "pool_fixture.h"

#include "fake_os.h"
#include "os/os.h"
#include "pages/ss_arena.h"

#include <pthread.h>
#include <unistd.h>

static size_t purge(uint32_t delay_ms, size_t keep)
{
    size_t before = hk_pool_empty_bytes(), given = purge_slabs(hk_os_now_ms(), delay_ms, keep, HK_POOL_ALL);
    EXPECT(look().empty * HK_SLAB_SIZE == before - given);
    return given;
}

static void purge_in_time(void *arg)
{
    (void)arg;
    struct hk_slab *slab[20];
    for (unsigned i = 0; i < 20; i++)
        slab[i] = acquire(SINGLE);
    for (unsigned i = 0; i < 5; i++)
        release(slab[i]);
    fake_os_travel(300);
    release(slab[7]);
    release(slab[8]);
    EXPECT(purge(500, 0) == 0);
    fake_os_travel(200);
    EXPECT(purge(500, 0) == 5 * HK_SLAB_SIZE);
    EXPECT(fake_os_purges() == 1); /* neighbours in one call */
    for (unsigned i = 0; i < 20; i++)
        EXPECT(fake_os_was_purged(hk_slab_base(slab[i])) == (i < 5));
    EXPECT(look().unused == 12 + 5);
    const struct hk_superslab *ss = hk_slab_superslab(slab[0]);
    uint32_t purged = 0;
    for (unsigned i = 0; i < 5; i++)
        purged |= (uint32_t)1 << slab[i]->index;
    EXPECT(ss->purged_mask == purged); /* told apart from the 12 that were never used */
    fake_os_travel(300);
    EXPECT(purge(500, 0) == 2 * HK_SLAB_SIZE);
    EXPECT(purge(0, 0) == 0);
    struct hk_slab *clean = acquire(SINGLE); /* UNUSED again: known to be zero, which acquire verifies */
    EXPECT(clean->zero);
    EXPECT((ss->purged_mask >> clean->index & 1) == 0);
    EXPECT(look().unused == 12 + 6 && (unsigned)__builtin_popcount(ss->purged_mask) == 6);
    EXPECT(hk_pool_stage_count(HK_STAGE_EMPTY, SINGLE) == 0 && hk_pool_stage_count(HK_STAGE_UNUSED, SINGLE) == 20);
}

static void slabs_are_purged_when_they_were_empty_long_enough(void **state)
{
    (void)state;
    unit_passes(purge_in_time, NULL);
}

/* A program that slept for weeks. */
static void purge_after(void *arg)
{
    struct hk_slab *first = acquire(SINGLE), *stays = acquire(SINGLE);
    release(first);
    fake_os_travel(*(uint32_t *)arg * 86400000);
    EXPECT(purge(500, 0) == HK_SLAB_SIZE && stays->state != HK_SLAB_FREE);
}

static void a_month_is_long_enough_too(void **state)
{
    (void)state;
    for (uint32_t days = 1; days < 50; days++)
        unit_passes(purge_after, &days);
}

static void keep_some(void *arg)
{
    (void)arg;
    struct hk_slab *slab[96];
    for (unsigned i = 0; i < 96; i++)
        slab[i] = acquire(SINGLE);
    for (unsigned i = 0; i < 96; i += 3)
        release(slab[i]);
    EXPECT(purge(0, 32 * HK_SLAB_SIZE) == 0);
    EXPECT(purge(0, 20 * HK_SLAB_SIZE) >= 12 * HK_SLAB_SIZE);
    size_t left = hk_pool_empty_bytes();
    EXPECT(left > 0 && left <= 20 * HK_SLAB_SIZE);
    EXPECT(purge(0, left) == 0);
    EXPECT(purge(0, 0) == left);
}

static void what_is_kept_stays(void **state)
{
    (void)state;
    unit_passes(keep_some, NULL);
}

/* Two SuperSlabs, one with most of its slabs owned, one with few: the pages that stay are those of the former. */
static void purge_cold(void *arg)
{
    (void)arg;
    struct hk_slab *slab[2 * HK_SLABS];
    unsigned hot = *(unsigned *)arg;
    for (unsigned i = 0; i < 2 * HK_SLABS; i++)
        slab[i] = acquire(SINGLE);
    for (unsigned i = 0; i < 20; i++)
        release(slab[(1 - hot) * HK_SLABS + i]);
    for (unsigned i = 0; i < 4; i++)
        release(slab[hot * HK_SLABS + i]);
    EXPECT(purge(0, 4 * HK_SLAB_SIZE) == 20 * HK_SLAB_SIZE);
    EXPECT(fake_os_was_purged(hk_slab_base(slab[(1 - hot) * HK_SLABS])));
    EXPECT(!fake_os_was_purged(hk_slab_base(slab[hot * HK_SLABS])));
    EXPECT(purge(0, 0) == 4 * HK_SLAB_SIZE);
}

static void sparse_superslabs_are_purged_first(void **state)
{
    (void)state;
    unsigned hot[] = {0, 1}; /* whatever their order */
    unit_passes(purge_cold, &hot[0]);
    unit_passes(purge_cold, &hot[1]);
}

static void purge_pieces(void *arg)
{
    (void)arg;
    struct hk_slab *slab[3 * HK_SLABS];
    bool refused = false;
    for (unsigned i = 0; i < 3 * HK_SLABS; i++)
        slab[i] = acquire(SINGLE);
    for (unsigned i = 0; i < 3 * HK_SLABS; i++) {
        if (i % HK_SLABS != 7)
            release(slab[i]);
    }
    for (unsigned n = 1; n <= 3; n++) { /* those above the seventh are the longest piece of each */
        EXPECT(hk_pool_purge(hk_os_now_ms(), 0, HK_PURGE_MOST, HK_POOL_ALL, &refused) == 24 * HK_SLAB_SIZE);
        EXPECT(fake_os_purges() == n && fake_os_purge(n - 1).size == 24 * HK_SLAB_SIZE);
        if (HK_EMPTY_REUSE) /* from the highest address down */
            EXPECT(n == 1 || fake_os_purge(n - 1).start < fake_os_purge(n - 2).start);
    }
    EXPECT(hk_pool_purge(hk_os_now_ms(), 0, 3 * HK_SLAB_SIZE, HK_POOL_ALL, &refused) == 3 * HK_SLAB_SIZE);
    unsigned highest =
        hk_slab_base(slab[0]) > hk_slab_base(slab[2 * HK_SLABS]) ? 0 : 2; /* whichever way they were mapped */
    EXPECT(fake_os_was_purged(hk_slab_base(slab[highest * HK_SLABS + 6])) || !HK_EMPTY_REUSE);
    EXPECT(look().owned == 3 && !refused);
}

static void one_call_gives_one_piece(void **state)
{
    (void)state;
    unit_passes(purge_pieces, NULL);
}

/* EMPTY slabs with UNUSED ones between them go in one call; owned ones are never part of it. */
static void purge_over_gaps(void *arg)
{
    (void)arg;
    struct hk_slab *slab[HK_SLABS];
    bool refused = false;
    for (unsigned i = 0; i < HK_SLABS; i++)
        slab[i] = acquire(SINGLE);
    for (unsigned i = 10; i < 20; i += 2)
        release(slab[i]);
    EXPECT(purge(0, 0) == 5 * HK_SLAB_SIZE && fake_os_purges() == 5);
    for (unsigned i = 11; i < 20; i += 2)
        release(slab[i]);
    EXPECT(hk_pool_purge(hk_os_now_ms(), 0, HK_PURGE_MOST, HK_POOL_ALL, &refused) == 5 * HK_SLAB_SIZE);
    struct fake_range last = fake_os_purge(5);
    EXPECT(fake_os_purges() == 6 && last.start == hk_slab_base(slab[11]) && last.size == 9 * HK_SLAB_SIZE);
    EXPECT(look().owned == HK_SLABS - 10 && look().unused == 10);
    EXPECT((unsigned)__builtin_popcount(hk_slab_superslab(slab[0])->purged_mask) == 10);
    for (unsigned i = 0; i < HK_SLABS; i++) {
        if (i < 10 || i >= 20)
            EXPECT(hk_slab_base(slab[i])[0] == (char)0xcc);
    }
}

static void a_piece_runs_over_unused_slabs_but_not_over_owned_ones(void **state)
{
    (void)state;
    unit_passes(purge_over_gaps, NULL);
}

static struct hk_slab *gap;

static void acquire_meanwhile(void)
{
    fake_os_during_purge(NULL);
    gap = acquire(SINGLE); /* none of those that are being purged, UNUSED as they may be */
    memset(hk_slab_base(gap), 0x77, HK_SLAB_SIZE);
}

static void acquire_during_purge(void *arg)
{
    (void)arg;
    struct hk_slab *slab[HK_SLABS];
    bool refused = false;
    for (unsigned i = 0; i < HK_SLABS; i++)
        slab[i] = acquire(SINGLE);
    release(slab[4]);
    EXPECT(purge(0, 0) == HK_SLAB_SIZE);
    release(slab[3]);
    release(slab[5]);
    fake_os_during_purge(acquire_meanwhile);
    EXPECT(hk_pool_purge(hk_os_now_ms(), 0, HK_PURGE_MOST, HK_POOL_ALL, &refused) == 2 * HK_SLAB_SIZE);
    EXPECT(gap != NULL && hk_slab_superslab(gap) != hk_slab_superslab(slab[0]));
    for (unsigned i = 0; i < HK_SLAB_SIZE; i++)
        EXPECT(hk_slab_base(gap)[i] == 0x77);
    look();
}

static void nobody_takes_what_is_being_purged(void **state)
{
    (void)state;
    unit_passes(acquire_during_purge, NULL);
}

/* A SuperSlab that is idle when its piece comes back leaves where another idle one stays already. */
static struct hk_slab *last_owned[2];

static void release_meanwhile(void)
{
    fake_os_during_purge(NULL);
    release(last_owned[0]);
    release(last_owned[1]);
}

static void become_idle_during_purge(void *arg)
{
    (void)arg;
    struct hk_slab *slab[2 * HK_SLABS];
    bool refused = false;
    for (unsigned i = 0; i < 2 * HK_SLABS; i++)
        slab[i] = acquire(SINGLE);
    for (unsigned i = 1; i < 2 * HK_SLABS; i++) {
        if (i != HK_SLABS)
            release(slab[i]);
    }
    last_owned[0] = slab[0];
    last_owned[1] = slab[HK_SLABS];
    fake_os_during_purge(release_meanwhile);
    EXPECT(hk_pool_purge(hk_os_now_ms(), 0, HK_PURGE_MOST, HK_POOL_ALL, &refused) == 31 * HK_SLAB_SIZE);
    EXPECT(look().superslabs == 1 && look().owned == 0);
}

static void one_idle_superslab_stays(void **state)
{
    (void)state;
    unit_passes(become_idle_during_purge, NULL);
}

static void purge_mid(void *arg)
{
    (void)arg;
    unsigned mid = HK_TINY_LAST + 1;
    struct hk_slab *tiny[4], *span[4];
    for (unsigned i = 0; i < 4; i++) {
        tiny[i] = acquire(SINGLE);
        span[i] = acquire(i < 2 ? mid : class_of_span(HK_SPAN_MAX));
    }
    size_t slabs = 0;
    for (unsigned i = 0; i < 4; i++) {
        slabs += span[i]->cls > HK_TINY_LAST ? span[i]->slabs : 0;
        release(tiny[i]);
        release(span[i]);
    }
    EXPECT(hk_load_relaxed(&hk_pool_empty_mid) == slabs && slabs > 0);
    EXPECT(purge_slabs(hk_os_now_ms(), 0, slabs * HK_SLAB_SIZE, HK_POOL_MID) == 0);
    EXPECT(purge_slabs(hk_os_now_ms(), 0, 0, HK_POOL_MID) == slabs * HK_SLAB_SIZE);
    EXPECT(hk_load_relaxed(&hk_pool_empty_mid) == 0);
    for (unsigned i = 0; i < 4; i++) {
        EXPECT(!fake_os_was_purged(hk_slab_base(tiny[i])));
        EXPECT(fake_os_was_purged(hk_slab_base(span[i])) == (span[i]->cls > HK_TINY_LAST));
    }
    EXPECT(purge_slabs(hk_os_now_ms(), 0, 0, HK_POOL_MID) == 0);
    EXPECT(purge(0, 0) >= 4 * HK_SLAB_SIZE);
}

static void spans_of_mid_classes_can_be_purged_alone(void **state)
{
    (void)state;
    unit_passes(purge_mid, NULL);
}

static void be_refused(void *arg)
{
    (void)arg;
    struct hk_slab *slab[12];
    for (unsigned i = 0; i < 12; i++)
        slab[i] = acquire(SINGLE);
    for (unsigned i = 0; i < 12; i += 2)
        release(slab[i]);
    fake_os_travel(500);
    fake_os_fail_nth(FAKE_PURGE, 3);
    EXPECT(purge(500, 0) == 5 * HK_SLAB_SIZE);
    EXPECT(!fake_os_was_purged(hk_slab_base(slab[6]))); /* from the highest down */
    uint64_t asked = fake_os_count(FAKE_PURGE);
    EXPECT(purge(500, 0) == 0 && fake_os_count(FAKE_PURGE) == asked); /* not asked again and again */
    EXPECT(look().empty == 1);
    if (HK_EMPTY_REUSE) {
        EXPECT(acquire(SINGLE) == slab[6] && !slab[6]->zero); /* EMPTY still, and not taken for zero */
        release(slab[6]);
    }
    fake_os_travel(500);
    fake_os_fail_from(FAKE_PURGE, 1);
    EXPECT(purge(500, 0) == 0);
    fake_os_recover();
    fake_os_travel(500);
    EXPECT(purge(500, 0) == HK_SLAB_SIZE);
}

static void a_refused_purge_leaves_slabs_empty(void **state)
{
    (void)state;
    unit_passes(be_refused, NULL);
}

/* ---- no memory ---- */

struct refusal {
    unsigned n;
    bool lasting;
};

static void acquire_refused(void *arg)
{
    const struct refusal *r = arg;
    struct hk_slab *slab[100];
    (r->lasting ? fake_os_fail_from : fake_os_fail_nth)(FAKE_ANY, r->n);
    for (unsigned i = 0; i < 100; i++) {
        slab[i] = hk_pool_acquire(class_of_span(1 + i % HK_SPAN_MAX), OWNER, false);
        if (slab[i] != NULL)
            slab[i]->state = HK_SLAB_ACTIVE;
        look();
    }
    bool happened = fake_os_failures() != 0;
    for (unsigned i = 0; i < 100; i += 2) {
        if (slab[i] != NULL)
            release(slab[i]);
    }
    look();
    fake_os_recover();
    for (unsigned i = 0; i < 100; i++)
        acquire(class_of_span(1 + i % HK_SPAN_MAX));
    look();
    _exit(happened ? 0 : 3);
}

static void every_call_may_be_refused(void **state)
{
    (void)state;
    for (unsigned lasting = 0; lasting < 2; lasting++) {
        unsigned n = 0;
        int status;
        do {
            struct refusal r = {++n, lasting};
            status = unit_status(acquire_refused, &r);
        } while (status == 0 && n < 100);
        assert_int_equal(status, 3);
        assert_true(n > 5);
    }
}

/* ---- threads ---- */

#define THREADS 4

static void *churn(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    struct hk_slab *held[20] = {0};
    for (unsigned i = 0; i < 1500; i++) {
        unsigned at = (unsigned)unit_random(&seed, 20);
        if (held[at] == NULL) {
            held[at] = hk_pool_acquire(class_of_span(1 + (unsigned)unit_random(&seed, HK_SPAN_MAX)),
                                       (struct hk_owner *)arg, false);
            EXPECT(held[at] != NULL && hk_slab_owner(held[at]) == (struct hk_owner *)arg);
            held[at]->state = HK_SLAB_ACTIVE;
            EXPECT(!held[at]->zero || *(uintptr_t *)(void *)hk_slab_base(held[at]) == 0);
            *(uintptr_t *)(void *)hk_slab_base(held[at]) = (uintptr_t)arg;
        } else {
            EXPECT(*(uintptr_t *)(void *)hk_slab_base(held[at]) == (uintptr_t)arg);
            EXPECT(hk_slab_owner(held[at]) == (struct hk_owner *)arg);
            hk_slab_reset(held[at]);
            hk_pool_release(held[at]);
            held[at] = NULL;
        }
        if (i % 100 == 0)
            purge_slabs(hk_os_now_ms(), 0, HK_MIB, HK_POOL_ALL);
        if (i % 300 == 0)
            hk_pool_trim();
    }
    for (unsigned at = 0; at < 20; at++) {
        if (held[at] != NULL)
            hk_pool_release(held[at]);
    }
    return NULL;
}

static void churn_in_threads(void *arg)
{
    (void)arg;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        EXPECT(pthread_create(&threads[i], NULL, churn, (void *)((i + 1) * 64)) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    EXPECT(look().owned == 0);
    hk_pool_trim();
    EXPECT(hk_arena_live() == 0 && hk_arena_check());
    EXPECT(hk_pool_lock()->word == 0);
}

static void any_thread_may_acquire_release_and_purge(void **state)
{
    (void)state;
    unit_passes(churn_in_threads, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slabs_are_purged_when_they_were_empty_long_enough),
        cmocka_unit_test(a_month_is_long_enough_too),
        cmocka_unit_test(what_is_kept_stays),
        cmocka_unit_test(sparse_superslabs_are_purged_first),
        cmocka_unit_test(one_call_gives_one_piece),
        cmocka_unit_test(a_piece_runs_over_unused_slabs_but_not_over_owned_ones),
        cmocka_unit_test(nobody_takes_what_is_being_purged),
        cmocka_unit_test(one_idle_superslab_stays),
        cmocka_unit_test(spans_of_mid_classes_can_be_purged_alone),
        cmocka_unit_test(a_refused_purge_leaves_slabs_empty),
        cmocka_unit_test(every_call_may_be_refused),
        cmocka_unit_test(any_thread_may_acquire_release_and_purge),
    };
    return cmocka_run_group_tests_name("pool_purge", tests, NULL, NULL);
}
