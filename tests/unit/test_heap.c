/* SPDX-License-Identifier: MIT
 *
 * Taking and giving. Beginning and end of heaps: test_heap_life.c. Each case runs in a child.
 */
#include "heap_fixture.h"

#include "box/pool.h"
#include "fake_os.h"
#include "remote_batch.h"
#include "pages/ss_arena.h"

#include <unistd.h>

#define KIB HK_TINY_LAST /* the class of 1024 bytes: 64 blocks to a slab */
#define PER_SLAB 64u

static void give(struct hk_heap *heap, void **blocks, unsigned n)
{
    for (unsigned done = 0; done < n; done += 32)
        hk_heap_give(heap, blocks + done, (unsigned)hk_min(n - done, 32));
}

static void take_and_give(void *arg)
{
    (void)arg;
    static void *blocks[300], *again[300];
    struct hk_heap *heap = fixture_heap();
    EXPECT(heap->owner.state == HK_OWNER_ALIVE && heap->slabs == 0);
    fixture_take(heap, KIB, blocks, 300);
    fixture_check(heap);
    EXPECT(heap->slabs == 5 && fixture_owned_slabs() == 5 && heap->refills > 0);
    for (unsigned i = 0; i < 300; i++) {
        EXPECT((uintptr_t)blocks[i] % 1024 == 0);
        EXPECT(hk_slab_owner(hk_slab_of(blocks[i])) == &heap->owner);
        EXPECT(i % PER_SLAB == 0 || (char *)blocks[i] == (char *)blocks[i - 1] + 1024);
        memset(blocks[i], 1, 1024);
    }
    give(heap, blocks, 300);
    fixture_check(heap);
    EXPECT(heap->slabs == 1 && fixture_owned_slabs() == 1); /* the active one; the EMPTY ones are for everybody */
    EXPECT(hk_pool_empty_bytes() == 4 * HK_SLAB_SIZE);
    fixture_take(heap, KIB, again, 300);
    EXPECT(fixture_owned_slabs() == 5 && hk_pool_stage_count(HK_STAGE_EMPTY, KIB) == 4 * HK_EMPTY_REUSE);
    fixture_check(heap);
}

static void empty_slabs_go_to_the_pool(void **state)
{
    (void)state;
    unit_passes(take_and_give, NULL);
}

/* Batches with a start that was never handed out in them, at any place: it is told, and is in no list. */
static void give_wildly(void *arg)
{
    unsigned at = *(unsigned *)arg % 4, seen = 0;
    void *blocks[4], *again[40];
    struct hk_heap *owner = fixture_heap(), *giver = *(unsigned *)arg < 4 ? owner : fixture_heap();
    fixture_take(owner, KIB, blocks, 4);
    char *wild = hk_slab_base(hk_slab_of(blocks[0])) + 1024 * 32;
    blocks[at] = wild;
    hk_heap_give(giver, blocks, 4);
    EXPECT(hk_corrupt_found.slab == wild && hk_corrupt_found.size == HK_WILD);
    hk_heap_sweep();
    EXPECT(hk_slab_of(wild)->used == 1);
    fixture_check(owner);
    fixture_take(owner, KIB, again, 40);
    for (unsigned i = 0; i < 40; i++)
        seen += again[i] == wild;
    EXPECT(seen == 1);
}

static void what_was_never_handed_out_is_not_taken_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++)
        unit_passes(give_wildly, &i);
}

static void every_class(void *arg)
{
    (void)arg;
    static void *blocks[HK_CLASS_COUNT][20];
    struct hk_heap *heap = fixture_heap();
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        fixture_take(heap, cls, blocks[cls], 20);
        for (unsigned i = 0; i < 20; i++)
            memset(blocks[cls][i], (int)cls, hk_class_size(cls));
    }
    fixture_check(heap);
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        for (unsigned i = 0; i < 20; i++) {
            EXPECT(hk_slab_of(blocks[cls][i])->cls == cls);
            EXPECT(((char *)blocks[cls][i])[hk_class_size(cls) - 1] == (char)cls);
        }
        hk_heap_give(heap, blocks[cls], 20);
    }
    fixture_check(heap);
    hk_heap_sweep();
    EXPECT(fixture_owned_slabs() == 0 && heap->slabs == 0);
}

