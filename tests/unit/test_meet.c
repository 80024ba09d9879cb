/* SPDX-License-Identifier: MIT
 *
 * Two calls that meet, at each instruction of the first (step.h). Nothing is lost, nothing is twice, no lock stays
 * held. Each case runs in a child.
 */
#include "heap_fixture.h"
#include "step.h"

#include "large/huge.h"
#include "box/pool.h"
#include "box/transfer.h"
#include "fake_os.h"
#include "os/os.h"
#include "pages/meta.h"
#include "pages/ss_arena.h"

#define CLS HK_TINY_LAST /* 1024 bytes: 64 blocks to a slab */
#define BATCH 16u

static struct hk_heap *first, *second, *third;
static void *blocks[4 * BATCH], *taken[BATCH], *taken_too[BATCH];
static unsigned left, left_other;

/* A record that no thread has had. */
static struct hk_heap *new_heap(void)
{
    struct hk_heap *heap = hk_meta_alloc(sizeof(struct hk_heap));
    EXPECT(heap != NULL);
    hk_heap_begin(heap);
    return heap;
}

static void end(struct hk_heap *heap)
{
    hk_heap_end(heap);
    hk_heap_retire(heap);
}

/* The second and the third give to the same arrays. */
static void begin_with(unsigned cls)
{
    first = new_heap();
    second = new_heap();
    while ((third = new_heap())->number % HK_TRANSFER_PLACES != second->number % HK_TRANSFER_PLACES)
        end(third);
    fixture_take(first, cls, blocks, 4 * BATCH);
    EXPECT(hk_transfer_take(first, cls, taken, 1) == 0); /* none waits, and some are wanted: arrays take what comes */
    left = left_other = 0;
}

static void begin(void)
{
    begin_with(CLS);
}

static void give(struct hk_heap *heap, void **from, unsigned n)
{
    if (n != 0)
        hk_heap_give(heap, from, n);
}

/* All of `blocks` was given: then no slab is owned. */
static void expect_nothing_left(void)
{
    hk_transfer_sweep();
    hk_heap_sweep();
    fixture_check(first);
    EXPECT(fixture_owned_slabs() == 0);
    EXPECT(hk_load_relaxed(&first->lock.word) == 0 && hk_load_relaxed(&hk_pool_lock()->word) == 0);
}

/* ---- two threads free blocks of a third ---- */

static void give_batch(void)
{
    give(second, blocks, BATCH);
}

static void give_another_batch(void)
{
    give(third, blocks + BATCH, 3 * BATCH);
}

static void end_all(void)
{
    expect_nothing_left();
    end(first);
    end(second);
    end(third);
}

static void two_give(void *arg)
{
    (void)arg;
    EXPECT(step_through(&(struct step_pair){begin, give_batch, give_another_batch, end_all}) != 0);
}

static void take_of_first(void)
{
    left_other = hk_heap_take(first, CLS, &taken[BATCH - 1], BATCH);
    EXPECT(left_other != 0);
}

static void give_what_was_taken(void)
{
    give(first, taken + BATCH - left_other, left_other);
    give_another_batch();
    end_all();
}

static void give_and_take(void *arg)
{
    (void)arg;
    EXPECT(step_through(&(struct step_pair){begin, give_batch, take_of_first, give_what_was_taken}) != 0);
    EXPECT(step_through(&(struct step_pair){begin, take_of_first, give_batch, give_what_was_taken}) != 0);
}

static void end_first(void)
{
    end(first);
}

static void end_others(void)
{
    give_another_batch();
    expect_nothing_left();
    end(second);
    end(third);
}

static void give_and_end(void *arg)
{
    (void)arg;
    EXPECT(step_through(&(struct step_pair){begin, give_batch, end_first, end_others}) != 0);
    EXPECT(step_through(&(struct step_pair){begin, end_first, give_batch, end_others}) != 0);
}

static void frees_meet(void **state)
{
    (void)state;
    unit_passes(two_give, NULL);
    unit_passes(give_and_take, NULL);
    unit_passes(give_and_end, NULL);
}

/* ---- arrays ---- */

static unsigned offered = CLS;

