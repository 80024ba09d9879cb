/* SPDX-License-Identifier: MIT
 *
 * What is special about the front whose blocks belong to processors. Each case runs in a child, on one processor but
 * where it says so. Run once more where the C library has registered no area (GLIBC_TUNABLES): then each thread has a
 * shelf of its own, and what threads share is not tested.
 */
#include "front_fixture.h"

#include "base/options.h"
#include "box/purge.h"
#include "fake_os.h"
#include "front/percpu/shelf.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define SIZE 64u
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

static struct hk_shelf *shelf(void)
{
    return hk_shelf_here(front_self());
}

static void run(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, body, arg) == 0 && pthread_join(thread, NULL) == 0);
}

/* Blocks for a shelf with room for `cap`, of which it has `count`. */
static void prepare_shelf(unsigned cap, unsigned count)
{
    front_free(front_take(SIZE));
    hk_front_flush_all(front_self());
    hk_shelf_grow(shelf(), cls(), cap);
    for (unsigned i = 0; i < count; i++)
        EXPECT(hk_heap_take(hk_front_heap(front_self()), cls(), &blocks[i], 1) == 1);
    EXPECT(hk_section_push_many(bin()->table, bin()->at, blocks, count) == count);
    EXPECT(hk_shelf_count(shelf(), cls()) == count && hk_shelf_cap(shelf(), cls()) == cap);
}

static void is_there(void **state)
{
    const char *tunables = getenv("GLIBC_TUNABLES");
    (void)state;
    assert_int_equal(sizeof(struct hk_bin), 16);
    front_free(front_take(SIZE)); /* the only case in this process */
    if (hk_front_processors() == 0) {
        puts("each thread has a shelf of its own");
        assert_true(tunables != NULL || HK_THREAD_SANITIZER);
    }
}

/* ---- on one processor ---- */

static void newest_first(void *arg)
{
    (void)arg;
    prepare_shelf(20, 0);
    for (unsigned i = 0; i < 20; i++)
        EXPECT(hk_heap_take(hk_front_heap(front_self()), cls(), &blocks[i], 1) == 1);
    struct hk_front_metrics before = front_self()->metrics[cls()];
    for (unsigned i = 0; i < 20; i++) {
        ((uintptr_t *)blocks[i])[1] = 0;
        front_free(blocks[i]);
        EXPECT(hk_shelf_count(shelf(), cls()) == i + 1);
    }
    front_check();
    for (unsigned i = 20; i-- > 0;)
        EXPECT(front_malloc(SIZE) == blocks[i]);
    EXPECT(hk_bin_is_empty(hk_front_bin(hk_front_self(), hk_code_of_class(cls()))));
    EXPECT(memcmp(&before, &front_self()->metrics[cls()], sizeof before) == 0); /* no slow path saw it */
}

static void the_newest_block_comes_first(void **state)
{
    (void)state;
    unit_passes(newest_first, NULL);
}

/* A batch stops where there is no more, or no more room; of nothing it moves nothing. */
static void move_batches(void *arg)
{
    void *out[64];
    (void)arg;
    prepare_shelf(40, 0);
    for (unsigned i = 0; i < 64; i++)
        EXPECT(hk_heap_take(hk_front_heap(front_self()), cls(), &blocks[i], 1) == 1);
    EXPECT(hk_section_push_many(bin()->table, bin()->at, blocks, 0) == 0);
    EXPECT(hk_section_push_many(bin()->table, bin()->at, blocks, 30) == 30);
    EXPECT(hk_section_push_many(bin()->table, bin()->at, blocks + 30, 34) == 10);
    EXPECT(hk_section_push_many(bin()->table, bin()->at, blocks + 40, 24) == 0);
    EXPECT(!hk_section_push(bin()->table, bin()->at, blocks[40]));
    front_check();
    EXPECT(hk_section_pop_many(bin()->table, bin()->at, out, 0) == 0);
    EXPECT(hk_section_pop_many(bin()->table, bin()->at, out, 15) == 15);
    EXPECT(memcmp(out, blocks + 25, 15 * sizeof *out) == 0);
    EXPECT(hk_section_pop_many(bin()->table, bin()->at, out, 64) == 25);
    EXPECT(memcmp(out, blocks, 25 * sizeof *out) == 0);
    EXPECT(hk_section_pop_many(bin()->table, bin()->at, out, 64) == 0);
    EXPECT(!hk_section_pop(bin()->table, bin()->at, out));
    front_check();
}

