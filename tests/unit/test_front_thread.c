/* SPDX-License-Identifier: MIT
 *
 * Fronts of threads that begin and end. Each case runs in a child.
 */
#include "front_fixture.h"

#include "base/options.h"
#include "large/huge.h"
#include "box/pool.h"
#include "box/purge.h"
#include "box/side.h"
#include "fake_os.h"
#include "pages/meta.h"
#include "pages/ss_arena.h"

#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void run(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, body, arg) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
}

static void take_and_free(const size_t *sizes)
{
    void *blocks[100];
    for (; *sizes != 0; sizes++) {
        for (unsigned i = 0; i < 100; i++)
            memset(blocks[i] = front_take(*sizes), (int)i, *sizes);
        for (unsigned i = 0; i < 100; i++)
            front_free(blocks[i]);
    }
}

static void *use_sizes(void *arg)
{
    take_and_free(arg);
    front_free(front_take(16)); /* ends the drain, if that was one */
    front_check();
    EXPECT(front_held() > 0);
    return NULL;
}

static void flush_all(void *arg)
{
    (void)arg;
    use_sizes((size_t[]){16, 100, 1000, 5000, 0});
    hk_front_flush_all(front_self());
    EXPECT(front_held() == 0);
    front_check();
    EXPECT(front_owned_slabs() == 0);
    front_take(16);
    front_check();
}

static void a_front_can_be_emptied(void **state)
{
    (void)state;
    unit_passes(flush_all, NULL);
}

static void end_thread(void *arg)
{
    (void)arg;
    run(use_sizes, (size_t[]){16, 100, 1000, 5000, 20000, 0});
    EXPECT(front_owned_slabs() == 0); /* its end emptied its front and its heap */
    EXPECT(hk_heap_check(&hk_orphan_heap));
}

static void a_thread_leaves_nothing_behind(void **state)
{
    (void)state;
    unit_passes(end_thread, NULL);
}

/* Statistics look at records of threads that have ended, too: their bins may be gone. */
static struct hk_thread *counted;

static void *use_and_count(void *arg)
{
    take_and_free(arg);
    counted = front_self();
    EXPECT(HK_FRONT_PERCPU || hk_front_count(counted, hk_class_of(16)) > 0); /* else it is no thread's */
    return NULL;
}

static void count_after_end(void *arg)
{
    (void)arg;
    run(use_and_count, (size_t[]){16, 0});
    EXPECT(hk_load_relaxed(&counted->seen) == NULL);
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++)
        EXPECT(hk_front_count(counted, cls) == 0);
}

static void nothing_is_counted_of_a_thread_that_ended(void **state)
{
    (void)state;
    unit_passes(count_after_end, NULL);
}

/* A record keeps the arrays of the classes that an earlier thread used, and a later one does not. */
static void reuse_record(void *arg)
{
    (void)arg;
    size_t sizes[6][4] = {{16, 64, 1000, 0}, {64, 0}, {3000, 0}, {16, 20000, 0}, {500, 16, 0}, {32000, 64, 0}};
    EXPECT(front_owned_slabs() == 0); /* may make this thread a record */
    for (unsigned i = 0; i < 6; i++)
        run(use_sizes, sizes[i]);
    size_t meta = hk_meta_used();
    for (unsigned i = 0; i < 300; i++) {
        run(use_sizes, sizes[i % 6]);
        EXPECT(front_owned_slabs() == 0);
    }
    if (HK_EMPTY_REUSE) /* else as many SuperSlabs as blocks in the front happen to pin, each with a record */
        EXPECT(hk_meta_used() == meta);
    EXPECT(hk_arena_live() <= HK_SUPERSLAB_SIZE);
}

static void records_are_used_again(void **state)
{
    (void)state;
    unit_passes(reuse_record, NULL);
}

/* While a thread ends, somebody forks: it is inside with its pass until it has nothing any more, outside when it offers
 * its record, with the pass, to the next thread; and that it does inside again. */
static _Thread_local bool is_ending;
static _Atomic(struct hk_thread *) ending;