static void every_class_is_served(void **state)
{
    (void)state;
    unit_passes(every_class, NULL);
}

static void count_scatter(void *arg)
{
    (void)arg;
    static void *blocks[4 * PER_SLAB];
    struct hk_heap *heap = fixture_heap(), *other = fixture_heap();
    fixture_take(heap, KIB, blocks, 4 * PER_SLAB);
    EXPECT(hk_heap_give(heap, blocks, 10) == 1);
    EXPECT(hk_heap_give(heap, blocks + PER_SLAB - 5, 10) == 2);
    void *mixed[] = {blocks[100], blocks[150], blocks[101], blocks[151], blocks[102]};
    EXPECT(hk_heap_give(heap, mixed, 5) == 5);
    EXPECT(hk_heap_give(other, blocks + 200, 10) == 1); /* foreign ones too */
    EXPECT(hk_heap_give(heap, blocks, 0) == 0);
    fixture_check(heap);
}

static void a_give_tells_how_scattered_its_blocks_were(void **state)
{
    (void)state;
    unit_passes(count_scatter, NULL);
}

static void use_fullest(void *arg)
{
    (void)arg;
    static void *blocks[4 * PER_SLAB];
    void *block;
    struct hk_heap *heap = fixture_heap();
    fixture_take(heap, KIB, blocks, 4 * PER_SLAB); /* the fourth is active and exhausted */
    hk_heap_give(heap, blocks, 30);
    hk_heap_give(heap, blocks + PER_SLAB, 3);
    hk_heap_give(heap, blocks + 2 * PER_SLAB, 10);
    fixture_check(heap);
    fixture_take(heap, KIB, &block, 1);
    if (!HK_HOT_COLD) {
        EXPECT(hk_slab_of(block) == hk_slab_of(blocks[2 * PER_SLAB])); /* the one that came into the list last */
        return;
    }
    EXPECT(hk_slab_of(block) == hk_slab_of(blocks[PER_SLAB]));
    fixture_take(heap, KIB, &block, 1);
    fixture_take(heap, KIB, &block, 1);
    fixture_take(heap, KIB, &block, 1); /* that one is full now */
    EXPECT(hk_slab_of(block) == hk_slab_of(blocks[2 * PER_SLAB]));
    fixture_check(heap);
    EXPECT(fixture_owned_slabs() == 4);
}

static void the_fullest_partial_slab_is_used_first(void **state)
{
    (void)state;
    unit_passes(use_fullest, NULL);
}

/* ---- blocks of others ---- */

static void give_foreign(void *arg)
{
    (void)arg;
    static void *blocks[2 * PER_SLAB], *again[2 * PER_SLAB];
    struct hk_heap *mine = fixture_heap(), *other = fixture_heap();
    fixture_take(mine, KIB, blocks, 2 * PER_SLAB);
    give(other, blocks, PER_SLAB);
    EXPECT(hk_remote_count(hk_slab_of(blocks[0])) == PER_SLAB);
    EXPECT(hk_slab_of(blocks[0])->used == PER_SLAB); /* they count as used until their owner has them */
    EXPECT(other->slabs == 0);
    fixture_take(mine, KIB, again, 1); /* the owner looks before it grows */
    EXPECT(hk_remote_count(hk_slab_of(blocks[0])) == 0);
    EXPECT(fixture_owned_slabs() <= 2);
    fixture_check(mine);
    fixture_check(other);
}

static void blocks_of_others_go_to_their_owner(void **state)
{
    (void)state;
    unit_passes(give_foreign, NULL);
}

