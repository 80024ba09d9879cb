/* SPDX-License-Identifier: MIT */
#include "slab_fixture.h"

#include "fake_os.h"
#include "remote_batch.h"

#include <pthread.h>
#include <sched.h>

static struct hk_superslab *ss;
static struct hk_owner owner;

static int set_up(void **state)
{
    (void)state;
    ss = fixture_superslab();
    memset(&owner, 0, sizeof owner);
    owner.state = HK_OWNER_ALIVE;
    return 0;
}

static void take(struct hk_slab *slab, void **blocks, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(hk_slab_take(slab, &blocks[i], 1), 1);
}

static struct hk_owner *push(struct hk_slab *slab, void **blocks, unsigned n)
{
    struct hk_chain chain = {slab, fixture_chain(blocks, n), blocks[n - 1], n};
    return hk_remote_push(&chain);
}

static void a_chain_comes_back_as_it_was_pushed(void **state)
{
    (void)state;
    void *blocks[5];
    unsigned count;
    struct hk_slab *slab = fixture_open(ss, 3, 10, &owner);
    take(slab, blocks, 5);
    assert_false(hk_remote_has_woken(&owner));
    assert_null(push(slab, blocks, 5));
    assert_true(hk_remote_has_woken(&owner));
    assert_int_equal(hk_remote_count(slab), 5);
    assert_int_equal(slab->used, 5); /* blocks on their way count as used */
    assert_ptr_equal(hk_remote_take_woken(&owner), slab);
    assert_null(slab->wake_next);
    assert_false(hk_remote_has_woken(&owner));
    assert_int_equal(hk_remote_count(slab), 5); /* the word is the authority until it is taken */
    void *block = hk_remote_take(slab, &count);
    assert_int_equal(count, 5);
    assert_int_equal(hk_remote_count(slab), 0);
    for (unsigned i = 0; i < 5; i++) {
        assert_ptr_equal(block, blocks[i]);
        block = hk_link_of(block);
    }
    assert_null(block);
    assert_null(hk_remote_take(slab, &count));
    assert_int_equal(count, 0);
    assert_null(hk_remote_take_woken(&owner));
}

static void a_slab_is_on_the_stack_once(void **state)
{
    (void)state;
    void *blocks[9];
    unsigned count;
    struct hk_slab *slab = fixture_open(ss, 0, 3, &owner);
    take(slab, blocks, 9);
    push(slab, blocks, 2);
    push(slab, blocks + 2, 3);
    push(slab, blocks + 5, 4);
    assert_int_equal(hk_remote_count(slab), 9);
    assert_int_equal(owner.queued, 1);
    assert_ptr_equal(hk_remote_take_woken(&owner), slab);
    assert_null(slab->wake_next);
    /* Between the two takes: the word is not zero, so who pushes now wakes nobody. */
    void *block = hk_remote_take(slab, &count);
    assert_int_equal(count, 9);
    const unsigned order[] = {5, 6, 7, 8, 2, 3, 4, 0, 1};
    for (unsigned i = 0; i < 9; i++) {
        assert_ptr_equal(block, blocks[order[i]]);
        block = hk_link_of(block);
    }
    assert_null(block);
}

static void a_push_between_the_two_takes_wakes_nobody(void **state)
{
    (void)state;
    void *blocks[4];
    unsigned count;
    struct hk_slab *slab = fixture_open(ss, 0, 3, &owner);
    take(slab, blocks, 4);
    push(slab, blocks, 1);
    assert_ptr_equal(hk_remote_take_woken(&owner), slab);
    push(slab, blocks + 1, 2);
    assert_false(hk_remote_has_woken(&owner));
    hk_remote_take(slab, &count);
    assert_int_equal(count, 3); /* and is not lost */
    push(slab, blocks + 3, 1);
    assert_ptr_equal(hk_remote_take_woken(&owner), slab);
}

static void the_wake_stack_holds_every_slab(void **state)
{
    (void)state;
    void *block;
    for (unsigned i = 0; i < 8; i++) {
        struct hk_slab *slab = fixture_open(ss, i, 20, &owner);
        take(slab, &block, 1);
        assert_null(push(slab, &block, 1));
    }
    struct hk_slab *slab = hk_remote_take_woken(&owner);
    for (unsigned i = 8; i-- > 0; slab = slab->wake_next)
        assert_ptr_equal(slab, &ss->slab[i]);
    assert_null(slab);
    assert_null(hk_remote_take_woken(&owner));
    hk_remote_wake(&owner, &ss->slab[5]); /* by hand, as who forwards does */
    assert_ptr_equal(hk_remote_take_woken(&owner), &ss->slab[5]);
}

