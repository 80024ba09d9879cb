/* SPDX-License-Identifier: MIT
 *
 * Blocks that wait for the thread they came from. Each case runs in a child.
 */
#include "heap_fixture.h"

#include "base/options.h"
#include "box/transfer.h"
#include "fake_os.h"
#include "pages/meta.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define CLS HK_TINY_LAST /* 1024 bytes: 64 blocks to a slab */
#define MOST ((unsigned)(HK_TRANSFER_BYTES / 1024))

static void *blocks[4 * MOST], *again[4 * MOST];

static void *nothing(void *arg)
{
    return arg;
}

static void second_thread(void)
{
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, nothing, NULL) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
    EXPECT(!hk_single_threaded());
}

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

static void go_home(void *arg)
{
    (void)arg;
    struct hk_heap *owner = fixture_heap(), *other = fixture_heap();
    second_thread();
    fixture_take(owner, CLS, blocks, 20);
    struct hk_slab *slab = hk_slab_of(blocks[0]);
    unsigned used = slab->used;
    memcpy(again, blocks, sizeof again);
    EXPECT(hk_transfer_give(other, CLS, again, 20) == 0);
    EXPECT(hk_transfer_count(owner, CLS) == 20 && hk_transfer_batches(owner, CLS) == 1);
    EXPECT(hk_transfer_count(other, CLS) == 0);
    EXPECT(hk_transfer_take(other, CLS, again + 19, 20) == 0);
    EXPECT(hk_transfer_take(owner, CLS - 1, again + 19, 20) == 0);
    memset(again, 0, sizeof again);
    EXPECT(hk_transfer_take(owner, CLS, again + 7, 8) == 8);
    EXPECT(again[7] == blocks[19] && again[0] == blocks[12]); /* the newest first */
    EXPECT(hk_transfer_take(owner, CLS, again + 31, 24) == 12);
    EXPECT(again[31] == blocks[11] && again[20] == blocks[0] && again[19] == NULL);
    EXPECT(hk_transfer_count(owner, CLS) == 0 && hk_transfer_take(owner, CLS, again, 1) == 0);
    EXPECT(slab->used == used && hk_remote_count(slab) == 0 && other->chains == 0); /* no slab was touched */
}

static void batches_go_home(void **state)
{
    (void)state;
    unit_passes(go_home, NULL);
}

static void stay(void *arg)
{
    (void)arg;
    struct hk_heap *owner = fixture_heap(), *third = fixture_heap(), *mine = fixture_heap();
    void *own[12], *batch[31];
    fixture_take(owner, CLS, blocks, 12);
    fixture_take(third, CLS, blocks + 12, 7);
    fixture_take(mine, CLS, own, 12);
    memcpy(batch, blocks, 12 * sizeof(void *));
    second_thread();
    EXPECT(hk_transfer_give(mine, CLS, own, 12) == 12);
    EXPECT(hk_transfer_give(mine, CLS, batch, 2) == 2); /* too few to be worth it */
    for (unsigned i = 0; i < 12; i++) {
        batch[2 * i] = own[i];
        batch[2 * i + 1] = blocks[i];
    }
    EXPECT(hk_transfer_give(mine, CLS, batch, 24) == 24); /* both ends are not of one owner */
    memcpy(batch + 24, blocks + 12, 7 * sizeof(void *));
    EXPECT(hk_transfer_give(mine, CLS, batch + 1, 30) == 30);
    EXPECT(hk_transfer_give(mine, CLS, batch + 1, 23) == 11); /* own ones between them stay */
    expect_same(batch + 1, own + 1, 11);
    EXPECT(hk_transfer_give(mine, CLS, batch + 24, 7) == 0);
    EXPECT(hk_transfer_count(owner, CLS) == 12 && hk_transfer_count(third, CLS) == 7);
    EXPECT(hk_transfer_count(mine, CLS) == 0);
}

static void own_blocks_stay(void **state)
{
    (void)state;
    unit_passes(stay, NULL);
}

