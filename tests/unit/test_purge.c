/* SPDX-License-Identifier: MIT
 *
 * When memory goes back, and how much in one call. Time is the test's, but the thread of HAKMEM_PURGE_THREAD sleeps for
 * real. Each case runs in a child.
 */
#include "unit.h"

#include "box/heap.h"
#include "box/purge.h"
#include "box/transfer.h"
#include "fake_os.h"
#include "os/os.h"
#include "os/thread.h"
#include "pages/meta.h"

#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB HK_TINY_LAST /* the class of 1024 bytes: 64 blocks to a slab */

static struct hk_heap *heap;

static void *blocks[4096][32];

/* `slabs` slabs of blocks, taken and given back, but for one in `held` (0: none is held): all that were given back are
 * EMPTY then, except the active one. */
static void work(unsigned slabs, unsigned held)
{
    if (heap == NULL) {
        heap = hk_meta_alloc(sizeof(struct hk_heap));
        EXPECT(heap != NULL);
        hk_heap_begin(heap);
    }
    unsigned batches = slabs * 2, got[4096];
    EXPECT(batches <= 4096);
    for (unsigned i = 0; i < batches; i++) {
        got[i] = hk_heap_take(heap, KIB, &blocks[i][31], 32);
        EXPECT(got[i] == 32);
    }
    for (unsigned i = 0; i < batches; i++) {
        if (held == 0 || i / 2 % held != 0)
            hk_heap_give(heap, blocks[i], 32);
    }
}

static void make_empty(unsigned slabs)
{
    work(slabs, 0);
}

/* In SuperSlabs that stay. */
static void make_empty_between(unsigned slabs)
{
    work(slabs, 10);
}

static void make_free_run(size_t size)
{
    bool zero;
    char *p = hk_arena_take(size / HK_PAGE, HK_PAGE, &zero);
    EXPECT(p != NULL);
    p[0] = 1; /* what counts is that it was handed out */
    EXPECT(hk_arena_give(p));
}

static void options(int64_t delay_ms, int64_t keep)
{
    EXPECT(hk_option_store(HK_OPT_PURGE_DELAY_MS, delay_ms));
    EXPECT(hk_option_store(HK_OPT_MIN_KEEP, keep));
}

static void purge_everything(void *arg)
{
    (void)arg;
    make_empty(20);
    make_free_run(3 * HK_MIB);
    size_t before = hk_purge_free_bytes();
    EXPECT(before == 19 * HK_SLAB_SIZE + 3 * HK_MIB);
    EXPECT(hk_purge_now(0) == 20 * HK_SLAB_SIZE + 3 * HK_MIB); /* the active slab was EMPTY too */
    EXPECT(hk_purge_free_bytes() == 0);
    EXPECT(hk_purge_total() == 20 * HK_SLAB_SIZE + 3 * HK_MIB);
    EXPECT(hk_arena_live() == 0);
    EXPECT(hk_purge_now(0) == 0);
    make_empty(5);
    EXPECT(hk_arena_check() && hk_pool_check());
}

static void purge_now_gives_everything_back(void **state)
{
    (void)state;
    unit_passes(purge_everything, NULL);
}

static void purge_but_keep(void *arg)
{
    (void)arg;
    make_free_run(8 * HK_MIB);
    void *block;
    make_empty(30);
    EXPECT(hk_heap_take(heap, KIB, &block, 1) == 1); /* its SuperSlab cannot be given away */
    size_t before = hk_purge_free_bytes(), given = hk_purge_now(4 * HK_MIB);
    EXPECT(given == before - hk_purge_free_bytes());
    EXPECT(hk_purge_free_bytes() <= 4 * HK_MIB);
    EXPECT(hk_purge_now(SIZE_MAX) == 0);
}

static void purge_now_keeps_what_it_is_told(void **state)
{
    (void)state;
    unit_passes(purge_but_keep, NULL);
}

/* No thread was made. The thread sanitizer's runtime makes one in every child, and not every C library counts threads:
 * then nothing can be told. */
static bool is_single_threaded(void)
{
    return HK_THREAD_SANITIZER || !HK_LIBC_COUNTS_THREADS || hk_single_threaded();
}