/* 32 slabs wait unnoticed; from then on each push says that the owner may be asleep, until it collects. */
static void an_owner_that_lets_many_slabs_wait_is_reported(void **state)
{
    (void)state;
    struct hk_superslab *other = fixture_superslab();
    void *block;
    for (unsigned i = 0; i < 40; i++) {
        struct hk_slab *slab = fixture_open(i < 32 ? ss : other, i % 32, 12, &owner);
        take(slab, &block, 1);
        assert_ptr_equal(push(slab, &block, 1), i < 32 ? NULL : &owner);
    }
    unsigned woken = 0;
    for (struct hk_slab *slab = hk_remote_take_woken(&owner); slab != NULL; slab = slab->wake_next)
        woken++;
    assert_int_equal(woken, 40);
    struct hk_slab *slab = fixture_open(other, 31, 12, &owner);
    take(slab, &block, 1);
    assert_null(push(slab, &block, 1));
}

static void an_owner_whose_thread_is_gone_is_reported(void **state)
{
    (void)state;
    void *blocks[2];
    const uint32_t states[] = {HK_OWNER_NONE, HK_OWNER_GONE};
    for (unsigned i = 0; i < 2; i++) {
        struct hk_slab *slab = fixture_open(ss, i, 3, &owner);
        take(slab, blocks, 2);
        owner.state = states[i];
        assert_ptr_equal(push(slab, blocks, 1), &owner);
        assert_null(push(slab, blocks + 1, 1)); /* the slab waits on the stack already */
    }
}

static void a_full_slab_fits_into_the_word(void **state)
{
    (void)state;
    static void *blocks[4096];
    unsigned count;
    struct hk_slab *slab = fixture_open(ss, 0, 1, &owner);
    assert_int_equal(slab->capacity, 4096);
    take(slab, blocks, 4096);
    push(slab, blocks, 4095);
    push(slab, blocks + 4095, 1);
    assert_int_equal(hk_remote_count(slab), 4096);
    hk_slab_put_chain(slab, hk_remote_take(slab, &count), 4096);
    assert_int_equal(count, 4096);
    assert_true(hk_slab_check(slab));
}

/* ---- batches ---- */

static void add_all(struct hk_remote_batch *batch, void **blocks, unsigned n)
{
    for (unsigned i = 0; i < n;) {
        unsigned end = hk_remote_add(batch, hk_slab_of(blocks[i]), blocks, i, n);
        EXPECT(end > i && end <= n);
        EXPECT(end == n || hk_slab_of(blocks[end]) != hk_slab_of(blocks[i]) || hk_remote_is_full(&batch->sent));
        i = end;
    }
}

/* Every chain has the blocks that it says, and all of them come back. */
static unsigned merge_all(void)
{
    unsigned merged = 0;
    for (struct hk_slab *slab = hk_remote_take_woken(&owner), *next; slab != NULL; slab = next) {
        unsigned count;
        next = slab->wake_next;
        void *first = hk_remote_take(slab, &count);
        hk_slab_put_chain(slab, first, count);
        assert_true(hk_slab_check(slab));
        merged += count;
    }
    return merged;
}

#define BATCH_SLABS 12u
#define BATCH_BLOCKS 5u

static void a_batch_brings_every_block_home(void **state)
{
    (void)state;
    struct hk_remote_batch batch;
    void *blocks[BATCH_SLABS * BATCH_BLOCKS];
    for (unsigned s = 0; s < BATCH_SLABS; s++)
        take(fixture_open(ss, s, 10, &owner), &blocks[s * BATCH_BLOCKS], BATCH_BLOCKS);
    hk_remote_begin(&batch);
    add_all(&batch, blocks, HK_COUNT(blocks));
    hk_remote_end(&batch);
    assert_int_equal(batch.sent.owners, 0);
    assert_int_equal(batch.sent.chains, HK_REMOTE_SLOTS ? BATCH_SLABS : HK_COUNT(blocks));
    assert_int_equal(merge_all(), HK_COUNT(blocks));
    for (unsigned s = 0; s < BATCH_SLABS; s++)
        assert_int_equal(ss->slab[s].used, 0);
}