static void overfill(void *arg)
{
    (void)arg;
    struct hk_heap *owner = fixture_heap(), *other = fixture_heap();
    second_thread();
    fixture_take(owner, CLS, blocks, 3 * MOST);
    memcpy(again, blocks, sizeof again);
    EXPECT(hk_transfer_give(other, CLS, again, MOST - 5) == 0);
    EXPECT(hk_transfer_give(other, CLS, again + MOST, 20) == 15);
    EXPECT(hk_transfer_count(owner, CLS) == MOST);
    EXPECT(hk_transfer_give(other, CLS, again + 2 * MOST, 20) == 20);
    /* Large blocks: one array has fewer than a few. */
    unsigned large = HK_CLASS_COUNT - 1;
    fixture_take(owner, large, again, 8);
    EXPECT(hk_transfer_give(other, large, again, 8) == 8);
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++)
        EXPECT(hk_transfer_count(owner, cls) * hk_class_size(cls) <= HK_TRANSFER_BYTES);
}

static void arrays_are_bounded(void **state)
{
    (void)state;
    unit_passes(overfill, NULL);
}

static void budget(void *arg)
{
    (void)arg;
    struct hk_heap *owner = fixture_heap(), *other = fixture_heap();
    second_thread();
    EXPECT(hk_option_store(HK_OPT_FRONT_BYTES, 65536));
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        fixture_take(owner, cls, blocks, 60);
        unsigned left = hk_transfer_give(other, cls, blocks, 60);
        hk_heap_give(other, blocks, left);
    }
    size_t bytes = 0;
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++)
        bytes += hk_transfer_count(owner, cls) * hk_class_size(cls);
    EXPECT(bytes == hk_inbox_of(owner)->bytes && bytes <= 65536 && bytes > 60000);
    EXPECT(owner->slabs > 32);
    EXPECT(hk_transfer_take(owner, 1, again + 9, 10) == 10); /* now it is known how large the heap is */
    fixture_take(owner, CLS, blocks, 40);
    EXPECT(hk_transfer_give(other, CLS, blocks, 40) == 0);
    EXPECT(hk_inbox_of(owner)->bytes > 65536);
    EXPECT(hk_inbox_of(owner)->bytes == bytes - 160 + 40960 && hk_inbox_of(other)->bytes == 0);
}

static void all_together_are_bounded(void **state)
{
    (void)state;
    unit_passes(budget, NULL);
}

static void sleep_on(void *arg)
{
    (void)arg;
    struct hk_heap *owner = fixture_heap(), *other = fixture_heap();
    second_thread();
    fixture_take(owner, CLS, blocks, 4 * MOST);
    for (unsigned i = 0; i < 4 * MOST; i += 16) {
        unsigned left = hk_transfer_give(other, CLS, blocks + i, 16);
        hk_heap_give(other, blocks + i, left);
        EXPECT(i < MOST ? hk_transfer_count(owner, CLS) == i + 16 : i < 2 * MOST || hk_transfer_count(owner, CLS) == 0);
    }
    hk_heap_sweep(); /* of slabs alone */
    EXPECT(fixture_owned_slabs() == 0);
    fixture_take(owner, CLS, blocks, 40);
    EXPECT(hk_transfer_give(other, CLS, blocks, 20) == 20);
    EXPECT(hk_transfer_take(owner, CLS, again, 1) == 0); /* it is awake */
    EXPECT(hk_transfer_give(other, CLS, blocks, 20) == 0);
    EXPECT(hk_transfer_take(owner, CLS, again + 39, 40) == 20);
}

static void a_sleeping_owner_pins_nothing(void **state)
{
    (void)state;
    unit_passes(sleep_on, NULL);
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
    struct hk_heap *owner = fixture_heap(), *other = fixture_heap();
    second_thread();
    fixture_take(owner, CLS, blocks, 30);
    EXPECT(hk_transfer_give(other, CLS, blocks, 10) == 0);
    struct hk_transfer *t = hk_inbox_of(owner)->array[CLS];
    hold(&t->lock);
    EXPECT(hk_transfer_give(other, CLS, blocks + 10, 10) == 10);
    EXPECT(hk_transfer_take(owner, CLS, again + 29, 10) == 0);
    hk_transfer_fork_child(); /* a child's array is free, whoever held it */
    EXPECT(hk_transfer_give(other, CLS, blocks + 10, 10) == 0);
    EXPECT(hk_transfer_take(owner, CLS, again + 29, 30) == 20);
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
    second_thread();
    fixture_take(owner, CLS, blocks, 30);
    EXPECT(hk_transfer_give(other, CLS, blocks, 10) == 0);
    hk_heap_end(owner);
    hk_transfer_end(owner);
    hk_heap_retire(owner);
    EXPECT(hk_transfer_count(owner, CLS) == 0);
    EXPECT(hk_transfer_give(other, CLS, blocks + 10, 10) == 10); /* its slab is the orphan heap's now */
    EXPECT(hk_heap_give(other, blocks + 10, 20) == 1);
    hk_heap_sweep();
    EXPECT(fixture_owned_slabs() == 0);
    EXPECT(fixture_heap() == owner); /* a later thread's: the array is used again */
    fixture_take(owner, CLS, blocks, 30);
    EXPECT(hk_transfer_give(other, CLS, blocks, 30) == 0 && hk_transfer_count(owner, CLS) == 30);
}