/* The end of a slow path: at most one call of the system, of at most 2 MiB. Returns what it gave back. */
static size_t tick(void)
{
    uint64_t calls = fake_os_count(FAKE_PURGE), before = hk_purge_total();
    size_t logged = fake_os_purges();
    errno = 4321;
    hk_purge_tick();
    EXPECT(errno == 4321);
    EXPECT(fake_os_count(FAKE_PURGE) <= calls + 1);
    EXPECT(fake_os_purges() == logged || fake_os_purge(logged).size <= 2 * HK_MIB);
    EXPECT(is_single_threaded());
    return (size_t)(hk_purge_total() - before);
}

/* ---- more than the allowance ---- */

static void allow(void *arg)
{
    (void)arg;
    bool zero;
    options(500, 3 * HK_MIB);
    EXPECT(hk_purge_allowance() == 27 * HK_MIB / 2); /* a small heap */
    char *run = hk_arena_take(30 * HK_MIB / HK_PAGE, HK_PAGE, &zero);
    EXPECT(run != NULL && hk_purge_allowance() == 18 * HK_MIB); /* half of a large one: of runs, */
    work(40, 1);
    void *block[32];
    EXPECT(hk_heap_take(heap, KIB, &block[31], 32) == 32);
    size_t slabs = *&hk_pool_owned;
    EXPECT(slabs >= 1 &&
           slabs <= 41); /* and of slabs that are owned; those of their SuperSlab that are not do not count */
    EXPECT(hk_purge_allowance() == 18 * HK_MIB + slabs * HK_SLAB_SIZE / 2);
    EXPECT(hk_arena_give(run) && hk_purge_allowance() == 27 * HK_MIB / 2);
}

static void what_may_be_free_follows_what_is_live(void **state)
{
    (void)state;
    unit_passes(allow, NULL);
}

static void tick_beyond(void *arg)
{
    (void)arg;
    options(3600000, HK_MIB);
    make_empty_between(200);
    make_free_run(10 * HK_MIB);
    size_t free_bytes = hk_purge_free_bytes(), given;
    EXPECT(free_bytes > 20 * HK_MIB);
    unsigned ticks = 0;
    for (; hk_purge_free_bytes() > hk_purge_allowance(); ticks++) {
        given = tick();
        EXPECT(given >= HK_SLAB_SIZE && given <= 2 * HK_MIB);
    }
    EXPECT(ticks >= (free_bytes - hk_purge_allowance()) / (2 * HK_MIB));
    size_t left = hk_purge_free_bytes();
    EXPECT(left > 6 * HK_MIB || !HK_HOT_SPAN); /* the last piece may have been a long one */
    for (unsigned i = 0; i < 10; i++)
        tick();
    EXPECT(!HK_HOT_SPAN || hk_purge_free_bytes() == left); /* the rest is young */
    EXPECT(hk_arena_check() && hk_pool_check());
}

static void what_is_beyond_goes_at_once_in_pieces(void **state)
{
    (void)state;
    unit_passes(tick_beyond, NULL);
}

/* A burst that is freed block by block is bounded at its end, whatever is called later. */
static void free_much(void *arg)
{
    static char *run[200];
    bool zero;
    size_t size = *(size_t *)arg;
    for (unsigned i = 0; i < 200; i++) {
        run[i] = hk_arena_take(size / HK_PAGE, HK_PAGE, &zero);
        EXPECT(run[i] != NULL);
        run[i][0] = 1;
    }
    for (unsigned i = 0; i < 200; i++) {
        EXPECT(hk_arena_give(run[i * 77 % 200]));
        tick();
    }
    EXPECT(hk_purge_free_bytes() <= hk_purge_allowance() + 2 * size);
}

static void a_burst_leaves_no_more_than_is_allowed(void **state)
{
    (void)state;
    size_t sizes[] = {128 * HK_KIB, 512 * HK_KIB, HK_MIB};
    for (unsigned i = 0; i < HK_COUNT(sizes); i++)
        unit_passes(free_much, &sizes[i]);
}

static void end_with_much(void *arg)
{
    (void)arg;
    options(3600000, HK_MIB);
    make_empty_between(200);
    make_free_run(10 * HK_MIB);
    hk_purge_end_thread();
    size_t left = hk_purge_free_bytes();
    EXPECT(left <= hk_purge_allowance() && (left > 6 * HK_MIB || !HK_HOT_SPAN));
    for (size_t i = 0; i < fake_os_purges(); i++)
        EXPECT(fake_os_purge(i).size <= 2 * HK_MIB);
    uint64_t calls = fake_os_count(FAKE_PURGE);
    hk_purge_end_thread();
    EXPECT(fake_os_count(FAKE_PURGE) == calls || !HK_HOT_SPAN); /* it is within what is allowed */
}