/* `chain` holds blocks back until the slab's slot is needed or the batch ends, `cas` holds none. */
static void what_a_batch_holds_back(void **state)
{
    (void)state;
    struct hk_remote_batch batch;
    void *blocks[3];
    struct hk_slab *slab = fixture_open(ss, 0, 10, &owner);
    take(slab, blocks, 3);
    hk_remote_begin(&batch);
    assert_int_equal(hk_remote_add(&batch, slab, blocks, 0, 3), 3);
    assert_int_equal(hk_remote_count(slab), HK_REMOTE_SLOTS ? 0 : 3);
    struct hk_slab *same_slot = fixture_open(ss, 8, 10, &owner);
    void *other;
    take(same_slot, &other, 1);
    hk_remote_add(&batch, same_slot, &other, 0, 1);
    assert_int_equal(hk_remote_count(slab), 3);
    hk_remote_end(&batch);
    assert_int_equal(hk_remote_count(same_slot), 1);
    assert_int_equal(merge_all(), 4);
}

#define OWNERS (HK_SLABS / 2)

static struct hk_owner gone[OWNERS];

static void note_waiting(struct hk_remote_sent *sent, unsigned *times)
{
    assert_true(sent->owners <= HK_COUNT(sent->owner));
    for (unsigned i = 0; i < sent->owners; i++)
        times[sent->owner[i] - gone]++;
    sent->owners = 0;
}

/* Each owner that is gone has to be collected for, but not once per slab where its slabs follow one another. */
static void a_batch_remembers_owners_to_collect_for(void **state)
{
    (void)state;
    struct hk_remote_batch batch;
    void *blocks[HK_SLABS][2];
    unsigned times[OWNERS] = {0}, sum = 0;
    hk_remote_begin(&batch);
    for (unsigned s = 0; s < HK_SLABS; s++) {
        gone[s / 2].state = HK_OWNER_GONE;
        take(fixture_open(ss, s, 10, &gone[s / 2]), blocks[s], 2);
    }
    for (unsigned s = 0; s < HK_SLABS; s++) {
        add_all(&batch, blocks[s], 2);
        if (hk_remote_is_full(&batch.sent))
            note_waiting(&batch.sent, times);
    }
    hk_remote_end(&batch);
    note_waiting(&batch.sent, times);
    for (unsigned i = 0; i < OWNERS; i++) {
        assert_true(times[i] >= 1);
        sum += times[i];
    }
    assert_true(sum <= OWNERS + HK_SLABS / HK_REMOTE_OWNERS);
    for (unsigned s = 0; s < HK_SLABS; s++)
        assert_int_equal(hk_remote_count(&ss->slab[s]), 2);
}

/* ---- threads ---- */

#define PUSHERS 3
#define SLABS 8
#define PER_PUSHER 90 /* blocks of each slab that one pusher has */
#define ROUNDS 40

static struct hk_slab *slab_of_round[SLABS];
static void *handed_out[PUSHERS][SLABS][PER_PUSHER];
static _Atomic unsigned pushers_done;
static pthread_barrier_t round_start;

static void *push_all(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    uint64_t seed = me + 1;
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned next[SLABS] = {0}, left = SLABS * PER_PUSHER;
        pthread_barrier_wait(&round_start);
        while (left > 0) {
            unsigned s = (unsigned)unit_random(&seed, SLABS);
            unsigned n = (unsigned)hk_min(1 + unit_random(&seed, 8), PER_PUSHER - next[s]);
            if (n == 0)
                continue;
            EXPECT(push(slab_of_round[s], &handed_out[me][s][next[s]], n) == NULL || owner.state != HK_OWNER_ALIVE);
            next[s] += n;
            left -= n;
        }
        pushers_done++;
        pthread_barrier_wait(&round_start);
    }
    return NULL;
}

static void collect_once(unsigned *merged)
{
    for (struct hk_slab *slab = hk_remote_take_woken(&owner), *next; slab != NULL; slab = next) {
        unsigned count;
        next = slab->wake_next;
        void *first = hk_remote_take(slab, &count);
        EXPECT(count > 0);
        hk_slab_put_chain(slab, first, count);
        EXPECT(hk_slab_check(slab)); /* the chain has as many blocks as it says */
        *merged += count;
    }
}

