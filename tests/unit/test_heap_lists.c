/* SPDX-License-Identifier: MIT
 *
 * Lists that change hands as a whole, and private lists. Each case runs in a child.
 */
#include "heap_fixture.h"

#include "box/heap_lists.h"
#include "box/pool.h"
#include "fake_os.h"

#include <unistd.h>

#define SIZE 1024u
#define PER_SLAB 64u
#define MOST 1000u

static void *blocks[MOST];
static const int me; /* stands for the thread of a heap */

static unsigned kib(void)
{
    return hk_class_of(SIZE);
}

/* What the fast path does with a block of a slab that is not the bin's; false: the slow path has to. */
static bool push(void *block)
{
    struct hk_private *list = hk_private_of(hk_slab_of(block));
    uint32_t left = hk_load_relaxed(&list->left);
    if (hk_load_relaxed(&list->thread) != &me || left <= 1)
        return false;
    hk_private_push(list, left, block);
    return true;
}

static void free_own(struct hk_heap *heap, void *block)
{
    if (!push(block))
        hk_heap_free_own(heap, hk_slab_of(block), block, &me);
}

static bool is_closed(const void *block)
{
    const struct hk_private *list = hk_private_of(hk_slab_of(block));
    return list->first == NULL && list->opened == 0 && hk_load_relaxed(&list->left) == 0 &&
           hk_load_relaxed(&list->thread) == HK_NOBODY;
}

static unsigned walk(void *first, void **to)
{
    unsigned n = 0;
    for (void *block = first; block != NULL; block = *(void **)block)
        to[n++] = block;
    return n;
}

static void take_lists(void *arg)
{
    (void)arg;
    struct hk_heap *heap = fixture_heap();
    void *first = blocks, *block;
    unsigned count;
    EXPECT(hk_heap_take_list(heap, kib(), 4, &first, &count) == NULL && count == 0); /* no active slab */
    fixture_take(heap, kib(), &block, 1);
    /* Virgin blocks, lowest first, in steps. */
    struct hk_slab *slab = hk_slab_of(block);
    EXPECT(hk_heap_take_list(heap, kib(), 4, &first, &count) == slab && count == 4 && slab->used == 5);
    EXPECT(walk(first, blocks) == 4);
    for (unsigned i = 0; i < 4; i++)
        EXPECT((char *)blocks[i] == (char *)block + (i + 1) * SIZE);
    EXPECT(hk_heap_take_list(heap, kib(), 1000, &first, &count) == slab && count == 59 && slab->used == PER_SLAB);
    EXPECT(walk(first, blocks + 4) == 59 && blocks[62] == (char *)block + 63 * SIZE);
    EXPECT(hk_heap_take_list(heap, kib(), 4, &first, &count) == NULL && count == 0);
    /* What the slab has been given back, all at once, whatever n says. */
    hk_heap_give(heap, blocks, 30);
    EXPECT(slab->used == 34);
    EXPECT(hk_heap_take_list(heap, kib(), 1, &first, &count) == slab && count == 30 && slab->used == PER_SLAB);
    EXPECT(walk(first, blocks) == 30);
    fixture_check(heap);
}

static void a_list_is_taken_as_a_whole(void **state)
{
    (void)state;
    unit_passes(take_lists, NULL);
}

/* A chain of another heap may lie in the slab's second list: then blocks are taken one by one. */
static void take_with_spare(void *arg)
{
    (void)arg;
    struct hk_heap *heap = fixture_heap(), *other = fixture_heap();
    void *first;
    unsigned count;
    fixture_take(heap, kib(), blocks, PER_SLAB + 1);
    struct hk_slab *slab = hk_slab_of(blocks[0]);
    hk_heap_give(heap, blocks, 10);
    hk_heap_give(other, blocks + 10, 10);
    hk_heap_sweep();
    EXPECT(slab->free != NULL && slab->spare != NULL && slab->used == PER_SLAB - 20);
    hk_lock(&heap->lock);
    hk_heap_activate_locked(heap, slab);
    hk_unlock(&heap->lock);
    EXPECT(hk_heap_take_list(heap, kib(), 15, &first, &count) == slab && count == 15);
    EXPECT(walk(first, blocks) == 15);
    EXPECT(hk_heap_take_list(heap, kib(), 1, &first, &count) == slab && count == 5 && slab->used == PER_SLAB);
    EXPECT(walk(first, blocks + 15) == 5);
    fixture_check(heap);
}

