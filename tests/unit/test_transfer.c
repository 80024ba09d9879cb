/* SPDX-License-Identifier: MIT
 *
 * Blocks on their way from one front to another. Each case runs in a child.
 */
#include "heap_fixture.h"

#include "base/options.h"
#include "box/transfer.h"
#include "fake_os.h"
#include "os/numa.h"
#include "pages/meta.h"
#include "pages/ss_arena.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define CLS HK_TINY_LAST /* 1024 bytes: 64 blocks to a slab */
#define MOST HK_TRANSFER_BLOCKS

static void *blocks[4 * MOST], *again[4 * MOST];

static int by_address(const void *one, const void *two)
{
    return memcmp(one, two, sizeof(void *));
}

/* The same blocks, in any order. */
static void expect_same(void **one, void **two, unsigned n)
{
    qsort(one, n, sizeof(void *), by_address);
    qsort(two, n, sizeof(void *), by_address);
    EXPECT(memcmp(one, two, n * sizeof(void *)) == 0);
}

/* `arg`: another thread was made before. */
static void come_and_go(void *arg)
{
    struct hk_heap *heap = fixture_heap(), *other = fixture_heap();
    if (arg != NULL)
        unit_second_thread();
    fixture_take(heap, CLS, blocks, 12);
    fixture_take(other, CLS, blocks + 12, 8); /* whose they are does not matter */
    struct hk_slab *slab = hk_slab_of(blocks[0]);
    unsigned used = slab->used;
    memcpy(again, blocks, sizeof again);
    EXPECT(hk_transfer_take(heap, CLS, again + 19, 20) == 0 && !hk_transfer_is_wanted(heap, CLS));
    EXPECT(hk_transfer_give(heap, CLS, again, 20) == 0);
    EXPECT(hk_transfer_count(CLS).blocks == 20 && hk_transfer_count(CLS).batches == 1 &&
           hk_transfer_bytes() == 20 * 1024);
    EXPECT(hk_transfer_count(CLS - 1).blocks == 0 && hk_transfer_take(heap, CLS - 1, again + 19, 20) == 0);
    EXPECT(!hk_transfer_is_wanted(heap, CLS));
    memset(again, 0, sizeof again);
    EXPECT(hk_transfer_take(heap, CLS, again + 7, 8) == 8 && hk_transfer_is_wanted(heap, CLS));
    EXPECT(again[7] == blocks[19] && again[0] == blocks[12]); /* the newest first */
    EXPECT(hk_transfer_take(heap, CLS, again + 31, 24) == 12);
    EXPECT(again[31] == blocks[11] && again[20] == blocks[0] && again[19] == NULL);
    EXPECT(hk_transfer_count(CLS).blocks == 0 && hk_transfer_take(heap, CLS, again, 1) == 0 &&
           hk_transfer_bytes() == 0);
    EXPECT(slab->used == used && hk_remote_count(slab) == 0 && heap->chains == 0 && other->chains == 0);
}

static void batches_pass_the_slabs_by(void **state)
{
    (void)state;
    bool threads = true;
    unit_passes(come_and_go, NULL);
    unit_passes(come_and_go, &threads);
}

/* Each thread has a place of its own, and finds what is in another one's. */
static void two_places(void *arg)
{
    (void)arg;
    struct hk_heap *heap = fixture_heap(), *other = fixture_heap();
    fixture_take(heap, CLS, blocks, 20);
    memcpy(again, blocks, sizeof again);
    EXPECT(hk_transfer_give(heap, CLS, again, 10) == 0);
    EXPECT(hk_transfer_give(other, CLS, again + 10, 10) == 0 && hk_transfer_count(CLS).blocks == 20);
    EXPECT(hk_transfer_take(heap, CLS, again + 29, 4) == 4 && again[29] == blocks[9]); /* its own first */
    EXPECT(hk_transfer_take(other, CLS, again + 29, 20) == 10 && again[29] == blocks[19]);
    EXPECT(!hk_transfer_is_wanted(heap, CLS) || hk_transfer_is_wanted(other, CLS));
    EXPECT(hk_transfer_take(other, CLS, again + 29, 20) == 6 && again[29] == blocks[5]);
    EXPECT(hk_transfer_give(heap, CLS, again, 4) == 0 && !hk_transfer_is_wanted(heap, CLS));
    EXPECT(hk_transfer_take(other, CLS, again + 29, 1) == 1 && hk_transfer_is_wanted(heap, CLS));
    EXPECT(hk_transfer_lock(heap->number, CLS) != hk_transfer_lock(other->number, CLS));
}

