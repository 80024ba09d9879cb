/* SPDX-License-Identifier: MIT
 *
 * Lists with a link that the program wrote over, found on every way of the heap that follows links. Who finds one notes
 * it, and comes back without a lock and with a whole heap. Each case runs in a child.
 */
#include "heap_fixture.h"

#include "base/assert.h"
#include "box/pool.h"

#include <stdio.h>

#define KIB HK_TINY_LAST /* the class of 1024 bytes: 64 blocks to a slab */
#define PER_SLAB 64u
#define WRONG ((void *)0x4141414141414140)

static void *blocks[4 * PER_SLAB];
static struct hk_heap *mine, *other;

/* Two heaps, in a process that has had two threads: now locks are taken. */
static void begin(void)
{
    unit_second_thread();
    mine = fixture_heap();
    other = fixture_heap();
}

static void expect_free(struct hk_lock *lock)
{
    EXPECT(hk_try_lock(lock));
    hk_unlock(lock);
}

/* The slab's list was found, by the call before; nobody meets it again. */
static void expect_found(const struct hk_slab *slab)
{
    EXPECT(hk_corrupt_found.slab == slab->base && hk_corrupt_found.size == slab->block_size);
    hk_corrupt_found = (struct hk_corrupt){NULL, 0};
    expect_free(&mine->lock);
    expect_free(&other->lock);
    expect_free(&hk_orphan_heap.lock);
    expect_free(hk_pool_lock());
    fixture_check(mine);
    fixture_check(other);
    fixture_check(&hk_orphan_heap);
    for (unsigned i = 0; i < 4 * PER_SLAB; i++) {
        void *block;
        fixture_take(other, KIB, &block, 1);
        memset(block, 1, 1024); /* wild ones end the child */
        fixture_take(mine, KIB, &block, 1);
        memset(block, 1, 1024);
    }
    hk_heap_sweep();
    EXPECT(hk_corrupt_found.size == 0);
}

/* A slab of which 20 blocks came back, in one list each way; the link in the tenth of them is wrong. */
static struct hk_slab *own_list(void)
{
    fixture_take(mine, KIB, blocks, 2 * PER_SLAB);
    hk_heap_give(mine, blocks, 20);
    *(void **)blocks[10] = WRONG;
    return hk_slab_of(blocks[0]);
}

static void by_take(void *arg)
{
    unsigned n = *(unsigned *)arg;
    void *got[40];
    begin();
    struct hk_slab *slab = own_list();
    if (n == 1) {
        for (unsigned i = 0; i < 10; i++)
            EXPECT(hk_heap_take(mine, KIB, &got[39 - i], 1) == 1 && got[39 - i] == blocks[19 - i]);
        EXPECT(hk_corrupt_found.size == 0);
    }
    unsigned more = hk_heap_take(mine, KIB, &got[n == 1 ? 29 : 39], n);
    EXPECT(more >= 1 && more <= n);
    EXPECT(got[39] == blocks[19] && got[30] == blocks[10]);
    EXPECT(n != 1 || hk_slab_of(got[29]) != slab); /* of another slab, rather than none */
    expect_found(slab);
}

static void a_batch_ends_before_a_wrong_link(void **state)
{
    (void)state;
    unsigned one = 1, many = 30;
    unit_passes(by_take, &one);
    unit_passes(by_take, &many);
}

static void by_take_one(void *arg)
{
    (void)arg;
    begin();
    struct hk_slab *slab = own_list();
    hk_lock(&mine->lock);
    hk_heap_activate_locked(mine, slab);
    hk_unlock(&mine->lock);
    for (unsigned i = 20; i-- > 10;)
        EXPECT(hk_heap_take_one(mine, KIB) == blocks[i] && hk_corrupt_found.size == 0);
    EXPECT(hk_heap_take_one(mine, KIB) == NULL);
    expect_found(slab);
}

static void one_block_is_taken_up_to_a_wrong_link(void **state)
{
    (void)state;
    unit_passes(by_take_one, NULL);
}

/* The slab is somebody else's by the time it is found. */
static void by_adopter(void *arg)
{
    (void)arg;
    begin();
    void *got[40];
    struct hk_slab *slab = own_list();
    hk_heap_end(mine);
    mine = fixture_heap();
    EXPECT(hk_slab_owner(slab) == &hk_orphan_heap.owner);
    EXPECT(hk_heap_take(other, KIB, &got[39], 30) >= 10 && hk_slab_owner(slab) == &other->owner);
    expect_found(slab);
}

static void a_slab_that_was_adopted_is_no_exception(void **state)
{
    (void)state;
    unit_passes(by_adopter, NULL);
}

/* A slab with both lists in use, so that a chain which comes back is walked, and such a chain on its way. */
static struct hk_slab *chain_on_its_way(void)
{
    fixture_take(mine, KIB, blocks, 3 * PER_SLAB);
    struct hk_slab *slab = hk_slab_of(blocks[0]);
    for (unsigned i = 0; i < 2; i++) {
        hk_heap_give(other, blocks + 10 * i, 10);
        hk_heap_sweep();
    }
    EXPECT(slab->free != NULL && slab->spare != NULL);
    hk_heap_give(other, blocks + 20, 10);
    EXPECT(hk_remote_count(slab) == 10);
    *(void **)blocks[25] = WRONG;
    return slab;
}

enum collector { BY_SWEEP, BY_TAKE, BY_ZERO, BY_END, BY_PUSHER, BY_STRAY, COLLECTORS };

static void collect(void *arg)
{
    void *block;
    begin();
    struct hk_slab *slab = chain_on_its_way();
    switch (*(enum collector *)arg) {
    case BY_SWEEP:
        hk_heap_sweep();
        break;
    case BY_TAKE: /* of another class: it has no slab */
        EXPECT(hk_heap_take(mine, KIB - 1, &block, 1) == 1 && hk_slab_of(block)->cls == KIB - 1);
        break;
    case BY_ZERO:
        EXPECT(hk_heap_take_zero(mine, KIB + 1) != NULL);
        break;
    case BY_END:
        hk_heap_end(mine);
        mine = fixture_heap();
        break;
    case BY_PUSHER: /* the owner is gone: who pushes next collects, and meets the slab on its stack */
        EXPECT(hk_remote_take_woken(&mine->owner) == slab);
        hk_heap_end(mine);
        mine = fixture_heap();
        hk_remote_wake(&hk_orphan_heap.owner, slab);
        hk_heap_give(other, blocks + 2 * PER_SLAB, 1);
        break;
    default: /* found on the stack of a heap that does not own it */
        EXPECT(hk_remote_take_woken(&mine->owner) == slab);
        hk_remote_wake(&other->owner, slab);
        hk_heap_sweep();
    }
    EXPECT(slab->used >= PER_SLAB - 20); /* the chain is lost */
    expect_found(slab);
}

static void a_chain_with_a_wrong_link_is_lost(void **state)
{
    (void)state;
    for (enum collector who = 0; who < COLLECTORS; who++)
        unit_passes(collect, &who);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_ends_before_a_wrong_link),
        cmocka_unit_test(one_block_is_taken_up_to_a_wrong_link),
        cmocka_unit_test(a_slab_that_was_adopted_is_no_exception),
        cmocka_unit_test(a_chain_with_a_wrong_link_is_lost),
    };
    if (HK_CHECK_FULL) {
        puts("skipped: -Dcheck=full walks lists first, and takes a wrong link for an error of ours");
        return 77;
    }
    return cmocka_run_group_tests_name("heap_corrupt", tests, NULL, NULL);
}