/* The collect gives the exhausted active slab its blocks back, and a full one some: neither may be forgotten. */
static void collect_into_active(void *arg)
{
    unsigned back = *(unsigned *)arg;
    static void *blocks[2 * PER_SLAB];
    void *block;
    struct hk_heap *mine = fixture_heap(), *other = fixture_heap();
    fixture_take(mine, KIB, blocks, 2 * PER_SLAB);
    struct hk_slab *active = hk_slab_of(blocks[PER_SLAB]);
    EXPECT(mine->cls[KIB].active == active && hk_slab_is_exhausted(active));
    give(other, blocks + PER_SLAB, back);
    give(other, blocks, 10);
    fixture_take(mine, KIB, &block, 1);
    fixture_check(mine);
    hk_heap_give(mine, &block, 1);
    give(mine, blocks + 10, PER_SLAB - 10);
    give(mine, blocks + PER_SLAB + back, PER_SLAB - back);
    hk_heap_sweep();
    EXPECT(fixture_owned_slabs() == 0);
}

static void an_active_slab_that_gets_blocks_back_is_not_full(void **state)
{
    (void)state;
    unsigned some = 5, all = PER_SLAB;
    unit_passes(collect_into_active, &some);
    unit_passes(collect_into_active, &all);
}

static void mix(void *arg)
{
    (void)arg;
    static void *blocks[3][PER_SLAB];
    struct hk_heap *heaps[3];
    void *mixed[3 * PER_SLAB];
    for (unsigned i = 0; i < 3; i++) {
        heaps[i] = fixture_heap();
        fixture_take(heaps[i], KIB, blocks[i], PER_SLAB);
    }
    for (unsigned i = 0; i < 3 * PER_SLAB; i++)
        mixed[i] = blocks[i % 3][i / 3];
    hk_heap_give(heaps[0], mixed, 3 * PER_SLAB);
    EXPECT(hk_slab_of(blocks[0][0])->used == 0);
    for (unsigned i = 1; i < 3; i++)
        EXPECT(hk_remote_count(hk_slab_of(blocks[i][0])) == PER_SLAB);
    EXPECT(heaps[0]->chains == (HK_REMOTE_SLOTS ? 2 : 2 * PER_SLAB)); /* one push each, however they were mixed */
    hk_heap_sweep();
    EXPECT(fixture_owned_slabs() == 0);
}

static void mixed_blocks_are_sorted_into_chains(void **state)
{
    (void)state;
    unit_passes(mix, NULL);
}

#define MANY_SLABS 60u

static void let_wait(void *arg)
{
    (void)arg;
    static void *blocks[MANY_SLABS * PER_SLAB];
    struct hk_heap *sleeper = fixture_heap(), *worker = fixture_heap();
    fixture_take(sleeper, KIB, blocks, MANY_SLABS * PER_SLAB);
    give(worker, blocks, MANY_SLABS * PER_SLAB);
    /* From 32 waiting slabs on the worker collects for the sleeper. */
    EXPECT(fixture_owned_slabs() <= 33);
    EXPECT(hk_pool_empty_bytes() >= (MANY_SLABS - 33) * HK_SLAB_SIZE);
    fixture_check(sleeper);
    hk_heap_sweep();
    EXPECT(fixture_owned_slabs() == 0);
    fixture_check(sleeper);
}

static void nobody_waits_for_a_sleeping_owner(void **state)
{
    (void)state;
    unit_passes(let_wait, NULL);
}

static void give_to_many(void *arg)
{
    (void)arg;
    static void *blocks[MANY_SLABS * PER_SLAB], *orphan[PER_SLAB];
    void *scattered[MANY_SLABS + 1];
    struct hk_heap *sleeper = fixture_heap(), *dead = fixture_heap(), *worker = fixture_heap();
    fixture_take(sleeper, KIB, blocks, MANY_SLABS * PER_SLAB);
    fixture_take(dead, KIB - 1, orphan, PER_SLAB);
    fixture_end(dead);
    for (unsigned i = 0; i < MANY_SLABS; i++)
        scattered[i] = blocks[i * PER_SLAB];
    scattered[MANY_SLABS] = orphan[0];
    hk_heap_give(worker, scattered, MANY_SLABS + 1);
    EXPECT(hk_remote_count(hk_slab_of(orphan[0])) == 0); /* nobody else would ever collect it */
}

static void no_chain_is_left_with_a_dead_owner(void **state)
{
    (void)state;
    unit_passes(give_to_many, NULL);
}

/* ---- one block at a time ---- */