static void the_end_of_a_thread_gives_all_that_is_beyond(void **state)
{
    (void)state;
    unit_passes(end_with_much, NULL);
}

/* ---- bursts that follow each other ---- */

static void burst_of_runs(void)
{
    static char *run[200];
    bool zero;
    for (unsigned i = 0; i < 200; i++)
        EXPECT((run[i] = hk_arena_take(HK_MIB / 2 / HK_PAGE, HK_PAGE, &zero)) != NULL);
    for (unsigned i = 0; i < 200; i++) {
        EXPECT(hk_arena_give(run[i]));
        tick();
    }
}

static void burst_again_and_again(void *arg)
{
    (void)arg;
    options(500, HK_MIB);
    burst_of_runs();
    EXPECT(hk_purge_free_bytes() <= 15 * HK_MIB || !HK_HOT_SPAN); /* the first one */
    for (unsigned i = 0; i < 4; i++) {
        fake_os_travel(100);
        burst_of_runs();
    }
    uint64_t calls = fake_os_count(FAKE_PURGE);
    fake_os_travel(100);
    burst_of_runs();
    EXPECT(fake_os_count(FAKE_PURGE) - calls < 10 || !HK_HOT_SPAN); /* by now it is known */
    fake_os_travel(600);                                            /* what stays goes with the calls that follow */
    for (unsigned i = 0; i < 100; i++) {
        tick();
        fake_os_travel(10);
    }
    EXPECT(hk_purge_free_bytes() <= HK_MIB);
    burst_of_runs();
    fake_os_travel(1000); /* a pause: nothing is known any more */
    burst_of_runs();
    EXPECT(hk_purge_free_bytes() <= 15 * HK_MIB || !HK_HOT_SPAN);
}

/* The program rests, but for a call now and then: nobody missed what had gone. */
static void burst_after_a_rest(void *arg)
{
    (void)arg;
    options(500, HK_MIB);
    burst_of_runs();
    for (unsigned i = 0; i < 6; i++) {
        fake_os_travel(100);
        tick();
    }
    burst_of_runs();
    EXPECT(hk_purge_free_bytes() <= 15 * HK_MIB || !HK_HOT_SPAN);
}

/* The same, but taking lasts longer than the delay. */
static void burst_slowly(void)
{
    static char *run[200];
    static uint32_t turn;
    bool zero;
    for (unsigned i = 0; i < 200; i++) {
        EXPECT((run[i] = hk_arena_take(HK_MIB / 2 / HK_PAGE, HK_PAGE, &zero)) != NULL);
        hk_purge_took(&turn);
        fake_os_travel(5);
    }
    for (unsigned i = 0; i < 200; i++) {
        EXPECT(hk_arena_give(run[i]));
        tick();
    }
}

static void burst_slowly_again_and_again(void *arg)
{
    (void)arg;
    options(500, HK_MIB);
    for (unsigned i = 0; i < 4; i++)
        burst_slowly();
    uint64_t calls = fake_os_count(FAKE_PURGE);
    burst_slowly();
    EXPECT(fake_os_count(FAKE_PURGE) - calls < 10 || !HK_HOT_SPAN); /* who takes makes no pause */
    fake_os_travel(600);
    burst_slowly();
    EXPECT(hk_purge_free_bytes() <= 15 * HK_MIB || !HK_HOT_SPAN); /* this was one */
}

/* The first call after the rest takes memory; all that follow come in the same millisecond. */
static void calls_after_a_rest(void *arg)
{
    (void)arg;
    uint32_t turn = 7;
    options(500, HK_MIB);
    for (unsigned i = 0; i < 4; i++)
        burst_of_runs();
    EXPECT(hk_purge_free_bytes() > 40 * HK_MIB || !HK_HOT_SPAN);
    fake_os_travel(1000);
    for (unsigned i = 0; i < 100; i++) {
        hk_purge_took(&turn);
        tick();
    }
    EXPECT(hk_purge_free_bytes() <= 15 * HK_MIB);
}

