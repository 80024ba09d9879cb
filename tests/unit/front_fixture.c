/* SPDX-License-Identifier: MIT */
#include "front_fixture.h"

#include "large/huge.h"
#include "box/pool.h"
#include "fake_os.h"
#include "pages/meta.h"
#include "pages/ss_arena.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

void *front_malloc(size_t size)
{
    return hk_malloc_fast(size, hk_malloc_slow);
}

void front_free(void *ptr)
{
    hk_free_fast(ptr);
}

void *front_take(size_t size)
{
    void *p = front_malloc(size);
    EXPECT(p != NULL && (uintptr_t)p % 16 == 0);
    EXPECT(hk_block_find(p, "malloc_usable_size").size >= size);
    return p;
}

static void *come_and_go(void *arg)
{
    return arg;
}

void front_be_threaded(void)
{
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, come_and_go, NULL) == 0 && pthread_join(thread, NULL) == 0);
    EXPECT(!hk_single_threaded());
}

struct hk_thread *front_self(void)
{
    struct hk_thread *thread = hk_front_thread();
    EXPECT(thread != NULL);
    return thread;
}

/* Of a record, this thread's or one that threads share: not those of other threads. */
static void count_held(void *ctx, struct hk_heap *heap)
{
    size_t *held = ctx;
    if (heap != &front_self()->heap && !heap->shared)
        return;
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++)
        *held += hk_front_count(hk_thread_of(heap), cls) * hk_class_size(cls);
}

size_t front_held(void)
{
    size_t held = 0;
    hk_heap_visit(count_held, &held);
    return held;
}

static void count_owned(void *ctx, struct hk_superslab *ss)
{
    *(unsigned *)ctx += HK_SLABS - (unsigned)__builtin_popcount(ss->empty_mask | ss->unused_mask);
}

unsigned front_owned_slabs(void)
{
    unsigned owned = 0;
    if (HK_FRONT_PERCPU)
        hk_front_flush_all(hk_front_thread_or_new()); /* other threads', too */
    if (HK_TRANSFER)
        hk_transfer_sweep();
    hk_heap_sweep();
    hk_pool_visit(count_owned, &owned);
    return owned;
}

struct loan {
    void **blocks;
    size_t size;
    unsigned n;
    pthread_barrier_t made;
};

static void *take_for_another(void *arg)
{
    struct loan *loan = arg;
    for (unsigned i = 0; i < loan->n; i++)
        loan->blocks[i] = front_take(loan->size);
    pthread_barrier_wait(&loan->made);
    while (pause() != 0) /* always: until the process ends */
        ;
    return NULL;
}

void front_borrow(void **blocks, unsigned n, size_t size)
{
    static struct loan loans[8]; /* who pauses still looks at its own */
    static unsigned used;
    pthread_t thread;
    struct loan *loan = &loans[used++];
    EXPECT(used <= HK_COUNT(loans));
    loan->blocks = blocks;
    loan->size = size;
    loan->n = n;
    EXPECT(pthread_barrier_init(&loan->made, NULL, 2) == 0);
    EXPECT(pthread_create(&thread, NULL, take_for_another, loan) == 0);
    pthread_barrier_wait(&loan->made);
}

/* ---- reports ---- */

static volatile sig_atomic_t reports;
static int own_stderr;

static void expect_free(struct hk_lock *lock)
{
    EXPECT(hk_try_lock(lock));
    hk_unlock(lock);
}

static void expect_heap_free(void *ctx, struct hk_heap *heap)
{
    (void)ctx;
    expect_free(&heap->lock);
}

/* Locks that no other box knows are waited for: who holds one of them lets the child hang, until its time is up. */
static void expect_no_lock(void)
{
    hk_heap_visit(expect_heap_free, NULL); /* takes the records lock */
    expect_free(hk_pool_lock());
    expect_free(hk_arena_lock());
    expect_free(hk_huge_lock());
    expect_free(hk_meta_lock());
    if (HK_TRANSFER) {
        hk_transfer_hold(); /* `sweeping` */
        hk_transfer_release();
    }
    for (unsigned i = 0; HK_TRANSFER && i < HK_TRANSFER_PLACES * HK_CLASS_COUNT; i++) {
        struct hk_lock *lock = hk_transfer_lock(i / HK_CLASS_COUNT, i % HK_CLASS_COUNT);
        if (lock != NULL)
            expect_free(lock);
    }
    struct hk_pass *pass = hk_front_pass(hk_front_thread());
    EXPECT(hk_gate_enter(pass)); /* nor is this thread inside */
    hk_gate_leave(pass);
}

static void in_write(int signum)
{
    (void)signum;
    int line = dup(2);
    dup2(own_stderr, 2);
    expect_no_lock();
    dup2(line, 2);
    close(line);
    reports++;
}

static void in_abort(int signum)
{
    (void)signum;
    static void *blocks[1000];
    dup2(own_stderr, 2);
    expect_no_lock();
    fake_os_recover();
    for (unsigned i = 0; i < HK_COUNT(blocks); i++) {
        size_t size = i % 100 == 0 ? 100000 : i % 10 == 0 ? 3000 : 16 + i % 1000;
        memset(blocks[i] = front_take(size), 1, size < 3000 ? size : 3000);
        if (i % 3 == 0)
            front_free(blocks[i / 2]);
        if (i % 3 == 0)
            blocks[i / 2] = NULL;
    }
    for (unsigned i = 0; i < HK_COUNT(blocks); i++)
        front_free(blocks[i]);
    EXPECT(reports != 0);
    _exit(FRONT_REPORTED);
}

void front_watch_reports(void)
{
    int ends[2];
    unit_second_thread();
    own_stderr = dup(2);
    EXPECT(own_stderr >= 0 && pipe(ends) == 0 && dup2(ends[1], 2) == 2);
    close(ends[0]);
    close(ends[1]);
    signal(SIGPIPE, in_write);
    /* It may meet another one: glibc's abort comes to a handler again that it is in, others do so where it says this.
     */
    const struct sigaction again = {.sa_handler = in_abort, .sa_flags = SA_NODEFER};
    sigaction(SIGABRT, &again, NULL);
}

unsigned front_reports(void)
{
    return (unsigned)reports;
}