static void batches_end_where_the_shelf_does(void **state)
{
    (void)state;
    unit_passes(move_batches, NULL);
}

/* A shelf that somebody has is empty and full for all others; blocks pass it by. */
static void go_without(void *arg)
{
    void *out;
    (void)arg;
    prepare_shelf(40, 20);
    struct hk_thread *thread = front_self();
    struct hk_shelf *mine = shelf();
    unsigned at = hk_rseq_processor();
    EXPECT(hk_shelf_take_away(thread, at) && hk_shelf_settle() && hk_shelf_taken(thread, at) == mine);
    EXPECT(!hk_shelf_take_away(thread, at)); /* one has it */
    EXPECT(!hk_section_pop(bin()->table, bin()->at, &out) && !hk_section_push(bin()->table, bin()->at, blocks[0]));
    EXPECT(hk_section_pop_many(bin()->table, bin()->at, &out, 1) == 0);
    EXPECT(hk_section_push_many(bin()->table, bin()->at, blocks, 1) == 0);
    void *p = front_take(SIZE), *q = front_take(5000);
    front_free(p);
    front_free(q);
    EXPECT(hk_shelf_count(mine, cls()) == 20);
    EXPECT(hk_heap_check(hk_front_heap(thread)));
    hk_shelf_put_back(thread, at);
    EXPECT(hk_shelf_taken(thread, at) == NULL && front_malloc(SIZE) == blocks[19]);
    front_check();
}

static void while_somebody_has_a_shelf_all_go_without(void **state)
{
    (void)state;
    unit_passes(go_without, NULL);
}

/* Who frees a shuffled heap keeps next to nothing, and who allocates again has bins again. */
static void drain(void *arg)
{
    uint64_t seed = 21;
    (void)arg;
    for (unsigned i = 0; i < MOST; i++)
        blocks[i] = front_take(16 + unit_random(&seed, 1009));
    for (unsigned i = 0; i < MOST; i++) {
        front_free(blocks[i * 7919ull % MOST]); /* a prime */
        if (i % 1000 == 0)
            front_check();
    }
    EXPECT(hk_load_relaxed(&shelf()->draining) && front_held() == 0);
    hk_purge_now(0);
    EXPECT(hk_front_heap(front_self())->slabs == 0);
    for (unsigned i = 0; i < 100; i++)
        blocks[i] = front_take(SIZE);
    EXPECT(!hk_load_relaxed(&shelf()->draining) && hk_shelf_cap(shelf(), cls()) >= 8);
    front_check();
}

static void who_frees_at_random_keeps_next_to_nothing(void **state)
{
    (void)state;
    unit_passes(drain, NULL);
}

/* However much is freed. */
static void fill_all(void *arg)
{
    (void)arg;
    EXPECT(hk_option_store(HK_OPT_FRONT_BYTES, 65536));
    for (unsigned c = 1; c < HK_CLASS_COUNT; c++) {
        unsigned n = (unsigned)hk_min(4 * HK_MIB / hk_class_size(c), MOST);
        for (unsigned i = 0; i < n; i++)
            blocks[i] = front_take(hk_class_size(c));
        for (unsigned i = 0; i < n; i++)
            front_free(blocks[i]);
        EXPECT(hk_shelf_count(shelf(), c) <= hk_percpu_most(c));
    }
    front_check();
    size_t most = 0;
    for (unsigned c = 1; c < HK_CLASS_COUNT; c++)
        most += hk_percpu_most(c) * hk_class_size(c);
    EXPECT(front_held() <= most);
}