static void what_comes_again_soon_may_stay(void **state)
{
    (void)state;
    unit_passes(burst_again_and_again, NULL);
    unit_passes(burst_slowly_again_and_again, NULL);
    unit_passes(burst_after_a_rest, NULL);
    unit_passes(calls_after_a_rest, NULL);
}

/* ---- old memory ---- */

static void tick_in_time(void *arg)
{
    (void)arg;
    options(1000, HK_MIB);
    make_empty(81);
    size_t free_bytes = hk_purge_free_bytes();
    EXPECT(free_bytes == 80 * HK_SLAB_SIZE && free_bytes <= hk_purge_allowance());
    EXPECT(tick() == 0 && fake_os_count(FAKE_PURGE) == 0);
    fake_os_travel(900);
    EXPECT(tick() == 0);
    fake_os_travel(100);
    EXPECT(tick() == 0 && fake_os_count(FAKE_PURGE) == 0); /* due, but the last look was a moment ago */
    fake_os_travel(150);
    EXPECT(tick() > 0); /* a quarter of the delay ago; and as long as there is more, */
    EXPECT(tick() > 0); /* the next call goes on */
    for (unsigned i = 0; i < 10; i++)
        tick();
    EXPECT(hk_purge_free_bytes() <= HK_MIB && hk_purge_free_bytes() > HK_MIB - HK_SLAB_SIZE);
    EXPECT(hk_purge_total() == free_bytes - hk_purge_free_bytes());
}

static void old_memory_goes_back_beyond_what_is_kept(void **state)
{
    (void)state;
    if (!HK_HOT_SPAN || !HK_SS_ARENA)
        skip(); /* runs do not grow old, idle SuperSlabs are unmapped */
    unit_passes(tick_in_time, NULL);
}

static void tick_below_keep(void *arg)
{
    (void)arg;
    options(100, 4 * HK_MIB);
    make_empty(17);
    make_free_run(2 * HK_MIB);
    for (unsigned i = 0; i < 10; i++) {
        fake_os_travel(1000);
        tick();
    }
    EXPECT(fake_os_count(FAKE_PURGE) == 0 || !HK_HOT_SPAN);
    EXPECT(hk_purge_free_bytes() == 16 * HK_SLAB_SIZE + (HK_HOT_SPAN ? 2 * HK_MIB : 0));
}

static void what_is_kept_is_never_purged(void **state)
{
    (void)state;
    unit_passes(tick_below_keep, NULL);
}

/* What is used again before the delay never goes back. */
static void tick_while_working(void *arg)
{
    (void)arg;
    options(500, 0);
    for (unsigned i = 0; i < 50; i++) {
        make_empty(20);
        fake_os_travel(100);
        tick();
    }
    EXPECT(fake_os_count(FAKE_PURGE) == 0);
    fake_os_travel(1000);
    tick(); /* below the active slab, */
    tick(); /* and above it */
    EXPECT(hk_pool_empty_bytes() == 0);
}

static void what_is_in_use_is_not_purged(void **state)
{
    (void)state;
    if (!HK_EMPTY_REUSE)
        skip(); /* no slab is used again before its purge */
    unit_passes(tick_while_working, NULL);
}

/* ---- a system that refuses ---- */

/* Slabs of which a quarter is in use, and something EMPTY, without which nobody looks. */
static void be_sparse(void)
{
    static void *held[1024];
    make_empty(1);
    for (unsigned i = 0; i < 1024; i++) {
        EXPECT(hk_heap_take(heap, hk_class_of(16384), &held[i], 1) == 1);
        memset(held[i], 1, 16384);
    }
    make_empty_between(20);
    hk_purge_tick(); /* sees how much it was */
    fake_os_travel(1);
    for (unsigned i = 0; i < 1024; i++) {
        if (i % 4 != 0)
            hk_heap_give(heap, &held[i], 1);
    }
}

static size_t ticks(unsigned n)
{
    uint64_t before = hk_purge_total();
    for (unsigned i = 0; i < n; i++) {
        hk_purge_tick();
        fake_os_travel(1);
    }
    return (size_t)(hk_purge_total() - before);
}

static void tick_while_sparse(void *arg)
{
    (void)arg;
    size_t inner = 1024 / 4 * 3 * (size_t)(16384 - 4096);
    options(500, 0);
    be_sparse();
    EXPECT(ticks(100) < inner / 2 && hk_purge_sparse); /* EMPTY slabs alone */
    fake_os_travel(400);
    EXPECT(ticks(100) >= inner && !hk_purge_sparse);
    EXPECT(ticks(100) == 0);
    be_sparse();
    EXPECT(hk_purge_now(0) >= inner);
    EXPECT(hk_arena_check() && hk_pool_check());
}

