/* SPDX-License-Identifier: MIT
 *
 * Lists of one thread: one block by one, and batches to and from the heap. Each case runs in a child.
 */
#include "heap_fixture.h"

#include "base/options.h"
#include "box/tls_sll.h"
#include "fake_os.h"

#define SIZE 1024u /* 64 to a slab */
#define MOST 300u

HK_TLS struct hk_sll hot __attribute__((used)); /* as in a bin */

static void *blocks[MOST];

static struct hk_sll HK_TLS_SPACE *hot_list(void)
{
    return HK_TLS_PTR(struct hk_sll, hot);
}

static void one_by_one(void *arg)
{
    (void)arg;
    void *block = blocks;
    struct hk_heap *heap = fixture_heap();
    EXPECT(!hk_sll_pop(hot_list(), &block) && block == blocks); /* zeroed: empty and full */
    EXPECT(!hk_sll_has_room(hot_list()));
    fixture_take(heap, hk_class_of(SIZE), blocks, 20);
    hot.cap = 20;
    for (unsigned i = 0; i < 20; i++) {
        EXPECT(hot.count == i && hk_sll_has_room(hot_list()));
        hk_sll_push(hot_list(), blocks[i]);
    }
    EXPECT(!hk_sll_has_room(hot_list()));
    for (unsigned i = 20; i-- > 0;) {
        EXPECT(hk_sll_pop(hot_list(), &block) && block == blocks[i]);
        EXPECT(hot.count == i && hk_sll_has_room(hot_list()));
    }
    EXPECT(!hk_sll_pop(hot_list(), &block));
}

static void the_newest_block_comes_first(void **state)
{
    (void)state;
    unit_passes(one_by_one, NULL);
}

/* As a bin that misses does, and one that is full. */
static unsigned refill(struct hk_sll *list, struct hk_heap *heap, unsigned cls, unsigned n)
{
    void *batch[64];
    hk_sll_expect_empty(list, cls);
    unsigned got = hk_heap_take(heap, cls, batch + n - 1, n);
    hk_sll_put(list, batch + n - got, got);
    return got;
}

static unsigned flush(struct hk_sll *list, struct hk_heap *heap, unsigned cls, unsigned n)
{
    void *batch[MOST];
    unsigned got = hk_sll_take_oldest(list, cls, batch, n);
    return got != 0 ? hk_heap_give(heap, batch, got) : 0;
}

static void in_batches(void *arg)
{
    (void)arg;
    struct hk_sll list = {0};
    unsigned cls = hk_class_of(SIZE);
    struct hk_heap *heap = fixture_heap();
    void *taken[10];
    unsigned got = refill(&list, heap, cls, 40);
    EXPECT(got == 40 && list.count == 40);
    EXPECT(hk_sll_take(&list, cls, &taken[9], 10) == 10 && list.count == 30);
    for (unsigned i = 0; i < 9; i++)
        EXPECT((char *)taken[9 - i] + hk_class_size(cls) == taken[8 - i]); /* lowest addresses first */
    EXPECT(hk_slab_of(taken[0])->used == 40);
    hk_sll_put(&list, taken, 10);
    EXPECT(list.count == 40);
    EXPECT(hk_sll_take(&list, cls, &blocks[MOST - 1], MOST) == 40 && list.count == 0 && list.first == NULL);
    EXPECT(hk_sll_take(&list, cls, &blocks[MOST - 1], MOST) == 0);
    hk_heap_give(heap, &blocks[MOST - 40], 40);
    fixture_check(heap);
    hk_heap_sweep();
    EXPECT(fixture_owned_slabs() == 0);
}

static void batches_are_counted(void **state)
{
    (void)state;
    unit_passes(in_batches, NULL);
}

