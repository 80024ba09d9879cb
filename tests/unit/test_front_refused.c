/* SPDX-License-Identifier: MIT
 *
 * A whole program on a system that refuses: every size, calloc, aligned, realloc, two threads beside the first that
 * free each other's blocks and end, trim. It runs again and again, and the first call of the system is refused, then
 * the second, until none is left; that one alone, and all from there on. Each run is a child. The threads take turns,
 * so that the n-th call is always the same one.
 */
#include "front_fixture.h"

#include "base/options.h"
#include "large/huge.h"
#include "box/pool.h"
#include "box/purge.h"
#include "fake_os.h"
#include "os/numa.h"
#include "pages/ss_arena.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

enum { MARK = 77, THREADS = 3, OF_KIND = 3, SMALL = 150 };

/* Tiny, Mid, page runs, and mappings of their own. */
static const size_t sizes[] = {16, 100, 1000, 3000, 20000, 32768, 40000, 150000, 400000, 34 * HK_MIB};
static const size_t aligns[] = {64, 4096, 65536, 4 * HK_MIB};

enum { KINDS = HK_COUNT(sizes), SLOTS = KINDS * OF_KIND + SMALL };

struct block {
    unsigned char *ptr;
    size_t size;
};

static struct block live[THREADS][SLOTS]; /* by who took them */
static unsigned failed;                   /* calls that were refused */

/* ---- a block ---- */

#define ENDS ((size_t)200)

static bool is_filled(const unsigned char *ptr, size_t size, unsigned char mark)
{
    return size == 0 || (ptr[0] == mark && memcmp(ptr, ptr + 1, size - 1) == 0);
}

static void fill(struct block *b)
{
    size_t end = hk_min(b->size, ENDS);
    memset(b->ptr, (unsigned char)b->size, end);
    memset(b->ptr + b->size - end, (unsigned char)b->size, end);
}

static void expect_kept(const unsigned char *ptr, size_t size, size_t before)
{
    size_t end = hk_min(before, ENDS);
    EXPECT(is_filled(ptr, hk_min(size, end), (unsigned char)before));
    EXPECT(size < before || is_filled(ptr + before - end, end, (unsigned char)before));
}

static uint64_t failures;

static void begin_call(void)
{
    failures = fake_os_failures();
    errno = MARK;
}

/* False: refused, which the system has to have done just now. */
static bool is_served(const void *ptr)
{
    EXPECT(errno == (ptr != NULL ? MARK : ENOMEM));
    EXPECT(ptr != NULL || fake_os_failures() != failures);
    failed += ptr == NULL;
    return ptr != NULL;
}

static void drop(struct block *b)
{
    if (b->ptr != NULL)
        expect_kept(b->ptr, b->size, b->size);
    begin_call();
    front_free(b->ptr);
    EXPECT(errno == MARK);
    b->ptr = NULL;
}

static void take(struct block *b, size_t size, unsigned way)
{
    size_t align = way == 2 ? aligns[size / 8 % HK_COUNT(aligns)] : 16;
    drop(b);
    begin_call();
    b->ptr = way == 0 ? front_malloc(size) : way == 1 ? hk_calloc_slow(size) : hk_malloc_aligned(align, size);
    b->size = size;
    if (!is_served(b->ptr))
        return;
    EXPECT((uintptr_t)b->ptr % align == 0 && hk_block_find(b->ptr, "x").size >= size && errno == MARK);
    EXPECT(way != 1 || (unit_is_zero(b->ptr, hk_min(size, 16384)) && b->ptr[size - 1] == 0));
    fill(b);
}

static void resize(struct block *b, size_t size)
{
    if (b->ptr == NULL)
        return;
    begin_call();
    unsigned char *to = hk_resize(b->ptr, size);
    EXPECT(to != NULL || size > b->size);
    if (!is_served(to)) {
        expect_kept(b->ptr, b->size, b->size);
        return;
    }
    expect_kept(to, size, b->size);
    *b = (struct block){to, size};
    fill(b);
}