static void sparse_slabs_give_their_pages(void **state)
{
    (void)state;
    unit_passes(tick_while_sparse, NULL);
}

static void tick_refused(void *arg)
{
    (void)arg;
    options(100, 0);
    make_empty(10);
    fake_os_fail_from(FAKE_PURGE, 1);
    fake_os_travel(200);
    tick();
    EXPECT(hk_pool_empty_bytes() == 9 * HK_SLAB_SIZE && hk_purge_total() == 0);
    EXPECT(hk_purge_now(0) == (HK_SS_ARENA ? 0 : 10 * HK_SLAB_SIZE)); /* an unmap is not refused */
    fake_os_recover();
    make_empty(10);
    EXPECT(hk_arena_check() && hk_pool_check());
    fake_os_travel(1);
    EXPECT(hk_purge_now(0) == (HK_EMPTY_REUSE || !HK_SS_ARENA ? 10 : 20) * HK_SLAB_SIZE);
}

static void a_system_that_refuses_harms_nothing(void **state)
{
    (void)state;
    unit_passes(tick_refused, NULL);
}

static void tick_refused_often(void *arg)
{
    (void)arg;
    options(500, HK_MIB);
    fake_os_fail_from(FAKE_PURGE, 1);
    bool zero;
    char *more = hk_arena_take(3 * HK_MIB / HK_PAGE, HK_PAGE, &zero);
    EXPECT(more != NULL);
    make_free_run(30 * HK_MIB);
    for (unsigned i = 0; i < 100; i++)
        EXPECT(tick() == 0);
    EXPECT(fake_os_count(FAKE_PURGE) == 1); /* not in every call */
    fake_os_travel(500);
    tick();
    tick();
    EXPECT(fake_os_count(FAKE_PURGE) == 2); /* but after the delay, */
    EXPECT(hk_arena_give(more));
    tick();
    tick();
    EXPECT(fake_os_count(FAKE_PURGE) == 3); /* or when much more is free */
    fake_os_recover();
    fake_os_travel(500);
    for (unsigned i = 0; i < 300; i++)
        tick();
    EXPECT(hk_purge_free_bytes() <= hk_purge_allowance());
}

static void a_refusal_is_not_asked_for_in_every_call(void **state)
{
    (void)state;
    unit_passes(tick_refused_often, NULL);
}

/* A page that the program has locked, the last of a long run: that run is asked for once a delay, and no other is the
 * worse for it. */
static void tick_beside_lock(void *arg)
{
    (void)arg;
    options(500, HK_MIB);
    static char *run[40], *between[40];
    bool zero;
    for (unsigned i = 0; i < HK_COUNT(run); i++) {
        run[i] = hk_arena_take((i == 0 ? 3 : 1) * HK_MIB / HK_PAGE, HK_PAGE, &zero);
        between[i] = hk_arena_take(1, HK_PAGE, &zero);
        EXPECT(run[i] != NULL && between[i] != NULL);
    }
    fake_os_lock_page(run[0] + 3 * HK_MIB - HK_PAGE);
    for (unsigned i = 0; i < HK_COUNT(run); i++)
        EXPECT(hk_arena_give(run[i]));
    for (unsigned ms = 0; ms < 100; ms++) {
        fake_os_travel(1);
        tick();
    }
    EXPECT(hk_purge_free_bytes() <= hk_purge_allowance());
    for (unsigned ms = 0; ms < 5000; ms++) {
        fake_os_travel(1);
        tick();
    }
    EXPECT(hk_purge_free_bytes() <= 4 * HK_MIB);
    EXPECT(fake_os_count(FAKE_PURGE) - fake_os_purges() <= 5000 / 500 + 2);
}

