/* SPDX-License-Identifier: MIT
 *
 * The front that hands out the slabs' own lists. Each case runs in a child.
 */
#include "front_fixture.h"

#include "base/options.h"
#include "box/heap_lists.h"
#include "box/pool.h"
#include "box/purge.h"

#include <pthread.h>

#define SIZE 64u
#define PER_SLAB (HK_SLAB_SIZE / SIZE)
#define MOST 60000u

static void *blocks[MOST];

static unsigned cls(void)
{
    return hk_class_of(SIZE);
}

static const struct hk_bin *bin(void)
{
    return &hk_front_mine()->bin[cls()];
}

static void bins_are_small(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct hk_bin), 16);
    assert_int_not_equal(hk_bin_slab(NULL), 0); /* a zeroed bin is empty */
}

/* A free to the bin's slab is undone by the next malloc, and no slow path saw it. */
static void last_in_first_out(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 20; i++)
        blocks[i] = front_take(SIZE);
    struct hk_thread *thread = front_self();
    uint64_t flushes = thread->heap.flushes, refills = thread->heap.refills;
    unsigned count = hk_front_count(thread, cls());
    EXPECT(bin()->slab == hk_bin_slab(blocks[0]));
    for (unsigned i = 0; i < 20; i++)
        front_free(blocks[i]);
    EXPECT(hk_front_count(thread, cls()) == count + 20);
    for (unsigned i = 20; i-- > 0;)
        EXPECT(front_malloc(SIZE) == blocks[i]);
    EXPECT(hk_front_count(thread, cls()) == count);
    EXPECT(thread->heap.flushes == flushes && thread->heap.refills == refills);
    front_check();
}

static void the_newest_block_of_the_slab_comes_first(void **state)
{
    (void)state;
    unit_passes(last_in_first_out, NULL);
}

/* Blocks of another slab of the thread wait beside that slab, and are the first that come from it again. */
static void free_elsewhere(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 2 * PER_SLAB; i++)
        blocks[i] = front_take(SIZE);
    struct hk_thread *thread = front_self();
    struct hk_slab *slab = hk_slab_of(blocks[0]);
    EXPECT(bin()->slab != hk_bin_slab(blocks[0]) && slab->state == HK_SLAB_FULL);
    for (unsigned i = 0; i < 100; i++) {
        front_free(blocks[i]);
        EXPECT(hk_private_count(hk_private_of(slab)) == i);
    }
    EXPECT(slab->state == HK_SLAB_PARTIAL && hk_front_count(thread, cls()) == 99);
    EXPECT(thread->metrics[cls()].flushes == 1 && thread->metrics[cls()].flushed == 1);
    front_check();
    EXPECT(front_malloc(SIZE) == blocks[0]); /* the slab had it */
    for (unsigned i = 99; i >= 1; i--)
        EXPECT(front_malloc(SIZE) == blocks[i]);
    EXPECT(bin()->slab == hk_bin_slab(blocks[0]));
    EXPECT(hk_heap_check(&thread->heap));
}

static void blocks_wait_beside_their_slab(void **state)
{
    (void)state;
    unit_passes(free_elsewhere, NULL);
}

/* Whatever the order, a slab goes when its last block is freed; the bins' slabs stay. */
static void free_all(void *arg)
{
    uint64_t seed = 21;
    for (unsigned i = 0; i < MOST; i++)
        blocks[i] = front_take(16 + unit_random(&seed, 1009));
    for (unsigned i = MOST; arg != NULL && i > 1; i--) {
        unsigned j = (unsigned)unit_random(&seed, i);
        void *p = blocks[i - 1];
        blocks[i - 1] = blocks[j];
        blocks[j] = p;
    }
    for (unsigned i = 0; i < MOST; i++)
        front_free(blocks[i]);
    front_check();
    EXPECT(front_self()->heap.slabs <= HK_TINY_LAST);
    EXPECT(hk_heap_check(&front_self()->heap));
    hk_front_flush_all(front_self());
    hk_purge_now(0);
    EXPECT(front_owned_slabs() == 0);
}

static void slabs_are_released_by_their_last_free(void **state)
{
    (void)state;
    unit_passes(free_all, NULL);
    unit_passes(free_all, (void *)1);
}

/* Half of each slab is freed by its thread, half by another, and then both sleep. */
static void *free_the_rest(void *arg)
{
    for (unsigned i = 1; i < MOST; i += 2)
        front_free(blocks[i]);
    EXPECT(front_self()->own.count < HK_FOREIGN);
    hk_front_flush_all(front_self());
    return arg;
}