static void a_shelf_has_a_bound(void **state)
{
    (void)state;
    unit_passes(fill_all, NULL);
}

/* ---- threads on one processor ---- */

static void *leave_on_shelf(void *arg)
{
    for (unsigned i = 0; i < 10; i++)
        blocks[i] = front_take(SIZE);
    for (unsigned i = 0; i < 10; i++)
        front_free(blocks[i]);
    EXPECT(&front_self()->heap != hk_front_heap(front_self()) && front_self()->heap.slabs == 0);
    return arg;
}

static void share(void *arg)
{
    (void)arg;
    run(leave_on_shelf, NULL);
    front_free(front_take(5000)); /* a record, and bins */
    EXPECT(front_malloc(SIZE) == blocks[9]);
    EXPECT(hk_front_heap(front_self())->slabs != 0 && front_self()->heap.slabs == 0);
    size_t held = front_held();
    EXPECT(held >= 9 * SIZE);
    hk_front_flush_own(front_self());
    EXPECT(front_held() == held);
    hk_front_flush_all(front_self());
    EXPECT(front_held() == 0);
}

static void what_a_thread_leaves_the_next_one_takes(void **state)
{
    (void)state;
    if (hk_front_processors() != 0)
        unit_passes(share, NULL);
}

/* A thread that the kernel does not know has no bins, and blocks all the same. */
static void *take_and_free_unknown(void *arg)
{
    EXPECT(syscall(SYS_rseq, hk_rseq_area(), 32, 1, 0x53053053) == 0);
    EXPECT(hk_rseq_processor() > INT32_MAX);
    for (unsigned i = 0; i < 3000; i++)
        memset(blocks[i] = front_take(1 + i * 7), 1, 1 + i * 7);
    EXPECT(hk_shelf_table(front_self()) == NULL && hk_front_heap(front_self()) == &front_self()->heap);
    for (unsigned i = 0; i < 3000; i++)
        front_free(blocks[i]);
    hk_front_flush_all(front_self());
    front_check();
    EXPECT(hk_heap_check(&front_self()->heap));
    return arg;
}

static void be_unknown(void *arg)
{
    front_free(front_take(SIZE)); /* the areas are known */
    run(take_and_free_unknown, arg);
    EXPECT(front_owned_slabs() == 0);
}

static void a_thread_that_the_kernel_does_not_know_goes_without(void **state)
{
    (void)state;
    if (hk_front_processors() != 0)
        unit_passes(be_unknown, NULL);
}

/* Somebody was emptying a shelf and is not in the child. */
static void *take_and_stay(void *arg)
{
    front_free(front_take(5000));
    EXPECT(hk_shelf_take_away(front_self(), hk_rseq_processor()));
    return arg;
}

static void find_it_back(void *arg)
{
    (void)arg;
    prepare_shelf(40, 20);
    run(take_and_stay, NULL);
    EXPECT(hk_load_relaxed(&bin()->table[hk_rseq_processor()]) != shelf());
    hk_percpu_fork_child(front_self());
    front_check();
    EXPECT(front_malloc(SIZE) == blocks[19]);
    EXPECT(hk_shelf_take_away(front_self(), hk_rseq_processor())); /* this thread itself forks, in a handler */
    hk_percpu_fork_child(front_self());
    EXPECT(hk_shelf_taken(front_self(), hk_rseq_processor()) == shelf());
    hk_shelf_put_back(front_self(), hk_rseq_processor());
    front_check();
}

static void a_child_has_the_shelves_of_who_stayed_behind(void **state)
{
    (void)state;
    if (hk_front_processors() != 0)
        unit_passes(find_it_back, NULL);
}

/* A handler that allocates, whatever it interrupts. The timer comes at any instruction; where it is inside the gate,
 * blocks come from elsewhere. */
static volatile sig_atomic_t handled;