static void what_another_gave_is_found(void **state)
{
    (void)state;
    unit_passes(two_places, NULL);
}

static void overfill(void *arg)
{
    (void)arg;
    struct hk_heap *heap = fixture_heap();
    fixture_take(heap, CLS, blocks, 2 * MOST);
    memcpy(again, blocks, sizeof again);
    EXPECT(hk_transfer_give(heap, CLS, again, MOST - 5) == 0);
    EXPECT(hk_transfer_give(heap, CLS, again + MOST, 20) == 15 && hk_transfer_count(CLS).blocks == MOST);
    EXPECT(memcmp(again + MOST, blocks + MOST + 5, 15 * sizeof(void *)) == 0); /* those are left */
    /* Large ones: a megabyte. */
    unsigned large = HK_MID_LAST, most = (unsigned)(HK_TRANSFER_BYTES / hk_class_size(large));
    EXPECT(hk_option_store(HK_OPT_FRONT_BYTES, 16777216));
    fixture_take(heap, large, again, most + 8);
    EXPECT(hk_transfer_give(heap, large, again, most + 8) == 8 && hk_transfer_count(large).blocks == most);
    /* Wide ones: four. */
    unsigned wide = HK_CLASS_COUNT - 1, sixteen = (unsigned)(HK_TRANSFER_WIDE / HK_WIDE_MAX);
    fixture_take(heap, wide, again, sixteen + 8);
    EXPECT(hk_transfer_give(heap, wide, again, sixteen + 8) == 8 && hk_transfer_count(wide).blocks == sixteen);
}

static void arrays_are_bounded(void **state)
{
    (void)state;
    unit_passes(overfill, NULL);
}

static void budget(void *arg)
{
    (void)arg;
    struct hk_heap *heap = fixture_heap();
    size_t bytes = 0, least = 65536;
    EXPECT(hk_option_store(HK_OPT_FRONT_BYTES, (int64_t)least));
    fixture_take(heap, CLS, blocks, 63);
    EXPECT(hk_transfer_give(heap, CLS, blocks, 63) == 0);
    fixture_take(heap, CLS, blocks, 63);
    EXPECT(hk_transfer_give(heap, CLS, blocks, 63) == 62); /* two slabs are in use */
    for (unsigned cls = 1; cls < CLS; cls++) {
        fixture_take(heap, cls, blocks, 60);
        hk_transfer_give(heap, cls, blocks, 60); /* what is left stays out */
    }
    do {
        fixture_take(heap, CLS, blocks, 1);
    } while (hk_transfer_give(heap, CLS, blocks, 1) == 0);
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++)
        bytes += hk_transfer_count(cls).blocks * hk_class_size(cls);
    size_t quarter = fixture_owned_slabs() * HK_SLAB_SIZE / 4;
    EXPECT(bytes == hk_transfer_bytes() && bytes > least && bytes <= quarter + quarter / 32 &&
           bytes + 1024 > quarter - quarter / 32); /* what is not told yet */
}

static void all_together_are_bounded(void **state)
{
    (void)state;
    unit_passes(budget, NULL);
}

static void offer_to_nobody(void *arg)
{
    (void)arg;
    struct hk_heap *heap = fixture_heap();
    fixture_take(heap, CLS, blocks, 4 * MOST);
    for (unsigned i = 0; i < 4 * MOST; i += 16) {
        unsigned left = hk_transfer_give(heap, CLS, blocks + i, 16);
        if (left != 0)
            hk_heap_give(heap, blocks + i, left);
        EXPECT(i < MOST ? hk_transfer_count(CLS).blocks == i + 16 : i < 2 * MOST || hk_transfer_count(CLS).blocks == 0);
    }
    hk_heap_sweep(); /* of slabs alone */
    EXPECT(fixture_owned_slabs() == 0);
    fixture_take(heap, CLS, blocks, 40);
    EXPECT(hk_transfer_give(heap, CLS, blocks, 20) == 20);
    EXPECT(hk_transfer_take(heap, CLS, again, 1) == 0); /* somebody wants some */
    EXPECT(hk_transfer_give(heap, CLS, blocks, 20) == 0);
    EXPECT(hk_transfer_take(heap, CLS, again + 39, 40) == 20);
}