/* The first turns find no array yet: places and classes change. */
static void begin_to_offer(void)
{
    static unsigned turn;
    offered = 1 + turn++ / HK_TRANSFER_PLACES % HK_TINY_LAST;
    begin_with(offered);
}

static void offer(void)
{
    left = hk_transfer_give(second, offered, blocks, BATCH);
}

static void offer_too(void)
{
    left_other = hk_transfer_give(third, offered, blocks + BATCH, 3 * BATCH);
}

static void give_what_was_left(void)
{
    give(second, blocks, left);
    give(third, blocks + BATCH, left_other);
    end_all();
}

static void two_offer(void *arg)
{
    (void)arg;
    EXPECT(step_through(&(struct step_pair){begin_to_offer, offer, offer_too, give_what_was_left}) != 0);
}

static void after_the_end(void)
{
    give(second, blocks, left);
    end_others();
}

static void offer_and_end(void *arg)
{
    (void)arg;
    EXPECT(step_through(&(struct step_pair){begin, offer, end_first, after_the_end}) != 0);
    EXPECT(step_through(&(struct step_pair){begin, end_first, offer, after_the_end}) != 0);
}

static void begin_with_array(void)
{
    begin();
    EXPECT(hk_transfer_give(third, CLS, blocks + BATCH, 3 * BATCH) == 0);
    left = BATCH;
}

static void take_back(void)
{
    left_other = hk_transfer_or_take(first, CLS, &taken[BATCH - 1], BATCH);
    EXPECT(left_other != 0);
}

static void sweep(void)
{
    hk_transfer_sweep();
    hk_heap_sweep_one(first);
}

static void after_taking(void)
{
    give(second, blocks, left);
    give(first, taken + BATCH - left_other, left_other);
    end_all();
}

static void offer_and_take(void *arg)
{
    (void)arg;
    EXPECT(step_through(&(struct step_pair){begin_with_array, offer, take_back, after_taking}) != 0);
    EXPECT(step_through(&(struct step_pair){begin_with_array, take_back, offer, after_taking}) != 0);
    EXPECT(step_through(&(struct step_pair){begin_with_array, offer, sweep, after_taking}) != 0);
    EXPECT(step_through(&(struct step_pair){begin_with_array, sweep, take_back, after_taking}) != 0);
}

static void arrays_meet(void **state)
{
    (void)state;
    unit_passes(two_offer, NULL);
    unit_passes(offer_and_end, NULL);
    unit_passes(offer_and_take, NULL);
}

/* ---- slabs change hands ---- */

static void begin_apart(void)
{
    begin();
    left = hk_heap_take(second, CLS, &taken[BATCH - 1], BATCH);
    EXPECT(left != 0);
}

static void take_a_slab(void)
{
    left_other = hk_heap_take(third, CLS - 1, &taken_too[BATCH - 1], BATCH);
    EXPECT(left_other != 0);
}

static void give_a_slab(void)
{
    give(second, taken + BATCH - left, left);
}

static void purge_slabs(void)
{
    bool refused = false;
    hk_pool_purge(hk_os_now_ms(), 0, HK_PURGE_MOST, HK_POOL_ALL, &refused);
    EXPECT(!refused);
}

static void after_slabs(void)
{
    EXPECT(hk_pool_check());
    give(third, taken_too + BATCH - left_other, left_other);
    give(first, blocks, BATCH);
    give_another_batch();
    end_all();
}

static void after_one_slab(void)
{
    take_a_slab();
    after_slabs();
}

static void begin_given(void)
{
    begin_apart();
    give_a_slab();
}

static void slabs(void *arg)
{
    (void)arg;
    EXPECT(step_through(&(struct step_pair){begin_apart, take_a_slab, give_a_slab, after_slabs}) != 0);
    EXPECT(step_through(&(struct step_pair){begin_apart, give_a_slab, take_a_slab, after_slabs}) != 0);
    EXPECT(step_through(&(struct step_pair){begin_apart, give_a_slab, purge_slabs, after_one_slab}) != 0);
    EXPECT(step_through(&(struct step_pair){begin_given, take_a_slab, purge_slabs, after_slabs}) != 0);
    EXPECT(step_through(&(struct step_pair){begin_given, purge_slabs, take_a_slab, after_slabs}) != 0);
}