static void wait_for_fork(void)
{
    if (!is_ending)
        return;
    EXPECT(hk_front_thread() != NULL && hk_front_thread()->pass.state == HK_PASS_INSIDE);
    ending = hk_front_thread();
    while (hk_gate_forks == 0)
        usleep(1000);
}

static void *end_beside_fork(void *arg)
{
    use_sizes((size_t[]){16, 1000, 20000, 0});
    is_ending = true;
    return arg;
}

static void fork_beside_end(void *arg)
{
    (void)arg;
    pthread_t thread;
    front_free(front_take(1));
    EXPECT(hk_option_store(HK_OPT_MIN_KEEP, 0) && hk_option_store(HK_OPT_PURGE_DELAY_MS, 0));
    fake_os_during_purge(wait_for_fork); /* the last that it does for its heap */
    EXPECT(pthread_create(&thread, NULL, end_beside_fork, NULL) == 0);
    while (ending == NULL)
        usleep(1000);
    struct hk_thread *record = ending;
    EXPECT(hk_heap_reuse() == NULL);
    hk_gate_close(&front_self()->pass);
    for (unsigned i = 0; i < 20; i++) {
        EXPECT(record->pass.state == HK_PASS_OUTSIDE && record->heap.owner.state == HK_OWNER_GONE);
        EXPECT(hk_heap_reuse() == NULL);
        usleep(1000);
    }
    hk_gate_open(&front_self()->pass);
    pthread_join(thread, NULL);
    EXPECT(record->front == NULL && record->heap.owner.state == HK_OWNER_NONE);
    EXPECT(hk_heap_reuse() == &record->heap && hk_heap_reuse() == NULL);
}

static void a_record_is_offered_when_its_thread_is_through(void **state)
{
    (void)state;
    if (!HK_SS_ARENA)
        skip(); /* what is EMPTY is unmapped, not purged */
    unit_passes(fork_beside_end, NULL);
}

/* ---- blocks that outlive their thread, and destructors that outlive its front ---- */

static void *leave_blocks(void *arg)
{
    void **blocks = arg;
    for (unsigned i = 0; i < 300; i++) {
        blocks[i] = front_take(200);
        memset(blocks[i], (int)i, 200);
    }
    return NULL;
}

static void outlive(void *arg)
{
    (void)arg;
    static void *blocks[300];
    run(leave_blocks, blocks);
    for (unsigned i = 0; i < 300; i++) {
        EXPECT(((unsigned char *)blocks[i])[199] == (unsigned char)i);
        front_free(blocks[i]);
    }
    front_check();
    hk_front_flush_all(front_self());
    EXPECT(front_owned_slabs() == 0);
}

static void blocks_outlive_their_thread(void **state)
{
    (void)state;
    unit_passes(outlive, NULL);
}

static pthread_key_t late_key;
static unsigned late_calls;

static void *free_first(void *arg)
{
    errno = 77;
    front_free(arg);
    EXPECT(errno == 77 && front_self() != NULL);
    return NULL;
}

/* Each thread needs a record of its own; the first one makes room for it. */
static void first_calls_free(void *arg)
{
    (void)arg;
    for (size_t size = 16; size < HK_MID_MAX; size *= 3)
        run(free_first, front_take(size));
    uint64_t before = fake_os_count(FAKE_ANY);
    for (unsigned i = 0; i < 40 && fake_os_count(FAKE_ANY) == before; i++)
        EXPECT(hk_meta_alloc(4096) != NULL); /* the next record does not fit */
    run(free_first, front_take(16));
}

static void a_first_call_that_frees_keeps_errno(void **state)
{
    (void)state;
    unit_passes(first_calls_free, NULL);
}

/* ---- */

static void late_destructor(void *arg)
{
    char *own[50];
    EXPECT(hk_front_mine()->thread == HK_THREAD_ENDED && hk_front_thread() == NULL);
    EXPECT(*(char *)arg == 7);
    front_free(arg);
    for (unsigned i = 0; i < 50; i++) {
        size_t size = 1 + i * 700;
        own[i] = front_take(size);
        memset(own[i], (int)i, size);
    }
    char *zero = hk_calloc_slow(300);
    EXPECT(zero != NULL && unit_is_zero(zero, 300));
    zero = hk_resize(zero, 3000);
    EXPECT(zero != NULL);
    front_free(zero);
    for (unsigned i = 0; i < 50; i++)
        front_free(own[i]);
    late_calls++;
}