/* ---- the program ---- */

static void take_all(struct block *blocks)
{
    for (unsigned i = 0; i < SLOTS; i++)
        take(&blocks[i], i < KINDS * OF_KIND ? sizes[i % KINDS] : 200, i / KINDS % OF_KIND);
}

static void drop_some(struct block *blocks, unsigned first, unsigned step)
{
    for (unsigned i = first; i < SLOTS; i += step)
        drop(&blocks[i]);
}

/* What is large does not grow: copying it would take longer than all the rest. */
static size_t grown(size_t size)
{
    return size < 100000 ? size * 3 + 1 : size - 1;
}

static void resize_some(struct block *blocks)
{
    for (unsigned i = 0; i < KINDS * OF_KIND; i += 3)
        resize(&blocks[i], grown(blocks[i].size));
    for (unsigned i = 1; i < KINDS * OF_KIND; i += 4)
        resize(&blocks[i], blocks[i].size / 1000 + 1);
    resize(&blocks[KINDS - 4], 35 * HK_MIB);
}

static void check_heap(void *ctx, struct hk_heap *heap)
{
    (void)ctx;
    EXPECT(hk_heap_check(heap));
}

static void check_boxes(void)
{
    hk_heap_visit(check_heap, NULL);
    EXPECT(hk_pool_check() && hk_arena_check());
    if (hk_front_thread() != NULL)
        front_check();
}

static sem_t turn[THREADS];

/* The thread's turn comes, or main's. */
static void pass_turn(unsigned to, unsigned me)
{
    EXPECT(sem_post(&turn[to]) == 0);
    while (sem_wait(&turn[me]) != 0)
        EXPECT(errno == EINTR);
}

static pthread_key_t late_key;

/* The front is gone, or still there. */
static void late_destructor(void *arg)
{
    struct block *blocks = arg, own = {0};
    for (unsigned i = 0; i < KINDS; i++) {
        drop(&blocks[i]);
        take(&own, sizes[i], i % OF_KIND);
        resize(&own, grown(sizes[i]));
        drop(&own);
    }
}

/* What it leaves behind the next one frees, or main. */
static void *thread_of_program(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    drop_some(live[me - 1], 1, 4);
    take_all(live[me]);
    check_boxes();
    pass_turn(0, me);
    drop_some(live[0], 3, 4);
    resize_some(live[me]);
    take_all(live[me]);
    EXPECT(pthread_setspecific(late_key, live[me]) == 0);
    return NULL;
}

static void program(void)
{
    pthread_t threads[THREADS];
    take_all(live[0]);
    resize_some(live[0]);
    for (uintptr_t i = 1; i < THREADS; i++) {
        EXPECT(pthread_create(&threads[i], NULL, thread_of_program, (void *)i) == 0);
        while (sem_wait(&turn[0]) != 0)
            EXPECT(errno == EINTR);
        drop_some(live[i], 0, 2);
        take_all(live[0]);
        fake_os_travel(1000);
        drop_some(live[0], 0, 3);
        begin_call();
        hk_trim(0);
        EXPECT(errno == MARK);
        check_boxes();
        EXPECT(sem_post(&turn[i]) == 0 && pthread_join(threads[i], NULL) == 0);
        fake_os_travel(1000);
    }
    check_boxes();
}

static void end(void)
{
    for (unsigned i = 0; i < THREADS; i++)
        drop_some(live[i], 0, 1);
    begin_call();
    hk_trim(0);
    EXPECT(errno == MARK);
    check_boxes();
    EXPECT(front_owned_slabs() == 0 && hk_load_relaxed(&hk_pool_owned) == 0);
    EXPECT(hk_huge_bytes() == 0 && hk_arena_live() == 0);
    EXPECT(hk_purge_free_bytes() == 0 && fake_os_misaligned() == 0);
}