/* The blocks that stay are the newest, in their order. */
static void flush_some(void *arg)
{
    unsigned n = *(const unsigned *)arg;
    struct hk_sll list = {0};
    unsigned cls = hk_class_of(SIZE);
    struct hk_heap *heap = fixture_heap();
    fixture_take(heap, cls, blocks, MOST);
    hk_sll_put(&list, blocks, MOST);
    unsigned slabs = flush(&list, heap, cls, n);
    EXPECT(slabs >= (n + 63) / 64 && slabs <= (n + 63) / 64 + 1); /* they lie in a row, 64 to a slab */
    EXPECT(list.count == MOST - n);
    fixture_check(heap);
    for (unsigned i = MOST; i-- > n;) {
        void *block;
        EXPECT(hk_sll_take(&list, cls, &block, 1) == 1 && block == blocks[i]);
    }
    EXPECT(list.first == NULL && list.count == 0);
    for (unsigned i = n; i < MOST; i += 32)
        hk_heap_give(heap, blocks + i, (unsigned)hk_min(MOST - i, 32));
    hk_heap_sweep();
    EXPECT(fixture_owned_slabs() == 0); /* the flushed ones are in their slabs, each once */
    fixture_check(heap);
}

static void a_flush_gives_the_oldest_blocks(void **state)
{
    (void)state;
    unsigned numbers[] = {0, 1, 63, 64, 65, 200, MOST - 1, MOST};
    for (unsigned i = 0; i < HK_COUNT(numbers); i++)
        unit_passes(flush_some, &numbers[i]);
}

static void refill_refused(void *arg)
{
    (void)arg;
    struct hk_sll list = {0};
    struct hk_heap *heap = fixture_heap();
    fake_os_fail_from(FAKE_ANY, 0);
    EXPECT(refill(&list, heap, 3, 10) == 0 && list.count == 0 && list.first == NULL);
}

static void without_memory_the_list_stays_empty(void **state)
{
    (void)state;
    unit_passes(refill_refused, NULL);
}

static void *const wrong_links[] = {(void *)16, (void *)0x4141414141414141, blocks, NULL};

/* The list ends before the wrong link, for whoever follows it, and serves again at once. */
static void follow_wrong_link(void *arg)
{
    uintptr_t how = (uintptr_t)arg;
    unsigned cls = hk_class_of(SIZE);
    struct hk_heap *heap = fixture_heap();
    void *block, *link = wrong_links[how % HK_COUNT(wrong_links)];
    fixture_take(heap, cls, blocks, 20);
    struct hk_slab *slab = hk_slab_of(blocks[0]);
    hk_sll_put(&hot, blocks, 20);
    *(void **)blocks[15] = link;
    for (unsigned i = 0; i < 2; i++)
        EXPECT(hk_sll_pop(hot_list(), &block) && block == blocks[19 - i]);
    switch (how / HK_COUNT(wrong_links)) {
    case 0:
        for (unsigned i = 2; i < 5; i++)
            EXPECT(hk_sll_pop(hot_list(), &block) && block == blocks[19 - i]);
        EXPECT(!hk_sll_pop(hot_list(), &block) && hk_corrupt_found.size == 0);
        EXPECT(refill(&hot, heap, cls, 10) == 10 && hot.count == 10 && slab->used == 30);
        break;
    case 1:
        EXPECT(hk_sll_take(&hot, cls, &blocks[MOST - 1], 10) == 3 && blocks[MOST - 3] == blocks[15]);
        EXPECT(hot.count == 0 && hot.first == NULL);
        break;
    case 2: /* among those that stay */
        flush(&hot, heap, cls, 10);
        EXPECT(hot.count == 3 && slab->used == 20 && hk_sll_take(&hot, cls, &blocks[MOST - 1], 10) == 3);
        EXPECT(hot.count == 0 && hot.first == NULL);
        break;
    default: /* among those that go */
        flush(&hot, heap, cls, 18);
        EXPECT(hot.count == 0 && hot.first == NULL && slab->used == 17);
    }
    EXPECT(hk_corrupt_found.slab == link && hk_corrupt_found.size == SIZE);
    EXPECT(hk_heap_check(heap));
}

static void a_corrupted_list_ends_before_the_wrong_link(void **state)
{
    (void)state;
    for (uintptr_t how = 0; how < 4 * HK_COUNT(wrong_links); how++)
        unit_passes(follow_wrong_link, (void *)how);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_block_comes_first),
        cmocka_unit_test(batches_are_counted),
        cmocka_unit_test(a_flush_gives_the_oldest_blocks),
        cmocka_unit_test(without_memory_the_list_stays_empty),
        cmocka_unit_test(a_corrupted_list_ends_before_the_wrong_link),
    };
    return cmocka_run_group_tests_name("tls_sll", tests, NULL, NULL);
}
