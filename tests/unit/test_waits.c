/* SPDX-License-Identifier: MIT
 *
 * Who changes something waits for the lock that guards it, and gives it back, whatever comes of the call. Nothing here
 * depends on how threads happen to meet: the test holds the lock, and another thread calls; it comes to sleep at the
 * lock, or it is done, and was not to be. Each case runs in a child.
 */
#include "heap_fixture.h"

#include "large/huge.h"
#include "large/page_heap.h"
#include "box/pool.h"
#include "fake_os.h"
#include "front/front.h"
#include "os/os.h"
#include "pages/meta.h"
#include "pages/ss_arena.h"

#include <pthread.h>
#include <sched.h>

#define CLS HK_TINY_LAST /* 1024 bytes: 64 blocks to a slab */
#define PER_SLAB 64u

static struct hk_heap *heap, *other;
static void *blocks[2 * PER_SLAB], *run, *huge;
static struct hk_lock *lock;
static void (*call)(void);
static _Atomic bool done;

static void *calls(void *arg)
{
    call();
    hk_store_release(&done, true);
    return arg;
}

/* The lock is held: the thread sleeps there. Then it gets the lock, and it is free at the end. */
static void expect_sleep(pthread_t thread)
{
    while (hk_load_relaxed(&lock->word) != 2) {
        EXPECT(!hk_load_acquire(&done));
        sched_yield();
    }
    EXPECT(hk_swap_release(&lock->word, 0) == 2);
    hk_lock_wake(lock);
    EXPECT(pthread_join(thread, NULL) == 0);
    EXPECT(hk_load_acquire(&done) && hk_load_relaxed(&lock->word) == 0);
}

/* By nobody's thread, so that no thread is said to hold it (-Dcheck=fast). */
static void hold(void)
{
    uint32_t expected = 0;
    EXPECT(hk_cas_acquire(&lock->word, &expected, 1));
}

static void expect_wait(struct hk_lock *guard, void (*what)(void))
{
    pthread_t thread;
    lock = guard;
    call = what;
    hk_store_relaxed(&done, false);
    hold();
    EXPECT(pthread_create(&thread, NULL, calls, NULL) == 0);
    expect_sleep(thread);
}

/* The same for a lock that the call takes a second time: it is held from a call of the system between the two on. */
static void hold_now(void)
{
    fake_os_during_calls(NULL);
    hold();
}

static void expect_wait_behind_system(struct hk_lock *guard, void (*what)(void))
{
    pthread_t thread;
    lock = guard;
    call = what;
    hk_store_relaxed(&done, false);
    fake_os_during_calls(hold_now);
    EXPECT(pthread_create(&thread, NULL, calls, NULL) == 0);
    expect_sleep(thread);
}

static void begin(void)
{
    EXPECT(hk_arena_start());
    heap = fixture_heap();
    other = fixture_heap();
}

/* ---- heaps ---- */

static void take(void)
{
    void *array[4];
    EXPECT(hk_heap_take(heap, CLS, &array[3], 4) != 0);
}

static void take_one(void)
{
    hk_heap_take_one(heap, CLS);
}

static void take_zero(void)
{
    hk_heap_take_zero(heap, CLS);
}

static void give(void)
{
    hk_heap_give(heap, blocks, 2);
}

static void give_one(void)
{
    hk_heap_give_one(heap, hk_slab_of(blocks[2]), blocks[2]);
}

static void sweep(void)
{
    hk_heap_sweep_one(heap);
}

static void end(void)
{
    hk_heap_end(heap);
}

static void look_at_heaps(void *arg)
{
    (void)arg;
    begin();
    fixture_take(heap, CLS, blocks, PER_SLAB + 4);
    expect_wait(&heap->lock, take);
    expect_wait(&heap->lock, take_one);
    expect_wait(&heap->lock, take_zero);
    expect_wait(&heap->lock, give);
    expect_wait(&heap->lock, give_one);
    expect_wait(&heap->lock, sweep);
    fixture_check(heap);
    expect_wait(&heap->lock, end);
}

static void heaps(void **state)
{
    (void)state;
    unit_passes(look_at_heaps, NULL);
}

static void give_all(void)
{
    hk_heap_give(other, blocks, PER_SLAB);
}

/* A heap that ends says so before it waits for its lock to look for remote blocks for the last time: who pushes then
 * collects. */
static void end_while_pushed_to(void *arg)
{
    (void)arg;
    pthread_t thread;
    begin();
    fixture_take(heap, CLS, blocks, PER_SLAB);
    lock = &heap->lock;
    call = end;
    hold();
    EXPECT(pthread_create(&thread, NULL, calls, NULL) == 0);
    while (hk_load_relaxed(&lock->word) != 2)
        sched_yield();
    EXPECT(hk_load_relaxed(&heap->owner.state) == HK_OWNER_GONE);
    expect_sleep(thread);
    give_all();
    EXPECT(fixture_owned_slabs() == 0);
}

static void a_heap_is_gone_before_its_last_look(void **state)
{
    (void)state;
    unit_passes(end_while_pushed_to, NULL);
}

/* ---- the pool ---- */

