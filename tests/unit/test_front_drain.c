/* SPDX-License-Identifier: MIT
 *
 * Draining, and a budget that becomes smaller: fronts that use room.c and give more than one block in a flush. Each
 * case runs in a child.
 */
#include "front_fixture.h"

#include "front/bin.h"

#include "box/purge.h"

#include <pthread.h>

#define MOST 60000u

static void *blocks[MOST];

static void shuffle(unsigned n)
{
    uint64_t seed = 99;
    for (unsigned i = n; i > 1; i--) {
        unsigned j = (unsigned)unit_random(&seed, i);
        void *p = blocks[i - 1];
        blocks[i - 1] = blocks[j];
        blocks[j] = p;
    }
}

static void free_scattered(void *arg)
{
    (void)arg;
    uint64_t seed = 21;
    for (unsigned i = 0; i < MOST; i++)
        blocks[i] = front_take(16 + unit_random(&seed, 1009));
    shuffle(MOST);
    for (unsigned i = 0; i < MOST; i++) {
        front_free(blocks[i]);
        if (i % 1000 == 0)
            front_check();
    }
    struct hk_thread *thread = front_self();
    EXPECT(thread->own.room.draining);
    EXPECT(!HK_TLS_SLL || thread->back->bytes == 0); /* nor are there blocks behind the bins */
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++)
        EXPECT(hk_bin_count(thread, cls) == 0 && thread->own.room.cap[cls].now == 0);
    EXPECT(thread->heap.slabs <= HK_TINY_LAST); /* each class has one to start from */
    hk_purge_now(0);
    EXPECT(thread->heap.slabs == 0);
    for (unsigned i = 0; i < 100; i++)
        front_take(64);
    EXPECT(!thread->own.room.draining); /* it allocates again */
    EXPECT(!hk_front_is_bypassed(thread, hk_class_of(64)));
    front_check();
}

static void a_thread_that_frees_at_random_keeps_next_to_nothing(void **state)
{
    (void)state;
    unit_passes(free_scattered, NULL);
}

static void free_in_order(void *arg)
{
    (void)arg;
    unsigned cls = hk_class_of(128);
    for (unsigned i = 0; i < MOST; i++)
        blocks[i] = front_take(128);
    for (unsigned i = 0; i < MOST; i++)
        front_free(blocks[i]);
    const struct hk_room *room = &front_self()->own.room;
    EXPECT(!room->draining && room->cap[cls].now == room->cap[cls].max);
    front_check();
}

static void blocks_freed_in_order_are_no_drain(void **state)
{
    (void)state;
    unit_passes(free_in_order, NULL);
}

/* A large heap has a large front; a heap that shrinks has a small one again. */
static void shrink_heap(void *arg)
{
    (void)arg;
    unsigned n = 0;
    size_t size = 1;
    uint64_t seed = 13;
    for (; n < 6000; n++) {
        size = 1025 + unit_random(&seed, HK_MID_MAX - 1024);
        blocks[n] = front_take(size);
        if (unit_random(&seed, 3) == 0) {
            unsigned at = (unsigned)unit_random(&seed, n + 1);
            front_free(blocks[at]);
            blocks[at] = front_take(size);
        }
    }
    EXPECT(hk_front_limit(front_self()) > 4 * HK_MIB);
    front_check_budget();
    for (unsigned i = 0; i < n; i++) {
        front_free(blocks[i]);
        front_check_budget();
    }
    EXPECT(front_held_in_bins() <= hk_front_limit(front_self()) / 4 * 5); /* looked at every few flushes */
}

static void the_budget_shrinks_with_the_heap(void **state)
{
    (void)state;
    unit_passes(shrink_heap, NULL);
}

/* Few blocks of each class, so there are few flushes. */
static void free_scattered_mid(void *arg)
{
    (void)arg;
    uint64_t seed = 8;
    const unsigned n = 300;
    for (unsigned i = 0; i < n; i++)
        blocks[i] = front_take(HK_TINY_MAX + 1 + unit_random(&seed, HK_MID_MAX - HK_TINY_MAX));
    shuffle(n);
    for (unsigned i = 0; i < n; i++)
        front_free(blocks[i]);
    EXPECT(front_self()->own.room.draining && front_held() == 0);
}