static void *end_late(void *arg)
{
    char *block = front_take(100);
    *block = 7;
    EXPECT(pthread_setspecific(late_key, block) == 0);
    return arg;
}

static void destroy_late(void *arg)
{
    (void)arg;
    front_free(front_take(1)); /* our key is made first, so its destructor runs first */
    EXPECT(pthread_key_create(&late_key, late_destructor) == 0);
    for (unsigned i = 0; i < 20; i++)
        run(end_late, NULL);
    EXPECT(late_calls == 20);
    hk_front_flush_all(front_self());
    EXPECT(front_owned_slabs() == 0);
    EXPECT(hk_heap_check(&hk_orphan_heap));
}

static void late_destructors_are_served(void **state)
{
    (void)state;
    unit_passes(destroy_late, NULL);
}

/* ---- many at once ---- */

#define THREADS 4
#define MAILBOXES 256

static _Atomic(char *) mailbox[MAILBOXES];

static void *trade(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    for (unsigned i = 0; i < 20000; i++) {
        size_t size = 16 + unit_random(&seed, unit_random(&seed, 8) ? 1000 : 20000);
        char *p = front_take(size);
        *(size_t *)(void *)p = size;
        p[size - 1] = (char)size;
        p = atomic_exchange(&mailbox[unit_random(&seed, MAILBOXES)], p);
        if (p != NULL) {
            size = *(size_t *)(void *)p;
            EXPECT(size <= 16 + 20000 && (size <= 16 || p[size - 1] == (char)size));
            front_free(p);
        }
        if (i % 1000 == 0 && !HK_FRONT_PERCPU) /* whose shelves the other threads go on to use */
            front_check();
    }
    return NULL;
}