static void what_nobody_wants_pins_nothing(void **state)
{
    (void)state;
    unit_passes(offer_to_nobody, NULL);
}

static void *take_lock(void *lock)
{
    EXPECT(hk_try_lock(lock));
    return NULL;
}

/* As a thread that stayed behind in a fork. */
static void hold(struct hk_lock *lock)
{
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, take_lock, lock) == 0 && pthread_join(thread, NULL) == 0);
}

static void busy(void *arg)
{
    (void)arg;
    struct hk_heap *heap = fixture_heap();
    unit_second_thread();
    fixture_take(heap, CLS, blocks, 30);
    EXPECT(hk_transfer_lock(0, CLS) == NULL);
    hold(hk_transfer_lock(0, 0));
    EXPECT(hk_transfer_give(heap, CLS, blocks, 10) == 10); /* somebody makes an array */
    hk_transfer_fork_child(true);
    EXPECT(hk_transfer_give(heap, CLS, blocks, 10) == 0);
    hold(hk_transfer_lock(0, CLS));
    EXPECT(hk_transfer_give(heap, CLS, blocks + 10, 10) == 10);
    EXPECT(hk_transfer_take(heap, CLS, again + 29, 10) == 0);
    hk_transfer_fork_child(true); /* a child's array is free, whoever held it */
    _Atomic uint32_t *count = (void *)(hk_transfer_lock(0, CLS) + 1);
    hk_store_relaxed(count, 7); /* a thread that is not here took three, and was about to count bytes */
    hk_transfer_fork_child(true);
    EXPECT(hk_transfer_bytes() == 10 * 1024); /* it may be this one */
    hk_transfer_fork_child(false);
    EXPECT(hk_transfer_bytes() == 7 * 1024);
    hk_store_relaxed(count, 10);
    hk_transfer_fork_child(false);
    EXPECT(hk_transfer_give(heap, CLS, blocks + 10, 10) == 0);
    EXPECT(hk_transfer_take(heap, CLS, again + 29, 30) == 20);
}

static void nobody_waits(void **state)
{
    (void)state;
    unit_passes(busy, NULL);
}

static void end_owner(void *arg)
{
    (void)arg;
    struct hk_heap *owner = fixture_heap(), *other = fixture_heap();
    fixture_take(owner, CLS, blocks, 30);
    EXPECT(hk_transfer_give(owner, CLS, blocks, 30) == 0);
    fixture_end(owner);
    EXPECT(hk_transfer_take(other, CLS, again + 29, 10) == 10); /* its slab is the orphan heap's now */
    hk_heap_give(other, again + 20, 10);
    hk_transfer_sweep();
    hk_heap_sweep();
    EXPECT(fixture_owned_slabs() == 0);
}

static void what_waits_outlives_its_thread(void **state)
{
    (void)state;
    unit_passes(end_owner, NULL);
}

static void sweep(void *arg)
{
    (void)arg;
    struct hk_heap *heap = fixture_heap();
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        fixture_take(heap, cls, blocks, 16);
        unsigned left = hk_transfer_give(heap, cls, blocks, 16);
        if (left != 0)
            hk_heap_give(heap, blocks, left);
    }
    EXPECT(fixture_owned_slabs() > 4);
    hk_transfer_sweep();
    EXPECT(hk_transfer_bytes() == 0);
    hk_heap_sweep();
    EXPECT(fixture_owned_slabs() == 0 && heap->slabs == 0);
}

static void what_waits_too_long_goes_to_the_slabs(void **state)
{
    (void)state;
    unit_passes(sweep, NULL);
}

static void no_memory(void *arg)
{
    (void)arg;
    struct hk_heap *heap = fixture_heap();
    fixture_take(heap, CLS, blocks, 30);
    fake_os_fail_from(FAKE_ANY, 1);
    while (hk_meta_alloc(64) != NULL)
        ;
    EXPECT(fake_os_failures() > 0);
    memcpy(again, blocks, sizeof again);
    EXPECT(hk_transfer_give(heap, CLS, again, 30) == 30);
    expect_same(again, blocks, 30);
    EXPECT(hk_heap_give(heap, blocks, 30) != 0);
}

static void without_memory_they_stay(void **state)
{
    (void)state;
    unit_passes(no_memory, NULL);
}