/* The same in an EMPTY slab: of the last SuperSlab but one, which is asked for early. */
static void tick_beside_locked_slab(void *arg)
{
    (void)arg;
    options(500, HK_MIB);
    work(13 * HK_SLABS, HK_SLABS); /* the first slab of each SuperSlab is held */
    uintptr_t highest = 0;
    for (unsigned i = 0; i < 2 * 13 * HK_SLABS; i++)
        highest = hk_max(highest, (uintptr_t)blocks[i][31]);
    fake_os_lock_page((void *)(hk_align_down(highest, HK_SUPERSLAB_SIZE) - HK_SLAB_SIZE));
    for (unsigned ms = 0; ms < 100; ms++) {
        fake_os_travel(1);
        tick();
    }
    EXPECT(hk_purge_free_bytes() <= hk_purge_allowance());
    size_t refused = fake_os_count(FAKE_PURGE) - fake_os_purges();
    EXPECT(refused <= 1 && (HK_SHUFFLE || refused == 1)); /* which slab is held is at random there */
}

static void a_locked_page_stops_no_other(void **state)
{
    (void)state;
    if (!HK_HOT_SPAN || !HK_SS_ARENA || !HK_EMPTY_REUSE)
        skip(); /* pieces are others */
    unit_passes(tick_beside_lock, NULL);
    unit_passes(tick_beside_locked_slab, NULL);
}

/* ---- the clock ---- */

/* Its milliseconds begin again at 0 every 50 days. */
static void at_the_end_of_the_clock(void (*body)(void *))
{
    static const uint32_t before[] = {1, 130, 450, 550, 1000, 1120, 2500};
    for (unsigned i = 0; i < HK_COUNT(before); i++) {
        fake_os_travel(0 - hk_os_now_ms() - before[i]);
        unit_passes(body, NULL);
    }
    fake_os_travel(3600000);
}

static void a_clock_that_begins_again_changes_nothing(void **state)
{
    (void)state;
    if (HK_HOT_SPAN && HK_SS_ARENA)
        at_the_end_of_the_clock(tick_in_time);
    if (HK_EMPTY_REUSE)
        at_the_end_of_the_clock(tick_while_working);
    at_the_end_of_the_clock(burst_again_and_again);
    at_the_end_of_the_clock(burst_after_a_rest);
    at_the_end_of_the_clock(tick_refused_often);
}

/* ---- on behalf of threads that sleep ---- */

/* Another heap's slabs: half of what was live goes, and what waits for that heap goes too. */
static void free_for_a_sleeper(void *arg)
{
    (void)arg;
    static void *batches[400][32];
    options(3600000, 0);
    work(1, 0); /* makes a heap of this thread */
    struct hk_heap *sleeper = hk_meta_alloc(sizeof(struct hk_heap));
    EXPECT(sleeper != NULL);
    hk_heap_begin(sleeper);
    for (unsigned i = 0; i < 400; i++)
        EXPECT(hk_heap_take(sleeper, KIB, &batches[i][31], 32) == 32);
    tick(); /* sees what is live */
    for (unsigned i = 0; i < 400; i++) {
        hk_heap_give(heap, batches[i], 32);
        tick();
    }
    EXPECT(sleeper->slabs <= 2 * HK_MIB / HK_SLAB_SIZE + 4 * HK_MIB / HK_SLAB_SIZE);
}

static void what_waits_for_a_sleeper_is_swept(void **state)
{
    (void)state;
    unit_passes(free_for_a_sleeper, NULL);
}

/* One block may be more than a piece: many of these, freed by as many calls, leave no more behind. */
static void free_long_runs(void *arg)
{
    (void)arg;
    options(3600000, HK_MIB);
    for (unsigned i = 0; i < 8; i++) {
        uint64_t calls = fake_os_count(FAKE_PURGE);
        size_t before = hk_purge_free_bytes();
        make_free_run(30 * HK_MIB);
        size_t more = hk_purge_free_bytes() - before;
        errno = 4321;
        hk_purge_tick_long(more);
        EXPECT(errno == 4321 && fake_os_count(FAKE_PURGE) - calls <= 30);
        EXPECT(hk_purge_free_bytes() <= hk_purge_allowance());
    }
    for (size_t i = 0; i < fake_os_purges(); i++)
        EXPECT(fake_os_purge(i).size <= 2 * HK_MIB);
}

static void long_blocks_give_as_many_pieces_as_they_have(void **state)
{
    (void)state;
    unit_passes(free_long_runs, NULL);
}

/* ---- the thread ---- */

static bool wait_until_at_most(size_t bytes)
{
    for (unsigned i = 0; i < 1000 && hk_purge_free_bytes() > bytes; i++) {
        fake_os_travel(20);
        usleep(2000);
    }
    return hk_purge_free_bytes() <= bytes;
}