static void one_by_one(void *arg)
{
    unsigned cls = *(unsigned *)arg, capacity = hk_class_capacity(cls);
    static void *blocks[3 * 4096];
    struct hk_heap *heap = fixture_heap();
    EXPECT(hk_heap_take_one(heap, cls) == NULL);
    fixture_take(heap, cls, blocks, 3 * capacity);
    EXPECT(hk_heap_take_one(heap, cls) == NULL);
    for (unsigned i = 0; i < 3 * capacity; i++) {
        struct hk_slab *slab = hk_slab_of(blocks[i]);
        hk_heap_give_one(heap, slab, blocks[i]);
        EXPECT(heap->cls[cls].active == slab);
        /* The slab before is EMPTY and no longer active: it went to the pool. */
        EXPECT(heap->slabs == (3 - i / capacity) * hk_class_slabs(cls));
        fixture_check(heap);
        if (i % 2 == 0) {
            EXPECT(hk_heap_take_one(heap, cls) == blocks[i]); /* the newest first */
            hk_heap_give_one(heap, slab, blocks[i]);
        }
    }
    EXPECT(heap->slabs == hk_class_slabs(cls));
    hk_heap_sweep();
    EXPECT(fixture_owned_slabs() == 0);
}

static void blocks_go_one_by_one_too(void **state)
{
    (void)state;
    unsigned classes[] = {KIB, hk_class_of(2048), hk_class_of(13312), hk_class_of(32768)};
    for (unsigned i = 0; i < HK_COUNT(classes); i++)
        unit_passes(one_by_one, &classes[i]);
}

static void take_zeros(void *arg)
{
    (void)arg;
    void *blocks[200];
    unsigned zeros = 0, cls = hk_class_of(2048);
    struct hk_heap *heap = fixture_heap();
    for (unsigned i = 0; i < 200; i++) {
        blocks[i] = hk_heap_take_zero(heap, cls);
        if (blocks[i] == NULL)
            fixture_take(heap, cls, &blocks[i], 1);
        else
            zeros++;
        EXPECT(unit_is_zero(blocks[i], hk_class_size(cls)));
        memset(blocks[i], 1, hk_class_size(cls));
    }
    EXPECT(zeros == 200);
    fixture_check(heap);
    for (unsigned i = 0; i < 200; i++)
        hk_heap_give(heap, &blocks[i], 1);
    for (unsigned i = 0; i < 40; i++) {
        void *block = hk_heap_take_zero(heap, cls);
        EXPECT(block == NULL || unit_is_zero(block, hk_class_size(cls)));
    }
    EXPECT(hk_heap_take_zero(heap, hk_class_of(64)) == NULL); /* small blocks are marked */
    fixture_check(heap);
}

/* Classes keep a slab for their next block, but not while others would take untouched memory. */
static void keep_and_give(void *arg)
{
    (void)arg;
    unsigned other = hk_class_of(2048);
    void *one;
    struct hk_heap *heap = fixture_heap();
    for (unsigned cls = KIB; cls < KIB + 4; cls++) {
        fixture_take(heap, cls, &one, 1);
        EXPECT(hk_heap_give(heap, &one, 1) == 1);
    }
    EXPECT(fixture_owned_slabs() == (HK_EMPTY_REUSE ? 1 : 4));
    unsigned n = 4 * hk_class_capacity(other);
    for (unsigned i = 0; i < n; i++)
        fixture_take(heap, other, &one, 1);
    EXPECT(fixture_owned_slabs() == (HK_EMPTY_REUSE ? 4 : 8));
    fixture_check(heap);
}

static void what_a_class_only_keeps_goes_before_untouched_memory(void **state)
{
    (void)state;
    unit_passes(keep_and_give, NULL);
}

static void zero_blocks_are_virgin(void **state)
{
    (void)state;
    unit_passes(take_zeros, NULL);
}