static void take_slab(void)
{
    void *block;
    EXPECT(hk_heap_take(other, CLS, &block, 1) == 1);
}

static void give_slab(void)
{
    hk_heap_give(heap, blocks, PER_SLAB);
}

static void purge_slabs(void)
{
    bool refused = false;
    EXPECT(hk_pool_purge(hk_os_now_ms(), 0, HK_PURGE_MOST, HK_POOL_ALL, &refused) != 0);
}

static void trim(void)
{
    hk_pool_trim();
}

static void take_in_vain(void)
{
    void *block;
    fake_os_fail_from(FAKE_ANY, 1);
    while (hk_heap_take(other, CLS, &block, 1) != 0)
        ;
}

static void take_slab_in_vain(void)
{
    void *block;
    EXPECT(hk_heap_take(heap, HK_CLASS_COUNT - 1, &block, 1) == 0);
}

static void look_at_pool(void *arg)
{
    (void)arg;
    begin();
    fixture_take(heap, CLS, blocks, 2 * PER_SLAB);
    expect_wait(hk_pool_lock(), take_slab);
    expect_wait(hk_pool_lock(), give_slab);
    expect_wait(hk_pool_lock(), purge_slabs);
    expect_wait(hk_pool_lock(), trim);
    fixture_check(heap);
    take_in_vain();
    expect_wait(hk_pool_lock(), take_slab_in_vain);
}

static void the_pool(void **state)
{
    (void)state;
    unit_passes(look_at_pool, NULL);
}

/* ---- page runs ---- */

static void take_run(void)
{
    bool zero;
    run = hk_arena_take(20, HK_PAGE, &zero);
    EXPECT(run != NULL);
}

static void resize_run(void)
{
    EXPECT(hk_arena_resize(run, 10, 10));
}

static void find_run(void)
{
    EXPECT(hk_arena_find(run).kind == HK_RUN_LIVE);
}

static void give_run(void)
{
    EXPECT(hk_arena_give(run));
}

static void purge_run(void)
{
    bool refused = false;
    EXPECT(hk_arena_purge(hk_os_now_ms(), 0, HK_PURGE_MOST, &refused) != 0);
}

static void take_run_in_vain(void)
{
    bool zero;
    fake_os_fail_from(FAKE_ANY, 1);
    EXPECT(hk_arena_take(HK_RUN_MAX / HK_PAGE, HK_PAGE, &zero) == NULL);
}

static void look_at_arena(void *arg)
{
    (void)arg;
    begin();
    expect_wait(hk_arena_lock(), take_run);
    expect_wait(hk_arena_lock(), resize_run);
    expect_wait(hk_arena_lock(), find_run);
    expect_wait(hk_arena_lock(), give_run);
    expect_wait(hk_arena_lock(), purge_run);
    EXPECT(hk_arena_check());
    expect_wait(hk_arena_lock(), take_run_in_vain);
}

static void the_arena(void **state)
{
    (void)state;
    unit_passes(look_at_arena, NULL);
}

/* ---- huge blocks, records ---- */

static void take_huge(void)
{
    huge = hk_huge_alloc(HK_RUN_MAX + 1, HK_PAGE);
    EXPECT(huge != NULL);
}

static void resize_huge(void)
{
    huge = hk_huge_resize(huge, 2 * HK_RUN_MAX);
    EXPECT(huge != NULL);
}

static void give_huge(void)
{
    EXPECT(hk_huge_free(huge));
}

static void take_record(void)
{
    EXPECT(hk_meta_alloc(64) != NULL);
}

static void look_at_huge(void *arg)
{
    (void)arg;
    begin();
    EXPECT(hk_meta_alloc(64) != NULL);
    expect_wait(hk_huge_lock(), take_huge);
    expect_wait(hk_huge_lock(), resize_huge);
    expect_wait(hk_huge_lock(), give_huge);
    expect_wait_behind_system(hk_huge_lock(), take_huge);
    expect_wait_behind_system(hk_huge_lock(), resize_huge);
    expect_wait_behind_system(hk_huge_lock(), give_huge);
    expect_wait(hk_meta_lock(), take_record);
}

static void huge_blocks_and_records(void **state)
{
    (void)state;
    unit_passes(look_at_huge, NULL);
}

/* ---- bins ---- */

static struct hk_thread *counted;

static void count_blocks(void)
{
    hk_front_count(counted, CLS);
}

/* The thread cannot end meanwhile, nor its stack be unmapped, in which its bins may lie. */
static void look_at_bins(void *arg)
{
    (void)arg;
    counted = hk_front_thread_or_new();
    EXPECT(counted != NULL);
    expect_wait(&counted->heap.lock, count_blocks);
}

static void who_counts_in_bins(void **state)
{
    (void)state;
    if (!HK_FRONT_PERCPU) /* whose blocks lie in records, which stay */
        unit_passes(look_at_bins, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heaps),
        cmocka_unit_test(a_heap_is_gone_before_its_last_look),
        cmocka_unit_test(the_pool),
        cmocka_unit_test(the_arena),
        cmocka_unit_test(huge_blocks_and_records),
        cmocka_unit_test(who_counts_in_bins),
    };
    return cmocka_run_group_tests_name("waits", tests, NULL, NULL);
}