static void both_lists_of_a_slab_are_used(void **state)
{
    (void)state;
    unit_passes(take_with_spare, NULL);
}

/* A FULL slab that gets its first block back is PARTIAL and open; the last block releases it, without a look at it. */
static void open_and_release(void *arg)
{
    (void)arg;
    struct hk_heap *heap = fixture_heap();
    fixture_take(heap, kib(), blocks, 2 * PER_SLAB);
    struct hk_slab *slab = hk_slab_of(blocks[0]);
    EXPECT(slab->state == HK_SLAB_FULL && is_closed(blocks[0]) && !push(blocks[0]));
    EXPECT(hk_heap_free_own(heap, slab, blocks[0], &me) == 1);
    EXPECT(slab->state == HK_SLAB_PARTIAL && slab->used == 63);
    EXPECT(hk_load_relaxed(&hk_private_of(slab)->thread) == &me);
    for (unsigned i = 1; i < 63; i++) {
        EXPECT(push(blocks[i]) && slab->used == 63 && hk_heap_count_lists(heap, kib()) == i);
        fixture_check(heap);
    }
    size_t slabs = heap->slabs;
    EXPECT(!push(blocks[63]));
    EXPECT(hk_heap_free_own(heap, slab, blocks[63], &me) == 63);
    EXPECT(heap->slabs == slabs - 1 && slab->state == HK_SLAB_FREE && is_closed(slab->base));
    EXPECT(hk_heap_count_lists(heap, kib()) == 0);
    fixture_check(heap);
}

static void the_last_free_releases_the_slab(void **state)
{
    (void)state;
    unit_passes(open_and_release, NULL);
}

/* What was freed to a slab is the first that comes from it. */
static void reuse_private(void *arg)
{
    (void)arg;
    struct hk_heap *heap = fixture_heap();
    void *first, *again[PER_SLAB];
    unsigned count;
    fixture_take(heap, kib(), blocks, PER_SLAB);
    struct hk_slab *slab = hk_slab_of(blocks[0]);
    for (unsigned i = 0; i < 20; i++)
        free_own(heap, blocks[i]);
    EXPECT(slab->state == HK_SLAB_ACTIVE && slab->used == 63 && hk_heap_count_lists(heap, kib()) == 19);
    EXPECT(hk_heap_take_list(heap, kib(), 1, &first, &count) == slab && count == 19 && slab->used == 63);
    EXPECT(walk(first, again) == 19 && again[0] == blocks[19] && again[18] == blocks[1]);
    EXPECT(is_closed(blocks[0]));
    EXPECT(hk_heap_take_list(heap, kib(), 1, &first, &count) == slab && count == 1 && first == blocks[0]);
    fixture_check(heap);
}

static void a_private_list_serves_again(void **state)
{
    (void)state;
    unit_passes(reuse_private, NULL);
}

/* The last block comes back from another thread while the slab's own sleeps: whoever merges it releases the slab. */
static void last_from_elsewhere(void *arg)
{
    (void)arg;
    struct hk_heap *heap = fixture_heap(), *other = fixture_heap();
    fixture_take(heap, kib(), blocks, 2 * PER_SLAB);
    struct hk_slab *slab = hk_slab_of(blocks[0]);
    for (unsigned i = 0; i < 50; i++)
        free_own(heap, blocks[i]);
    hk_heap_give(other, blocks + 50, 14);
    EXPECT(slab->state == HK_SLAB_PARTIAL);
    hk_heap_sweep();
    EXPECT(slab->state == HK_SLAB_FREE && is_closed(slab->base));
    fixture_check(heap);
}

static void a_slab_is_released_while_its_thread_sleeps(void **state)
{
    (void)state;
    unit_passes(last_from_elsewhere, NULL);
}