/* ---- refusals ---- */

struct refusal {
    enum fake_call kind;
    unsigned n;
    bool lasting;
};

#define NOTHING_REFUSED 3

static void plan(const struct refusal *r)
{
    (r->lasting ? fake_os_fail_from : fake_os_fail_nth)(r->kind, r->n);
}

static void run_refused(void *arg)
{
    const struct refusal *r = arg;
    for (unsigned i = 0; i < THREADS; i++)
        EXPECT(sem_init(&turn[i], 0, 0) == 0);
    plan(r);
    front_free(front_malloc(1)); /* the front's key is made before ours */
    EXPECT(pthread_key_create(&late_key, late_destructor) == 0);
    program();
    bool happened = fake_os_failures() != 0;
    EXPECT(failed == 0 || (r->lasting && happened && r->kind == FAKE_ANY));
    fake_os_recover();
    end();
    failed = 0;
    program();
    EXPECT(failed == 0);
    end();
    _exit(happened ? 0 : NOTHING_REFUSED);
}

static void refuse_each(enum fake_call kind, bool lasting)
{
    struct refusal r = {kind, 0, lasting};
    int status;
    do {
        r.n += r.n == 0 ? 1 : unit_stride() * (lasting ? 3 : 1); /* where the first is met, the other half sees */
        status = unit_status(run_refused, &r);
    } while (status == 0 && r.n < 1000);
    assert_int_equal(status, NOTHING_REFUSED);
    assert_true(r.n > 50);
}

static void each_call_may_be_refused_alone(void **state)
{
    (void)state;
    refuse_each(FAKE_ANY, false);
}

static void and_with_all_that_follow(void **state)
{
    (void)state;
    refuse_each(FAKE_ANY, true);
}

/* Where memory is to lie is a wish: nothing fails for it. */
static void refuse_wishes(void *arg)
{
    fake_os_set_nodes(3);
    plan(arg);
    hk_numa_start();
    run_refused(arg);
}

static void what_numa_asks_may_be_refused(void **state)
{
    (void)state;
    static const unsigned from[] = {1, 2, 4, 20, 100};
    for (enum fake_call kind = FAKE_NODES; HK_NUMA && kind < FAKE_KINDS; kind++) {
        for (unsigned i = 0; i < HK_COUNT(from); i++) {
            struct refusal r = {kind, from[i], i % 2};
            unit_status(refuse_wishes, &r);
        }
    }
}

/* ---- another thread's refusal ---- */

static void *be_refused(void *arg)
{
    fake_os_fail_from(FAKE_ANY, 1);
    EXPECT(front_malloc(40 * HK_MIB) == NULL);
    fake_os_recover();
    return arg;
}

/* The next slow call of this thread gives up what its front holds, and slabs with it. */
static void give_up_beside(void *freeing)
{
    void *blocks[8], *other = front_take(30000);
    pthread_t thread;
    for (unsigned i = 0; i < HK_COUNT(blocks); i++)
        blocks[i] = front_take(20000);
    for (unsigned i = 0; i < HK_COUNT(blocks); i++)
        front_free(blocks[i]);
    EXPECT(pthread_create(&thread, NULL, be_refused, NULL) == 0 && pthread_join(thread, NULL) == 0);
    begin_call();
    if (freeing != NULL)
        front_free(other);
    else
        other = front_malloc(8000);
    EXPECT(errno == MARK && other != NULL);
}

static void a_refusal_elsewhere_leaves_errno_alone(void **state)
{
    (void)state;
    unit_passes(give_up_beside, NULL);
    unit_passes(give_up_beside, &failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_may_be_refused_alone),
        cmocka_unit_test(and_with_all_that_follow),
        cmocka_unit_test(what_numa_asks_may_be_refused),
        cmocka_unit_test(a_refusal_elsewhere_leaves_errno_alone),
    };
    return cmocka_run_group_tests_name("front_refused", tests, NULL, NULL);
}