static void free_in_two_threads(void *arg)
{
    (void)arg;
    pthread_t thread;
    for (unsigned i = 0; i < MOST; i++)
        blocks[i] = front_take(SIZE);
    for (unsigned i = 0; i < MOST; i += 2)
        front_free(blocks[i]);
    EXPECT(front_self()->heap.slabs >= MOST / PER_SLAB);
    EXPECT(pthread_create(&thread, NULL, free_the_rest, NULL) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
    hk_heap_sweep();
    EXPECT(front_self()->heap.slabs <= 2);
}

static void private_lists_do_not_keep_slabs_of_a_sleeper(void **state)
{
    (void)state;
    unit_passes(free_in_two_threads, NULL);
}

static void *take_many(void *arg)
{
    for (unsigned i = 0; i < 200; i++)
        blocks[i] = front_take(arg == NULL ? SIZE : 16000);
    return NULL;
}

/* Foreign blocks are gathered, and counted, as many as there is room for. */
static void gather(void *arg)
{
    (void)arg;
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, take_many, NULL) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
    front_free(front_take(SIZE));
    for (unsigned i = 100; i < 120; i++) /* of the orphan heap, if our own slab is another one */
        front_free(blocks[i]);
    struct hk_front_own *own = &front_self()->own;
    EXPECT(own->count == 20 * (bin()->slab != hk_bin_slab(blocks[0])));
    EXPECT(own->bytes == own->count * SIZE && hk_front_count(front_self(), cls()) >= 20);
    for (unsigned i = 120; i < 200; i++) {
        front_free(blocks[i]);
        EXPECT(own->count < HK_FOREIGN);
    }
    front_check();
    hk_front_flush_all(front_self());
    EXPECT(own->count == 0 && own->bytes == 0 && front_held() == 0);
}

static void foreign_blocks_are_gathered(void **state)
{
    (void)state;
    unit_passes(gather, NULL);
}

/* A bin's slab that was released while the bin was empty may serve others; its blocks are then like any foreign ones.
 */
static void *take_one(void *arg)
{
    front_take(SIZE * 2);
    blocks[10] = front_take(SIZE);
    blocks[11] = front_take(SIZE);
    return arg;
}

static void slab_that_moved_on(void *arg)
{
    (void)arg;
    pthread_t thread;
    unsigned n = 0;
    do
        blocks[n++] = front_take(SIZE);
    while (bin()->list != NULL); /* the bin has no block, and all are live */
    uint32_t slab = bin()->slab;
    for (unsigned i = 0; i < n; i++)
        hk_heap_give(&front_self()->heap, &blocks[i], 1);
    hk_heap_sweep(); /* as the helper does */
    EXPECT(front_owned_slabs() == 0 && bin()->slab == slab);
    EXPECT(pthread_create(&thread, NULL, take_one, NULL) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
    front_free(blocks[10]);
    front_free(blocks[11]);
    front_check();
    EXPECT(front_take(SIZE) != front_take(SIZE));
    hk_front_flush_all(front_self());
    EXPECT(hk_heap_check(&front_self()->heap) && hk_heap_check(&hk_orphan_heap) && hk_pool_check());
}

static void a_bins_slab_may_move_on(void **state)
{
    (void)state;
    unit_passes(slab_that_moved_on, NULL);
}

/* Spans of two slabs go straight to and from the heap. */
static void bypass(void *arg)
{
    (void)arg;
    unsigned large = HK_CLASS_COUNT - 1;
    while (hk_class_slabs(large) == 1)
        large--;
    size_t size = hk_class_size(large);
    EXPECT(large > HK_TINY_LAST);
    for (unsigned i = 0; i < 100; i++)
        memset(blocks[i] = front_take(size), (int)i, size);
    for (unsigned i = 0; i < 100; i++) {
        EXPECT(((unsigned char *)blocks[i])[size - 1] == i);
        front_free(blocks[i]);
        EXPECT(hk_front_count(front_self(), large) == 0);
    }
    EXPECT(hk_front_is_bypassed(front_self(), large) && !hk_front_is_bypassed(front_self(), cls()));
    EXPECT(front_self()->heap.slabs <= HK_SPAN_MAX);
}

static void spans_go_straight_to_their_slabs(void **state)
{
    (void)state;
    unit_passes(bypass, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bins_are_small),
        cmocka_unit_test(the_newest_block_of_the_slab_comes_first),
        cmocka_unit_test(blocks_wait_beside_their_slab),
        cmocka_unit_test(slabs_are_released_by_their_last_free),
        cmocka_unit_test(private_lists_do_not_keep_slabs_of_a_sleeper),
        cmocka_unit_test(foreign_blocks_are_gathered),
        cmocka_unit_test(a_bins_slab_may_move_on),
        cmocka_unit_test(spans_go_straight_to_their_slabs),
    };
    return cmocka_run_group_tests_name("front_slab", tests, NULL, NULL);
}