/* The same when the chain was merged before the thread's own last push, which did not know of it. */
static void each_left_it_to_the_other(void *arg)
{
    (void)arg;
    struct hk_heap *heap = fixture_heap(), *other = fixture_heap();
    fixture_take(heap, kib(), blocks, 2 * PER_SLAB);
    struct hk_slab *slab = hk_slab_of(blocks[0]);
    for (unsigned i = 0; i < 49; i++)
        free_own(heap, blocks[i]);
    hk_heap_give(other, blocks + 50, 14);
    hk_heap_sweep();
    EXPECT(slab->state == HK_SLAB_PARTIAL && slab->used == 49); /* 48 on the list, one live */
    EXPECT(push(blocks[49]));
    EXPECT(slab->state == HK_SLAB_PARTIAL);
    hk_heap_sweep();
    EXPECT(slab->state == HK_SLAB_FREE && is_closed(slab->base));
    fixture_check(heap);
}

static void a_sweep_finds_what_nobody_noticed(void **state)
{
    (void)state;
    unit_passes(each_left_it_to_the_other, NULL);
}

static void close_all(void *arg)
{
    (void)arg;
    struct hk_heap *heap = fixture_heap();
    fixture_take(heap, kib(), blocks, 5 * PER_SLAB);
    for (unsigned i = 0; i < 5 * PER_SLAB; i += 2)
        free_own(heap, blocks[i]);
    EXPECT(hk_heap_count_lists(heap, kib()) == 5 * (PER_SLAB / 2 - 1));
    hk_heap_close_lists(heap);
    EXPECT(hk_heap_count_lists(heap, kib()) == 0);
    for (unsigned i = 0; i < 5 * PER_SLAB; i++)
        EXPECT(is_closed(blocks[i]) && hk_slab_of(blocks[i])->used == PER_SLAB / 2);
    fixture_check(heap);
    for (unsigned i = 1; i < 5 * PER_SLAB; i += 2)
        free_own(heap, blocks[i]);
    hk_heap_close_lists(heap);
    hk_heap_sweep();
    EXPECT(fixture_owned_slabs() == 0);
}

static void lists_can_be_closed(void **state)
{
    (void)state;
    unit_passes(close_all, NULL);
}

/* In the child of a fork the thread of the heap is gone, perhaps in the middle of a push. */
static void gone_in_a_push(void *arg)
{
    (void)arg;
    struct hk_heap *heap = fixture_heap();
    fixture_take(heap, kib(), blocks, 2 * PER_SLAB);
    struct hk_slab *slab = hk_slab_of(blocks[0]);
    for (unsigned i = 0; i < 10; i++)
        free_own(heap, blocks[i]);
    struct hk_private *list = hk_private_of(slab);
    *(void **)blocks[10] = list->first;
    list->first = blocks[10]; /* linked, not counted */
    fixture_end(heap);
    EXPECT(hk_slab_owner(slab) == &hk_orphan_heap.owner && slab->used == PER_SLAB - 11 && is_closed(blocks[0]));
    EXPECT(hk_heap_check(&hk_orphan_heap));
    for (unsigned i = 11; i < 2 * PER_SLAB; i++)
        hk_heap_give_one(&hk_orphan_heap, hk_slab_of(blocks[i]), blocks[i]);
    hk_heap_sweep();
    EXPECT(fixture_owned_slabs() == 0);
}

static void the_end_of_a_heap_counts_its_lists(void **state)
{
    (void)state;
    unit_passes(gone_in_a_push, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_taken_as_a_whole),
        cmocka_unit_test(both_lists_of_a_slab_are_used),
        cmocka_unit_test(the_last_free_releases_the_slab),
        cmocka_unit_test(a_private_list_serves_again),
        cmocka_unit_test(a_slab_is_released_while_its_thread_sleeps),
        cmocka_unit_test(a_sweep_finds_what_nobody_noticed),
        cmocka_unit_test(lists_can_be_closed),
        cmocka_unit_test(the_end_of_a_heap_counts_its_lists),
    };
    return cmocka_run_group_tests_name("heap_lists", tests, NULL, NULL);
}