static void sleep_with_much(void *arg)
{
    (void)arg;
    options(40, HK_MIB);
    EXPECT(hk_option_store(HK_OPT_PURGE_THREAD, 1));
    hk_purge_start();
    EXPECT(!hk_single_threaded());
    for (unsigned round = 0; round < 2; round++) {
        make_empty_between(300);
        EXPECT(hk_purge_free_bytes() > 13 * HK_MIB);
        hk_purge_tick();
        EXPECT(wait_until_at_most(HK_MIB)); /* nobody else does anything */
        usleep(60000);                      /* it rests, and is woken again */
    }
    hk_purge_stop();
    make_empty_between(300);
    uint64_t calls = fake_os_count(FAKE_PURGE);
    hk_purge_tick();
    EXPECT(fake_os_count(FAKE_PURGE) == calls + 1); /* slow paths give back again */
}

static void a_thread_gives_back_while_the_program_sleeps(void **state)
{
    (void)state;
    unit_passes(sleep_with_much, NULL);
}

static void tick_beside_thread(void *arg)
{
    (void)arg;
    options(3600000, HK_MIB);
    EXPECT(hk_option_store(HK_OPT_PURGE_THREAD, 1));
    hk_purge_start();
    make_empty_between(300);
    for (unsigned i = 0; i < 10; i++)
        hk_purge_tick();
    hk_purge_end_thread();
    EXPECT(fake_os_count(FAKE_PURGE) == 0 || !HK_HOT_SPAN); /* that is the thread's business now */
    hk_purge_stop();
}

/* Most calls that give a block back do not ask for the time; what is too much goes at once all the same. */
static void tick_shortly(void *arg)
{
    (void)arg;
    uint32_t turn = 0;
    options(1000, HK_MIB);
    make_empty(81);
    for (unsigned i = 0; i < 8; i++)
        hk_purge_tick_short(&turn); /* looks what is allowed */
    uint64_t calls = fake_os_count(FAKE_PURGE);
    make_free_run(10 * HK_MIB);
    turn = 0;
    hk_purge_tick_short(&turn);
    EXPECT(fake_os_count(FAKE_PURGE) == calls + 1);
    for (unsigned i = 0; i < 64; i++)
        hk_purge_tick_short(&turn);
    EXPECT(hk_purge_free_bytes() <= hk_purge_allowance());
    size_t left = hk_purge_free_bytes();
    fake_os_travel(1001);
    for (unsigned i = 0; i < 8; i++)
        hk_purge_tick_short(&turn);
    EXPECT(hk_purge_free_bytes() < left); /* what is old goes with the eighth at the latest */
}

static void the_clock_is_asked_now_and_then(void **state)
{
    (void)state;
    unit_passes(tick_shortly, NULL);
}

static void slow_paths_leave_it_to_the_thread(void **state)
{
    (void)state;
    unit_passes(tick_beside_thread, NULL);
}

/* In the child only the calling thread exists. */
static void fork_beside_thread(void *arg)
{
    (void)arg;
    options(40, HK_MIB);
    EXPECT(hk_option_store(HK_OPT_PURGE_THREAD, 1));
    hk_purge_start();
    pid_t pid = unit_fork();
    EXPECT(pid >= 0);
    if (pid == 0) {
        hk_purge_fork_child(true);
        make_empty_between(300);
        hk_purge_tick();
        _exit(wait_until_at_most(HK_MIB) ? 0 : 1);
    }
    int status;
    EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
}

static void a_child_has_a_thread_of_its_own(void **state)
{
    (void)state;
    unit_passes(fork_beside_thread, NULL);
}

/* Where none may be started its slow paths give back. */
static void fork_without_thread(void *arg)
{
    (void)arg;
    options(3600000, HK_MIB);
    EXPECT(hk_option_store(HK_OPT_PURGE_THREAD, 1));
    hk_purge_start();
    pid_t pid = unit_fork();
    EXPECT(pid >= 0);
    if (pid == 0) {
        hk_purge_fork_child(false);
        make_empty_between(300);
        uint64_t calls = fake_os_count(FAKE_PURGE);
        hk_purge_tick();
        EXPECT(fake_os_count(FAKE_PURGE) == calls + 1);
        hk_purge_stop(); /* nobody is waited for */
        _exit(0);
    }
    int status;
    EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
}