static void nothing_waits_for_an_ended_thread(void **state)
{
    (void)state;
    unit_passes(end_owner, NULL);
}

static void sweep(void *arg)
{
    (void)arg;
    struct hk_heap *owner = fixture_heap(), *other = fixture_heap();
    second_thread();
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        fixture_take(owner, cls, blocks, 16);
        unsigned left = hk_transfer_give(other, cls, blocks, 16);
        hk_heap_give(other, blocks, left);
    }
    EXPECT(fixture_owned_slabs() > 4);
    hk_transfer_sweep();
    hk_heap_sweep();
    EXPECT(fixture_owned_slabs() == 0 && owner->slabs == 0);
}

static void what_waits_too_long_goes_to_the_slabs(void **state)
{
    (void)state;
    unit_passes(sweep, NULL);
}

static void no_memory(void *arg)
{
    (void)arg;
    struct hk_heap *owner = fixture_heap(), *other = fixture_heap();
    second_thread();
    fixture_take(owner, CLS, blocks, 30);
    fake_os_fail_from(FAKE_ANY, 1);
    while (hk_meta_alloc(64) != NULL)
        ;
    EXPECT(fake_os_failures() > 0);
    memcpy(again, blocks, sizeof again);
    EXPECT(hk_transfer_give(other, CLS, again, 30) == 30);
    expect_same(again, blocks, 30);
    EXPECT(hk_heap_give(other, blocks, 30) != 0);
}

static void without_memory_they_stay(void **state)
{
    (void)state;
    unit_passes(no_memory, NULL);
}

static struct hk_heap *ending;

static void end_now(void)
{
    fake_os_during_calls(NULL);
    hk_store_relaxed(&ending->owner.state, HK_OWNER_GONE);
}

/* The owner says that its thread has ended when a giver has looked at it already, and is making the array. */
static void give_to_who_ends(void *arg)
{
    (void)arg;
    struct hk_heap *other = fixture_heap();
    ending = fixture_heap();
    second_thread();
    fixture_take(ending, CLS, blocks, 30);
    fake_os_fail_from(FAKE_ANY, 1);
    while (hk_meta_alloc(64) != NULL)
        ;
    fake_os_recover(); /* the array takes a call of the system now */
    fake_os_during_calls(end_now);
    memcpy(again, blocks, sizeof again);
    EXPECT(hk_transfer_give(other, CLS, again, 30) == 30);
    EXPECT(ending->owner.state == HK_OWNER_GONE && hk_transfer_count(ending, CLS) == 0);
    expect_same(again, blocks, 30);
    hk_transfer_end(ending);
}

static void nothing_comes_after_the_end(void **state)
{
    (void)state;
    unit_passes(give_to_who_ends, NULL);
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
    EXPECT(hk_transfer_batches(owner_heap, CLS) > 0);
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
        cmocka_unit_test(batches_go_home),
        cmocka_unit_test(own_blocks_stay),
        cmocka_unit_test(arrays_are_bounded),
        cmocka_unit_test(all_together_are_bounded),
        cmocka_unit_test(a_sleeping_owner_pins_nothing),
        cmocka_unit_test(nobody_waits),
        cmocka_unit_test(nothing_waits_for_an_ended_thread),
        cmocka_unit_test(what_waits_too_long_goes_to_the_slabs),
        cmocka_unit_test(without_memory_they_stay),
        cmocka_unit_test(nothing_comes_after_the_end),
        cmocka_unit_test(two_threads_trade),
    };
    return cmocka_run_group_tests_name("transfer", tests, NULL, NULL);
}