/* Every block comes back exactly once, whatever the order of pushes and collects. */
static void many_push_and_one_collects(void **state)
{
    (void)state;
    pthread_t threads[PUSHERS];
    pthread_barrier_init(&round_start, NULL, PUSHERS + 1);
    for (unsigned s = 0; s < SLABS; s++)
        slab_of_round[s] = fixture_open(ss, s, 4, &owner);
    for (uintptr_t i = 0; i < PUSHERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, push_all, (void *)i), 0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned merged = 0;
        for (unsigned s = 0; s < SLABS; s++) {
            for (unsigned i = 0; i < PUSHERS; i++)
                take(slab_of_round[s], handed_out[i][s], PER_PUSHER);
            assert_int_equal(slab_of_round[s]->used, PUSHERS * PER_PUSHER);
        }
        pushers_done = 0;
        pthread_barrier_wait(&round_start);
        while (pushers_done < PUSHERS) {
            collect_once(&merged);
            sched_yield();
        }
        pthread_barrier_wait(&round_start);
        collect_once(&merged);
        assert_int_equal(merged, PUSHERS * SLABS * PER_PUSHER);
        for (unsigned s = 0; s < SLABS; s++) {
            assert_int_equal(slab_of_round[s]->used, 0);
            assert_int_equal(slab_of_round[s]->carved, PUSHERS * PER_PUSHER); /* the same blocks again and again */
            assert_int_equal(hk_remote_count(slab_of_round[s]), 0);
        }
    }
    for (unsigned i = 0; i < PUSHERS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&round_start);
    assert_false(hk_remote_has_woken(&owner));
}

/* The protocol's two fences: whoever comes second, a pusher or a heap that ends, takes care of the chain. */
static struct hk_owner *_Atomic reported;

static void *push_one(void *arg)
{
    pthread_barrier_wait(&round_start);
    reported = push(slab_of_round[0], arg, 1);
    pthread_barrier_wait(&round_start);
    return NULL;
}

static void no_chain_is_left_with_an_owner_that_ends(void **state)
{
    (void)state;
    pthread_barrier_init(&round_start, NULL, 2);
    slab_of_round[0] = fixture_open(ss, 0, 4, &owner);
    for (unsigned i = 0; i < 300; i++) {
        pthread_t thread;
        void *block;
        unsigned merged = 0;
        take(slab_of_round[0], &block, 1);
        owner.state = HK_OWNER_ALIVE;
        assert_int_equal(pthread_create(&thread, NULL, push_one, &block), 0);
        pthread_barrier_wait(&round_start);
        hk_store_relaxed(&owner.state, HK_OWNER_GONE);
        hk_fence_full();
        collect_once(&merged);
        pthread_barrier_wait(&round_start);
        pthread_join(thread, NULL);
        assert_true(merged == 1 || reported == &owner);
        collect_once(&merged);
        assert_int_equal(merged, 1);
    }
    pthread_barrier_destroy(&round_start);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_chain_comes_back_as_it_was_pushed, set_up),
        cmocka_unit_test_setup(a_slab_is_on_the_stack_once, set_up),
        cmocka_unit_test_setup(a_push_between_the_two_takes_wakes_nobody, set_up),
        cmocka_unit_test_setup(the_wake_stack_holds_every_slab, set_up),
        cmocka_unit_test_setup(an_owner_that_lets_many_slabs_wait_is_reported, set_up),
        cmocka_unit_test_setup(an_owner_whose_thread_is_gone_is_reported, set_up),
        cmocka_unit_test_setup(a_full_slab_fits_into_the_word, set_up),
        cmocka_unit_test_setup(a_batch_brings_every_block_home, set_up),
        cmocka_unit_test_setup(what_a_batch_holds_back, set_up),
        cmocka_unit_test_setup(a_batch_remembers_owners_to_collect_for, set_up),
        cmocka_unit_test_setup(many_push_and_one_collects, set_up),
        cmocka_unit_test_setup(no_chain_is_left_with_an_owner_that_ends, set_up),
    };
    return cmocka_run_group_tests_name("remote", tests, NULL, NULL);
}