static void a_child_does_without_a_thread(void **state)
{
    (void)state;
    unit_passes(fork_without_thread, NULL);
}

/* Learning is guarded by a lock that nobody waits for, so a fork may find it taken. */
static void *learn_on(void *arg)
{
    while (!*(_Atomic bool *)arg) {
        fake_os_travel(1);
        hk_purge_tick_slow();
    }
    return NULL;
}

/* 14 MiB that go and come again. */
static void burst_once(void)
{
    static char *run[28];
    bool zero;
    for (unsigned i = 0; i < HK_COUNT(run); i++)
        EXPECT((run[i] = hk_arena_take(HK_MIB / 2 / HK_PAGE, HK_PAGE, &zero)) != NULL);
    for (unsigned i = 0; i < HK_COUNT(run); i++) {
        EXPECT(hk_arena_give(run[i]));
        hk_purge_tick();
    }
}

static void fork_beside_learning(void *arg)
{
    (void)arg;
    static _Atomic bool stop;
    pthread_t thread;
    options(500, HK_MIB);
    EXPECT(pthread_create(&thread, NULL, learn_on, &stop) == 0);
    for (unsigned i = 0; i < 200; i++) {
        int status;
        pid_t pid = unit_fork();
        EXPECT(pid >= 0);
        if (pid == 0) {
            hk_purge_fork_child(true);
            size_t allowance = hk_purge_allowance();
            fake_os_travel(1000);
            for (unsigned n = 0; n < 3; n++) {
                burst_once();
                fake_os_travel(100);
            }
            _exit(hk_purge_allowance() > allowance ? 0 : 1);
        }
        EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
    }
    stop = true;
    pthread_join(thread, NULL);
}

static void a_child_learns_whoever_did_in_the_parent(void **state)
{
    (void)state;
    if (!HK_HOT_SPAN)
        skip(); /* there is nothing to learn */
    unit_passes(fork_beside_learning, NULL);
}

static void start_without_option(void *arg)
{
    (void)arg;
    hk_purge_start();
    make_empty_between(400);
    make_free_run(20 * HK_MIB);
    for (unsigned i = 0; i < 50; i++)
        tick(); /* sees that there is no other thread */
    hk_purge_fork_child(true);
    EXPECT(is_single_threaded());
    hk_purge_stop();
}

static void there_is_no_thread_by_default(void **state)
{
    (void)state;
    unit_passes(start_without_option, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(purge_now_gives_everything_back),
        cmocka_unit_test(purge_now_keeps_what_it_is_told),
        cmocka_unit_test(what_may_be_free_follows_what_is_live),
        cmocka_unit_test(what_is_beyond_goes_at_once_in_pieces),
        cmocka_unit_test(a_burst_leaves_no_more_than_is_allowed),
        cmocka_unit_test(the_end_of_a_thread_gives_all_that_is_beyond),
        cmocka_unit_test(old_memory_goes_back_beyond_what_is_kept),
        cmocka_unit_test(what_is_kept_is_never_purged),
        cmocka_unit_test(what_is_in_use_is_not_purged),
        cmocka_unit_test(sparse_slabs_give_their_pages),
        cmocka_unit_test(a_system_that_refuses_harms_nothing),
        cmocka_unit_test(a_refusal_is_not_asked_for_in_every_call),
        cmocka_unit_test(a_clock_that_begins_again_changes_nothing),
        cmocka_unit_test(a_locked_page_stops_no_other),
        cmocka_unit_test(what_waits_for_a_sleeper_is_swept),
        cmocka_unit_test(what_comes_again_soon_may_stay),
        cmocka_unit_test(long_blocks_give_as_many_pieces_as_they_have),
        cmocka_unit_test(a_thread_gives_back_while_the_program_sleeps),
        cmocka_unit_test(slow_paths_leave_it_to_the_thread),
        cmocka_unit_test(a_child_has_a_thread_of_its_own),
        cmocka_unit_test(a_child_does_without_a_thread),
        cmocka_unit_test(the_clock_is_asked_now_and_then),
        cmocka_unit_test(a_child_learns_whoever_did_in_the_parent),
        cmocka_unit_test(there_is_no_thread_by_default),
    };
    return cmocka_run_group_tests_name("purge", tests, NULL, NULL);
}