static void two_nodes(void *arg)
{
    (void)arg;
    fake_os_set_nodes(3);
    EXPECT(hk_arena_start() && hk_numa_start());
    hk_arena_place();
    struct hk_heap *heap = fixture_heap();
    fixture_take(heap, CLS, blocks, 20);
    fake_os_run_on(1);
    fixture_take(heap, CLS, blocks + 20, 64); /* the last ones from there */
    memcpy(again, blocks, sizeof again);
    EXPECT(hk_transfer_give(heap, CLS, again, 10) == 0);      /* where they lie, and not where the thread runs */
    EXPECT(hk_transfer_give(heap, CLS, again + 70, 14) == 0); /* of the other node */
    EXPECT(hk_transfer_give(heap, CLS, again + 10, 60) == 60);
    EXPECT(hk_transfer_count(CLS).blocks == 24 && hk_transfer_count(CLS).batches == 2);
    EXPECT(hk_transfer_take(heap, CLS, again + 29, 30) == 14 && again[29] == blocks[83]);
    fake_os_run_on(0);
    EXPECT(hk_transfer_take(heap, CLS, again + 29, 30) == 10 && again[29] == blocks[9]);
    EXPECT(hk_transfer_give(heap, CLS, blocks + 70, 14) == 0);
    hk_transfer_fork_child(true);
    hk_transfer_sweep();
    EXPECT(hk_transfer_count(CLS).blocks == 0);
}

static void nodes_have_arrays_of_their_own(void **state)
{
    (void)state;
    if (!HK_NUMA)
        skip();
    unit_passes(two_nodes, NULL);
}

/* ---- threads ---- */

#define ROUNDS 20000u
#define BATCH 16u

static void *_Atomic ring[64][BATCH];
static _Atomic unsigned written, read_up_to;
static struct hk_heap *owner_heap, *other_heap;

static void *free_all(void *arg)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        void *batch[BATCH];
        while (hk_load_acquire(&written) == round)
            sched_yield();
        for (unsigned i = 0; i < BATCH; i++) {
            batch[i] = hk_load_relaxed(&ring[round % 64][i]);
            EXPECT(*(unsigned *)batch[i] == round * BATCH + i);
            *(unsigned *)batch[i] = ~0u;
        }
        hk_store_release(&read_up_to, round + 1);
        hk_transfer_or_give(other_heap, CLS, batch, BATCH);
    }
    return arg;
}

static void trade(void *arg)
{
    (void)arg;
    pthread_t thread;
    owner_heap = fixture_heap();
    other_heap = fixture_heap();
    EXPECT(pthread_create(&thread, NULL, free_all, NULL) == 0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        while (round - hk_load_acquire(&read_up_to) >= 64)
            sched_yield();
        for (unsigned got = 0, n; got < BATCH; got += n) {
            void *batch[BATCH];
            n = hk_transfer_or_take(owner_heap, CLS, batch + BATCH - got - 1, BATCH - got);
            EXPECT(n != 0);
            for (unsigned i = 0; i < n; i++) {
                void *block = batch[BATCH - got - 1 - i];
                *(unsigned *)block = round * BATCH + got + i;
                hk_store_relaxed(&ring[round % 64][got + i], block);
            }
        }
        hk_store_release(&written, round + 1);
    }
    EXPECT(pthread_join(thread, NULL) == 0);
    EXPECT(hk_transfer_count(CLS).batches > 0);
    hk_transfer_sweep();
    hk_heap_sweep();
    fixture_check(owner_heap);
    EXPECT(fixture_owned_slabs() == 0);
}

static void two_threads_trade(void **state)
{
    (void)state;
    unit_passes(trade, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_pass_the_slabs_by),
        cmocka_unit_test(what_another_gave_is_found),
        cmocka_unit_test(arrays_are_bounded),
        cmocka_unit_test(all_together_are_bounded),
        cmocka_unit_test(what_nobody_wants_pins_nothing),
        cmocka_unit_test(nobody_waits),
        cmocka_unit_test(what_waits_outlives_its_thread),
        cmocka_unit_test(what_waits_too_long_goes_to_the_slabs),
        cmocka_unit_test(without_memory_they_stay),
        cmocka_unit_test(nodes_have_arrays_of_their_own),
        cmocka_unit_test(two_threads_trade),
    };
    return cmocka_run_group_tests_name("transfer", tests, NULL, NULL);
}
