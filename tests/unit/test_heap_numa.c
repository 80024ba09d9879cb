/* SPDX-License-Identifier: MIT
 *
 * Heaps whose threads move between two nodes. Each case runs in a child.
 */
#include "heap_fixture.h"

#include "box/pool.h"
#include "fake_os.h"
#include "pages/ss_arena.h"

#define KIB HK_TINY_LAST /* the class of 1024 bytes: 64 blocks to a slab */
#define PER_SLAB 64u

static void two_nodes(void)
{
    fake_os_set_nodes(3);
    EXPECT(hk_arena_start());
    EXPECT(hk_numa_start());
    hk_arena_place();
}

static unsigned node_of(void *block)
{
    return hk_slab_superslab(hk_slab_of(block))->node;
}

static void move(void *arg)
{
    (void)arg;
    static void *blocks[4 * PER_SLAB], *far[5 * PER_SLAB], *other[1];
    two_nodes();
    struct hk_heap *heap = fixture_heap();
    EXPECT(heap->node == 0);
    fixture_take(heap, KIB, blocks, 4 * PER_SLAB);
    fixture_take(heap, KIB - 1, other, 1);    /* the active slab of another class */
    hk_heap_give(heap, blocks + PER_SLAB, 9); /* one PARTIAL, three others FULL or active */
    fake_os_run_on(1);
    fixture_take(heap, KIB, far, 2 * PER_SLAB);
    EXPECT(heap->node == 1);
    for (unsigned i = 0; i < 2 * PER_SLAB; i++)
        EXPECT(node_of(far[i]) == 1);
    EXPECT(hk_slab_owner(hk_slab_of(blocks[0])) == &heap->owner); /* FULL: stays */
    EXPECT(hk_slab_owner(hk_slab_of(blocks[PER_SLAB + 20])) == &hk_orphan_heap.owner);
    EXPECT(hk_slab_owner(hk_slab_of(other[0])) == &hk_orphan_heap.owner);
    fixture_check(heap);
    fixture_check(&hk_orphan_heap);

    hk_heap_give(heap, blocks, PER_SLAB); /* a FULL one becomes EMPTY, and goes home */
    fixture_take(heap, KIB, far, 5 * PER_SLAB);
    for (unsigned i = 0; i < 5 * PER_SLAB; i++)
        EXPECT(node_of(far[i]) == 1);
    fake_os_run_on(0);
    fixture_take(heap, KIB, blocks, 9); /* back again: adopts what it left */
    for (unsigned i = 0; i < 9; i++)
        EXPECT(node_of(blocks[i]) == 0);
    EXPECT(heap->node == 0 && hk_pool_stage_count(HK_STAGE_PARTIAL, KIB) == 1);
    fixture_check(heap);
    fixture_check(&hk_orphan_heap);
}

static void a_heap_follows_its_thread(void **state)
{
    (void)state;
    unit_passes(move, NULL);
}

static void stay(void *arg)
{
    (void)arg;
    static void *blocks[8];
    two_nodes();
    struct hk_heap *heap = fixture_heap();
    fixture_take(heap, KIB, blocks, 8);
    uint64_t looks = fake_os_count(FAKE_CURRENT);
    fake_os_run_on(1);
    fixture_take(heap, KIB, blocks, 8); /* the active slab has blocks: nobody looks */
    EXPECT(node_of(blocks[0]) == 0 && heap->node == 0);
    EXPECT(fake_os_count(FAKE_CURRENT) == looks);
}

static void a_heap_looks_only_when_a_slab_is_used_up(void **state)
{
    (void)state;
    unit_passes(stay, NULL);
}

static void adopt(void *arg)
{
    (void)arg;
    static void *blocks[2][2 * PER_SLAB], *more[PER_SLAB];
    two_nodes();
    for (unsigned node = 0; node < 2; node++) {
        fake_os_run_on(node);
        struct hk_heap *heap = fixture_heap();
        EXPECT(heap->node == node);
        fixture_take(heap, KIB, blocks[node], PER_SLAB + 1);
        fixture_end(heap);
    }
    fake_os_run_on(1);
    struct hk_heap *heap = fixture_heap();
    EXPECT(heap->node == 1); /* a record that is used again knows its new thread's node */
    fixture_take(heap, KIB, more, 1);
    EXPECT(hk_slab_of(more[0]) == hk_slab_of(blocks[1][PER_SLAB])); /* not the one of node 0 */
    fixture_take(heap, KIB, more, PER_SLAB);
    for (unsigned i = 0; i < PER_SLAB; i++)
        EXPECT(node_of(more[i]) == 1);
    EXPECT(hk_pool_stage_count(HK_STAGE_PARTIAL, KIB) == 1);

    /* Without any memory the far one is better than none. */
    fake_os_fail_from(FAKE_ANY, 1);
    unsigned cls = KIB - 1;
    while (hk_heap_take(heap, cls, more, 1) == 1)
        continue;
    EXPECT(hk_slab_owner(hk_slab_of(blocks[0][PER_SLAB])) == &hk_orphan_heap.owner);
    EXPECT(hk_heap_take(heap, KIB, more, 1) == 1);
    for (unsigned i = 0; i < 64 && node_of(more[0]) == 1; i++)
        EXPECT(hk_heap_take(heap, KIB, more, 1) == 1);
    EXPECT(hk_slab_of(more[0]) == hk_slab_of(blocks[0][PER_SLAB]));
    fixture_check(heap);
    fixture_check(&hk_orphan_heap);
}

static void orphans_are_adopted_on_their_node(void **state)
{
    (void)state;
    unit_passes(adopt, NULL);
}

static void one_node(void *arg)
{
    (void)arg;
    static void *blocks[40 * PER_SLAB];
    EXPECT(hk_arena_start());
    EXPECT(!hk_numa_start());
    uint64_t looks = fake_os_count(FAKE_CURRENT), asked = fake_os_count(FAKE_NODES);
    struct hk_heap *heap = fixture_heap();
    fixture_take(heap, KIB, blocks, 40 * PER_SLAB);
    hk_heap_give(heap, blocks, 40 * PER_SLAB);
    fixture_end(heap);
    hk_arena_learn();
    EXPECT(fake_os_count(FAKE_CURRENT) == looks && fake_os_count(FAKE_NODES) == asked);
    EXPECT(fake_os_count(FAKE_PREFER) == 0);
}

static void one_node_makes_no_call(void **state)
{
    (void)state;
    unit_passes(one_node, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_heap_follows_its_thread),
        cmocka_unit_test(a_heap_looks_only_when_a_slab_is_used_up),
        cmocka_unit_test(orphans_are_adopted_on_their_node),
        cmocka_unit_test(one_node_makes_no_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