static void run_out(void *arg)
{
    unsigned n = *(unsigned *)arg;
    static void *blocks[4000], *batch[16];
    unsigned count = 0;
    struct hk_heap *heap = fixture_heap();
    fake_os_fail_from(FAKE_ANY, n);
    for (unsigned i = 0; i < 200; i++) {
        unsigned got = hk_heap_take(heap, KIB, &batch[15], 16);
        EXPECT(got <= 16 && (got > 0 || fake_os_failures() > 0));
        for (unsigned j = 0; j < got; j++)
            blocks[count++] = batch[15 - j];
        if (got == 0)
            EXPECT(hk_heap_take_zero(heap, KIB) == NULL);
    }
    bool happened = fake_os_failures() != 0;
    give(heap, blocks, count);
    fixture_check(heap);
    fake_os_recover();
    fixture_take(heap, KIB, blocks, 4000);
    fixture_check(heap);
    _exit(happened ? 0 : 3);
}

static void without_memory_there_are_no_blocks(void **state)
{
    (void)state;
    unsigned n = 0;
    int status;
    do {
        n++;
        status = unit_status(run_out, &n);
    } while (status == 0 && n < 100);
    assert_int_equal(status, 3);
    assert_true(n > 2);
}

/* ---- threads ---- */

#define THREADS 4
#define MAILBOXES 64

static void *_Atomic mailbox[MAILBOXES];

/* Takes, writes its mark, and leaves each block in a mailbox for whoever comes next: most are freed by another thread.
 */
static void *trade(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    struct hk_heap *heap = fixture_heap();
    void *batch[24], *received[24];
    for (unsigned round = 0; round < 1500; round++) {
        unsigned cls = hk_class_of((size_t)384 << 2 * unit_random(&seed, 3)), n = 1 + (unsigned)unit_random(&seed, 24),
                 count = 0;
        unsigned got = hk_heap_take(heap, cls, &batch[23], n);
        EXPECT(got > 0);
        for (unsigned i = 0; i < got; i++) {
            uint32_t *block = batch[23 - i];
            block[2] = cls;
            block[hk_class_size(cls) / 4 - 1] = ~cls;
            block = atomic_exchange(&mailbox[unit_random(&seed, MAILBOXES)], (void *)block);
            if (block == NULL)
                continue;
            unsigned theirs = block[2];
            EXPECT(theirs == hk_slab_of(block)->cls && block[hk_class_size(theirs) / 4 - 1] == ~theirs);
            received[count++] = block;
        }
        hk_heap_give(heap, received, count);
    }
    fixture_end(heap);
    return NULL;
}

static void trade_in_threads(void *arg)
{
    (void)arg;
    unit_in_threads(THREADS, trade);
    struct hk_heap *heap = fixture_heap();
    for (unsigned i = 0; i < MAILBOXES; i++) {
        void *block = mailbox[i];
        if (block != NULL)
            hk_heap_give(heap, &block, 1);
    }
    hk_heap_sweep();
    EXPECT(fixture_owned_slabs() == 0); /* nothing lost, nothing twice */
    fixture_check(&hk_orphan_heap);
    hk_pool_trim();
    EXPECT(hk_arena_live() == 0);
}

static void threads_trade_blocks(void **state)
{
    (void)state;
    unit_passes(trade_in_threads, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_slabs_go_to_the_pool),
        cmocka_unit_test(what_was_never_handed_out_is_not_taken_back),
        cmocka_unit_test(every_class_is_served),
        cmocka_unit_test(a_give_tells_how_scattered_its_blocks_were),
        cmocka_unit_test(the_fullest_partial_slab_is_used_first),
        cmocka_unit_test(blocks_of_others_go_to_their_owner),
        cmocka_unit_test(an_active_slab_that_gets_blocks_back_is_not_full),
        cmocka_unit_test(mixed_blocks_are_sorted_into_chains),
        cmocka_unit_test(nobody_waits_for_a_sleeping_owner),
        cmocka_unit_test(no_chain_is_left_with_a_dead_owner),
        cmocka_unit_test(blocks_go_one_by_one_too),
        cmocka_unit_test(what_a_class_only_keeps_goes_before_untouched_memory),
        cmocka_unit_test(zero_blocks_are_virgin),
        cmocka_unit_test(without_memory_there_are_no_blocks),
        cmocka_unit_test(threads_trade_blocks),
    };
    return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