static void trade_in_threads(void *arg)
{
    (void)arg;
    pthread_t threads[THREADS];
    for (unsigned round = 0; round < 3; round++) {
        for (uintptr_t i = 0; i < THREADS; i++)
            EXPECT(pthread_create(&threads[i], NULL, trade, (void *)(round * THREADS + i + 1)) == 0);
        for (unsigned i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
    for (unsigned i = 0; i < MAILBOXES; i++)
        front_free(mailbox[i]);
    front_check();
    hk_front_flush_all(front_self());
    hk_purge_now(0);
    EXPECT(front_owned_slabs() == 0);
    EXPECT(hk_arena_live() == 0 && hk_purge_free_bytes() == 0);
    EXPECT(hk_pool_check() && hk_arena_check());
}

static void threads_trade_blocks(void **state)
{
    (void)state;
    unit_passes(trade_in_threads, NULL);
}

/* ---- fork ---- */

/* In a fork handler of somebody else, by a thread that has no front yet. */
static void *allocate_inside_fork(void *arg)
{
    hk_gate_close(NULL);
    front_free(front_take(100));
    front_free(front_take(10 * HK_MIB));
    EXPECT(hk_front_thread() == NULL);
    hk_gate_open(NULL);
    return arg;
}

static void fork_without_front(void *arg)
{
    (void)arg;
    pthread_t thread;
    struct timespec end;
    front_free(front_take(1));
    run(allocate_inside_fork, NULL);
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 3;
    EXPECT(pthread_create(&thread, NULL, use_sizes, (size_t[]){16, 0}) == 0);
    EXPECT(pthread_timedjoin_np(thread, NULL, &end) == 0); /* or it waits for a lock that nobody gives back */
}

static void a_first_allocation_inside_fork_blocks_nobody(void **state)
{
    (void)state;
    unit_passes(fork_without_front, NULL);
}

/* Blocks that were taken before and are freed while the gate is closed are free when it is open again; what was taken
 * meanwhile is a block like any other. */
static void *use_while_closed(void *arg)
{
    void **before = arg;
    static const size_t sizes[] = {16, 100, 1000, 5000, 30000, 100000, 40 * HK_MIB};
    unsigned char *during[HK_COUNT(sizes)];
    for (unsigned i = 0; i < HK_COUNT(sizes); i++) {
        front_free(before[i]);
        during[i] = front_take(sizes[i]);
        memset(during[i], (int)i + 1, sizes[i]);
    }
    for (unsigned i = 0; i < HK_COUNT(sizes); i++) {
        size_t bytes = sizes[i] + sizes[i] / 2 + 100;
        unsigned char *larger = hk_resize(during[i], bytes);
        EXPECT(larger != NULL && larger[0] == i + 1 && larger[sizes[i] - 1] == i + 1);
        EXPECT(hk_block_find(larger, "size").size >= bytes);
        front_free(larger);
        front_free(hk_calloc_slow(bytes));
        front_free(hk_malloc_aligned(8 * HK_KIB, bytes));
    }
    return NULL;
}

static void closed_to_others(void *arg)
{
    static const size_t sizes[] = {16, 100, 1000, 5000, 30000, 100000, 40 * HK_MIB};
    void *before[HK_COUNT(sizes)];
    front_free(front_take(1));
    for (unsigned i = 0; i < HK_COUNT(sizes); i++)
        before[i] = front_take(sizes[i]);
    struct hk_thread *self = front_self();
    hk_gate_close(&self->pass);
    run(use_while_closed, before);
    EXPECT(hk_side_has_deferred());
    EXPECT(hk_gate_open(&self->pass));
    if (arg != NULL) /* lifecycle does so after a fork; a handler's are done by the next slow free, also of a realloc */
        hk_front_free_deferred();
    else
        front_free(hk_resize(front_take(33 * HK_MIB), 20000));
    EXPECT(!hk_side_has_deferred());
    hk_front_flush_all(self);
    hk_purge_now(0);
    EXPECT(front_owned_slabs() == 0 && hk_huge_bytes() == 0 && hk_arena_live() == 0);
}

static void a_thread_that_meets_a_fork_goes_on(void **state)
{
    (void)state;
    bool at_once = true;
    unit_passes(closed_to_others, &at_once);
    unit_passes(closed_to_others, NULL);
}

/* The process's first malloc is under way in a thread, or in the one that forks: then its child ends that, too. */
static _Atomic bool starting, has_forked;

static void wait_in_start(void)
{
    starting = true;
    while (!has_forked)
        usleep(1000);
}

static void fork_beside_start(void *arg)
{
    (void)arg;
    int status;
    pthread_t thread;
    fake_os_during_start(wait_in_start);
    EXPECT(pthread_create(&thread, NULL, use_sizes, (size_t[]){16, 0}) == 0);
    while (!starting)
        usleep(1000);
    fake_os_during_start(NULL);
    pid_t pid = unit_fork();
    if (pid == 0) {
        alarm(10);
        hk_front_fork_child();
        hk_gate_reset(NULL);
        use_sizes((size_t[]){16, 1000, 0});
        _exit(0);
    }
    has_forked = true;
    EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
    use_sizes((size_t[]){16, 1000, 0});
}

static pid_t child_of_start;

static void fork_in_start(void)
{
    fake_os_during_start(NULL);
    child_of_start = fork();
    if (child_of_start == 0) {
        alarm(10);
        hk_front_fork_child();
        hk_gate_reset(NULL);
    }
    hk_store_relaxed(&hk_purge_watches, true); /* who takes says so from time to time; who has a record, that is */
    front_free(front_take(100));               /* does without */
    front_free(front_take(100000));
    EXPECT(hk_front_thread() == NULL);
}

static void fork_inside_start(void *arg)
{
    (void)arg;
    int status;
    fake_os_during_start(fork_in_start);
    use_sizes((size_t[]){16, 1000, 0});
    if (child_of_start != 0)
        EXPECT(waitpid(child_of_start, &status, 0) == child_of_start && status == 0);
}

static void a_child_ends_what_the_start_had_begun(void **state)
{
    (void)state;
    unit_passes(fork_beside_start, NULL);
    unit_passes(fork_inside_start, NULL);
}

static void *work_until_told(void *arg)
{
    static const size_t sizes[] = {16, 200, 1000, 3000, 9000, 40000, 0};
    _Atomic bool *stop = arg;
    while (!*stop)
        take_and_free(sizes); /* a thread that is turned away has nothing in its front, or not even a record */
    return use_sizes((void *)(uintptr_t)sizes);
}

static void fork_at_work(void *arg)
{
    (void)arg;
    static _Atomic bool stop;
    pthread_t threads[THREADS];
    front_free(front_take(1));
    struct hk_pass *pass = &front_self()->pass;
    for (unsigned i = 0; i < THREADS; i++)
        EXPECT(pthread_create(&threads[i], NULL, work_until_told, &stop) == 0);
    for (unsigned i = 0; i < 10; i++) {
        int status;
        hk_gate_close(pass);
        EXPECT(hk_pool_lock()->word == 0 && hk_meta_lock()->word == 0 && front_self()->heap.lock.word == 0);
        pid_t pid = unit_fork();
        if (pid == 0) {
            EXPECT(hk_pool_check() && hk_arena_check());
            hk_heap_fork_child(&front_self()->heap);
            hk_gate_reset(pass);
            use_sizes((size_t[]){16, 1000, 20000, 90000, 0});
            front_check();
            EXPECT(hk_pool_check() && hk_arena_check() && hk_heap_check(&front_self()->heap));
            _exit(0);
        }
        EXPECT(hk_gate_open(pass));
        hk_front_free_deferred();
        EXPECT(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    stop = true;
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void a_fork_finds_every_structure_whole(void **state)
{
    (void)state;
    unit_passes(fork_at_work, NULL);
}

/* What a thread was given and frees before it ever took a block of that size does not come back to it where it would
 * share a cache line with its maker's. Larger ones do. */
static void *free_then_take(void *arg)
{
    char **given = arg;
    size_t sizes[] = {16, 32, 48, 64, 200};
    for (unsigned i = 0; i < HK_COUNT(sizes); i++) {
        front_free(given[i]);
        char *own[40];
        bool again = false;
        for (unsigned n = 0; n < HK_COUNT(own); n++) {
            own[n] = front_take(sizes[i]);
            again |= own[n] == given[i];
        }
        if (HK_FRONT_V2 || HK_FRONT_UNIFIED)
            EXPECT(again == (hk_block_find(own[0], "x").size >= HK_CACHE_LINE));
        EXPECT(!again || !HK_FRONT_BINS || hk_block_find(own[0], "x").size >= HK_CACHE_LINE);
        for (unsigned n = 0; n < HK_COUNT(own); n++)
            front_free(own[n]);
    }
    front_check();
    return NULL;
}

static void apart(void *arg)
{
    (void)arg;
    void *given[] = {front_take(16), front_take(32), front_take(48), front_take(64), front_take(200)};
    run(free_then_take, given);
    front_check();
}

static void small_blocks_of_others_do_not_come_back(void **state)
{
    (void)state;
    unit_passes(apart, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_front_can_be_emptied),
        cmocka_unit_test(a_thread_leaves_nothing_behind),
        cmocka_unit_test(nothing_is_counted_of_a_thread_that_ended),
        cmocka_unit_test(records_are_used_again),
        cmocka_unit_test(a_record_is_offered_when_its_thread_is_through),
        cmocka_unit_test(blocks_outlive_their_thread),
        cmocka_unit_test(a_first_call_that_frees_keeps_errno),
        cmocka_unit_test(late_destructors_are_served),
        cmocka_unit_test(threads_trade_blocks),
        cmocka_unit_test(a_first_allocation_inside_fork_blocks_nobody),
        cmocka_unit_test(a_thread_that_meets_a_fork_goes_on),
        cmocka_unit_test(a_child_ends_what_the_start_had_begun),
        cmocka_unit_test(small_blocks_of_others_do_not_come_back),
        cmocka_unit_test(a_fork_finds_every_structure_whole),
    };
    return cmocka_run_group_tests_name("front_thread", tests, NULL, NULL);
}