static void use_in_handler(int signum)
{
    (void)signum;
    unsigned char *p = front_take(SIZE), *q = front_take(SIZE);
    memset(p, 1, SIZE);
    memset(q, 2, SIZE);
    EXPECT(p != q && p[SIZE - 1] == 1);
    front_free(p);
    front_free(q);
    handled++;
}

static void be_interrupted(void *arg)
{
    struct itimerval often = {{0, 100}, {0, 100}};
    (void)arg;
    front_free(front_take(SIZE));
    signal(SIGALRM, use_in_handler);
    EXPECT(setitimer(ITIMER_REAL, &often, NULL) == 0);
    while (handled < 2000) {
        for (unsigned i = 0; i < 100; i++)
            memset(blocks[i] = front_take(SIZE), (int)i, SIZE);
        for (unsigned i = 0; i < 100; i++) {
            EXPECT(((unsigned char *)blocks[i])[0] == i && ((unsigned char *)blocks[i])[SIZE - 1] == i);
            front_free(blocks[i]);
        }
    }
    EXPECT(setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL) == 0);
    front_check();
}

static void a_handler_may_use_the_shelf_that_it_interrupts(void **state)
{
    (void)state;
    if (hk_front_processors() != 0)
        unit_passes(be_interrupted, NULL);
}

/* ---- threads on all processors ---- */

static _Atomic bool stop;

/* Each block has one owner, who finds in it what he wrote. */
static void *work(void *arg)
{
    uint64_t seed = 1 + (uintptr_t)arg;
    unsigned char *own[64] = {NULL}, mark = (unsigned char)(uintptr_t)arg;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((uintptr_t)arg % (unsigned)sysconf(_SC_NPROCESSORS_ONLN), &one);
    sched_setaffinity(0, sizeof one, &one); /* where it may not, it stays */
    for (unsigned i = 0; !hk_load_relaxed(&stop); i++) {
        unsigned char **slot = &own[unit_random(&seed, 64)];
        if (*slot != NULL) {
            EXPECT((*slot)[0] == mark && (*slot)[SIZE - 1] == mark);
            front_free(*slot);
            *slot = NULL;
        } else {
            *slot = front_take(SIZE);
            memset(*slot, mark, SIZE);
        }
    }
    for (unsigned i = 0; i < 64; i++)
        front_free(own[i]);
    return NULL;
}

static void empty_beside(void *arg)
{
    pthread_t threads[8];
    (void)arg;
    for (uintptr_t i = 0; i < 8; i++)
        EXPECT(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
    for (unsigned i = 0; i < 3000; i++) {
        front_free(front_take(SIZE));
        hk_front_flush_all(front_self());
        if (i % 50 == 0)
            usleep(1000);
    }
    hk_store_relaxed(&stop, true);
    for (unsigned i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    front_check();
    hk_front_flush_all(front_self());
    EXPECT(front_held() == 0 && front_owned_slabs() == 0);
}

static void shelves_can_be_emptied_beside_their_users(void **state)
{
    (void)state;
    unit_passes(empty_beside, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_there),
        cmocka_unit_test(the_newest_block_comes_first),
        cmocka_unit_test(batches_end_where_the_shelf_does),
        cmocka_unit_test(while_somebody_has_a_shelf_all_go_without),
        cmocka_unit_test(who_frees_at_random_keeps_next_to_nothing),
        cmocka_unit_test(a_shelf_has_a_bound),
        cmocka_unit_test(what_a_thread_leaves_the_next_one_takes),
        cmocka_unit_test(a_thread_that_the_kernel_does_not_know_goes_without),
        cmocka_unit_test(a_child_has_the_shelves_of_who_stayed_behind),
        cmocka_unit_test(a_handler_may_use_the_shelf_that_it_interrupts),
        cmocka_unit_test(shelves_can_be_emptied_beside_their_users),
    };
    return cmocka_run_group_tests_name("front_percpu", tests, NULL, NULL);
}