static void begin_abandoned(void)
{
    begin();
    end(first);
}

static void adopt(void)
{
    left_other = hk_heap_take(third, CLS, &taken_too[BATCH - 1], BATCH);
    EXPECT(left_other != 0);
}

static void after_adoption(void)
{
    give(third, taken_too + BATCH - left_other, left_other);
    give_another_batch();
    expect_nothing_left();
    end(second);
    end(third);
}

static void adoption(void *arg)
{
    (void)arg;
    EXPECT(step_through(&(struct step_pair){begin_abandoned, adopt, give_batch, after_adoption}) != 0);
    EXPECT(step_through(&(struct step_pair){begin_abandoned, give_batch, adopt, after_adoption}) != 0);
}

static void slabs_change_hands(void **state)
{
    (void)state;
    unit_passes(slabs, NULL);
    unit_passes(adoption, NULL);
}

/* ---- large blocks ---- */

static char *run, *huge[3];
static size_t size;

static void begin_large(void)
{
    bool zero;
    run = hk_arena_take(600, HK_PAGE, &zero);
    EXPECT(run != NULL);
    for (unsigned i = 0; i < 3; i++)
        EXPECT((huge[i] = hk_huge_alloc((40 + i) * HK_MIB, HK_PAGE)) != NULL);
}

static void take_run(void)
{
    bool zero;
    char *p = hk_arena_take(300, HK_PAGE, &zero);
    EXPECT(p != NULL && (!zero || unit_is_zero(p, 300 * HK_PAGE / 64)));
    memset(p, 7, 64);
    EXPECT(hk_arena_give(p));
}

static void give_run(void)
{
    EXPECT(hk_arena_give(run));
}

static void purge_runs(void)
{
    bool refused = false;
    hk_arena_purge(hk_os_now_ms(), 0, HK_PURGE_MOST, &refused);
    EXPECT(!refused);
}

static void size_of_huge(void)
{
    size = hk_huge_look_long(huge[1]);
}

static void replace(unsigned i)
{
    EXPECT(hk_huge_free(huge[i]));
    EXPECT((huge[i] = hk_huge_alloc(50 * HK_MIB, HK_PAGE)) != NULL);
}

static void replace_last(void)
{
    replace(2);
}

static void replace_others(void)
{
    replace(0);
    replace(2);
}

static void resize_huge(void)
{
    EXPECT((huge[0] = hk_huge_resize(huge[0], 80 * HK_MIB)) != NULL);
}

static void end_large(void)
{
    EXPECT(size == 0 || size == 41 * HK_MIB);
    EXPECT(hk_arena_check() && hk_huge_size(huge[1]) == 41 * HK_MIB);
    for (unsigned i = 0; i < 3; i++)
        EXPECT(hk_huge_free(huge[i]));
    hk_arena_give(run);
    EXPECT(hk_huge_bytes() == 0 && hk_arena_live() == 0);
    EXPECT(hk_load_relaxed(&hk_arena_lock()->word) == 0 && hk_load_relaxed(&hk_huge_lock()->word) == 0);
}

static void large(void *arg)
{
    (void)arg;
    EXPECT(step_through(&(struct step_pair){begin_large, take_run, give_run, end_large}) != 0);
    EXPECT(step_through(&(struct step_pair){begin_large, give_run, purge_runs, end_large}) != 0);
    EXPECT(step_through(&(struct step_pair){begin_large, purge_runs, take_run, end_large}) != 0);
    EXPECT(step_through(&(struct step_pair){begin_large, resize_huge, replace_last, end_large}) != 0);
    EXPECT(step_through(&(struct step_pair){begin_large, size_of_huge, replace_others, end_large}) != 0);
}

static void large_blocks_meet(void **state)
{
    (void)state;
    unit_passes(large, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frees_meet),
        cmocka_unit_test(arrays_meet),
        cmocka_unit_test(slabs_change_hands),
        cmocka_unit_test(large_blocks_meet),
    };
    return cmocka_run_group_tests_name("meet", tests, NULL, NULL);
}