static void large_blocks_are_a_drain_sooner(void **state)
{
    (void)state;
    if (HK_TLS_SLL) /* there they wait in the thread's own list, which has a bound of its own */
        skip();
    unit_passes(free_scattered_mid, NULL);
}

/* ---- blocks of another thread ---- */

static pthread_barrier_t turn;

static void *make_blocks(void *arg)
{
    (void)arg;
    uint64_t seed = 5;
    for (unsigned i = 0; i < MOST; i++)
        blocks[i] = front_take(16 + unit_random(&seed, 1009));
    pthread_barrier_wait(&turn); /* they are freed */
    pthread_barrier_wait(&turn); /* and this thread wants some again, of each size more than its bins hold */
    for (size_t size = 16; size <= HK_TINY_MAX; size += 16) {
        for (unsigned i = 0; i < 600; i++)
            front_take(size);
    }
    pthread_barrier_wait(&turn);
    pthread_barrier_wait(&turn);
    return NULL;
}

static void free_for_another(void *arg)
{
    (void)arg;
    pthread_t maker;
    EXPECT(pthread_barrier_init(&turn, NULL, 2) == 0);
    EXPECT(pthread_create(&maker, NULL, make_blocks, NULL) == 0);
    pthread_barrier_wait(&turn);
    shuffle(MOST);
    for (unsigned i = 0; i < MOST / 2; i++)
        front_free(blocks[i]);
    const struct hk_room *room = &front_self()->own.room;
    EXPECT(room->draining); /* nobody takes anything */
    pthread_barrier_wait(&turn);
    pthread_barrier_wait(&turn);
    bool ended = false;
    for (unsigned i = MOST / 2; i < MOST; i++) {
        bool before = room->draining;
        front_free(blocks[i]);
        EXPECT(!before || room->draining || room->freed == 0); /* or it would begin again at once */
        ended = ended || !room->draining;
    }
    EXPECT(ended);
    EXPECT(room->draining); /* nor does anybody any more */
    front_check();
    pthread_barrier_wait(&turn);
    pthread_join(maker, NULL);
}

/* In order, and beside so many threads. Returns how many slabs stay. */
static size_t free_beside(unsigned threads)
{
    hk_store_relaxed(&hk_heap_threads, threads);
    uint64_t seed = 23;
    for (unsigned i = 0; i < MOST / 8; i++)
        blocks[i] = front_take(16 + unit_random(&seed, 1009));
    for (unsigned i = 0; i < MOST / 8; i++)
        front_free(blocks[i]);
    front_check_budget();
    hk_store_relaxed(&hk_heap_threads, 1);
    return front_self()->heap.slabs;
}

static void free_beside_many(void *arg)
{
    (void)arg;
    size_t few = free_beside(1);
    hk_purge_now(0);
    size_t many = free_beside(500);
    EXPECT(few > 2 * many);
    EXPECT(front_held_in_bins() <= 2 * ((size_t)hk_opt(HK_OPT_FRONT_BYTES) * 4 / 500));
}

static void each_of_many_threads_keeps_little(void **state)
{
    (void)state;
    unit_passes(free_beside_many, NULL);
}

static void a_drain_ends_where_the_owner_wants_its_blocks(void **state)
{
    (void)state;
    if (!HK_TRANSFER || HK_TLS_SLL)
        skip();
    unit_passes(free_for_another, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_frees_at_random_keeps_next_to_nothing),
        cmocka_unit_test(blocks_freed_in_order_are_no_drain),
        cmocka_unit_test(each_of_many_threads_keeps_little),
        cmocka_unit_test(the_budget_shrinks_with_the_heap),
        cmocka_unit_test(large_blocks_are_a_drain_sooner),
        cmocka_unit_test(a_drain_ends_where_the_owner_wants_its_blocks),
    };
    return cmocka_run_group_tests_name("front_drain", tests, NULL, NULL);
}
