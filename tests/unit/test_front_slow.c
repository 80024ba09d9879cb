/* SPDX-License-Identifier: MIT
 *
 * Everything behind the fast paths, as the public entries call it: all sizes, calloc, realloc, aligned blocks, and
 * a system that refuses; wrong pointers: test_front_wrong.c. Each case runs in a child.
 */
#include "front_fixture.h"

#include "base/options.h"
#include "large/page_heap.h"
#include "box/pool.h"
#include "box/purge.h"
#include "box/side.h"
#include "fake_os.h"
#include "front/profiled.h"
#include "needs.h"
#include "os/os.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

static void every_size(void *arg)
{
    (void)arg;
    const size_t large[] = {HK_MID_MAX + 1, 40000, 65536, 100000, HK_MIB, 3 * HK_MIB + 1, 32 * HK_MIB, 33 * HK_MIB};
    char *newest = NULL;
    for (size_t size = 0; size <= HK_MID_MAX; size += size < 2100 ? 1 : 37) {
        char *p = front_take(size);
        memset(p, (int)size, size);
        EXPECT(p != newest);
        front_free(newest);
        newest = p;
        EXPECT(hk_block_find(p, "x").size == hk_class_size(hk_class_of(size)));
    }
    front_free(newest);
    for (size_t i = 0; i < HK_COUNT(large); i++) {
        char *p = front_take(large[i]);
        p[0] = p[large[i] - 1] = 1;
        front_free(p);
    }
    front_check();
    EXPECT(hk_huge_bytes() == 0);
}

static void every_size_is_served(void **state)
{
    (void)state;
    unit_passes(every_size, NULL);
}

/* As after a new_handler that has freed, or where a profile has just ended: the bin has blocks. */
static void miss_beside_blocks(void *arg)
{
    (void)arg;
    const size_t sizes[] = {16, 64, 500, 1024};
    for (size_t i = 0; i < HK_COUNT(sizes); i++) {
        void *p[40];
        for (unsigned n = 0; n < HK_COUNT(p); n++)
            p[n] = n % 2 == 0 ? front_take(sizes[i]) : hk_malloc_slow(sizes[i]);
        for (unsigned n = 0; n < HK_COUNT(p); n++)
            front_free(p[n]);
        front_check();
    }
    hk_front_flush_all(front_self());
    EXPECT(front_owned_slabs() == 0);
}

static void a_refill_loses_no_block(void **state)
{
    (void)state;
    unit_passes(miss_beside_blocks, NULL);
}

static void refuse_sizes(void *arg)
{
    (void)arg;
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, (size_t)PTRDIFF_MAX + 1, (size_t)1 << 60, HK_SIZE_MOST + 1};
    void *p = front_take(100);
    front_free(front_take(100)); /* a bin that a miss leaves empty holds a block then, too */
    size_t held = front_held();
    for (size_t i = 0; i < HK_COUNT(sizes); i++) {
        errno = 0;
        EXPECT(front_malloc(sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        EXPECT(hk_calloc_slow(sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        EXPECT(hk_resize(p, sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        EXPECT(hk_malloc_aligned(64, sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        EXPECT(hk_malloc_aligned((size_t)1 << 62, sizes[i]) == NULL && errno == ENOMEM);
    }
    EXPECT(hk_block_find(p, "x").size == hk_class_size(hk_class_of(100)));
    front_free(front_take(100));
    EXPECT(held != 0 && front_held() == held); /* nothing was given up for what nobody can have */
}

/* A sampled block that the side box has no memory for is an ordinary one, and the profile says that it is missing. */
static void miss_samples(void *arg)
{
    (void)arg;
    struct hk_profile_result r;
    front_free(front_take(100));
    EXPECT(hk_front_profile_begin(1, NULL));
    fake_os_fail_from(FAKE_ANY, 1);
    for (unsigned i = 1; i <= 5; i++) {
        errno = 77;
        void *p = front_take(100);
        EXPECT(errno == 77);
        EXPECT(hk_block_find(p, "x").kind == HK_BLOCK_SLAB);
        front_free(p);
    }
    fake_os_recover();
    front_free(front_take(100));
    EXPECT(hk_front_profile_read(&r) && r.lost == 5 && r.samples == 1);
    hk_profile_drop(&r);
    hk_front_profile_end();
}

static void missed_samples_are_counted(void **state)
{
    (void)state;
    unit_passes(miss_samples, NULL);
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    unit_passes(refuse_sizes, NULL);
}

/* Sets errno, and once `call` is done looks whether it is still that. */
#define KEEPS_ERRNO(call)    \
    do {                     \
        errno = 77;          \
        call;                \
        EXPECT(errno == 77); \
    } while (0)

/* With an interval while a profile is made. */
static void keep_errno(void *arg)
{
    const size_t *interval = arg;
    static void *blocks[3000];
    void *p, *q, *aligned, *zeroed;
    EXPECT(interval == NULL || hk_front_profile_begin(*interval, NULL));
    for (unsigned i = 0; i < 3000; i++)
        KEEPS_ERRNO(blocks[i] = front_take(i * 20));
    for (unsigned i = 0; i < 3000; i++)
        KEEPS_ERRNO(front_free(blocks[i]));
    for (size_t size = 100; size < 80 * HK_MIB; size = size * 3 + 1) {
        KEEPS_ERRNO(p = front_take(size));
        KEEPS_ERRNO(aligned = hk_malloc_aligned(8192, size));
        KEEPS_ERRNO(zeroed = hk_calloc_slow(size));
        KEEPS_ERRNO(p = hk_resize(p, size * 2));
        KEEPS_ERRNO(q = hk_resize(aligned, size / 2 + 1));
        KEEPS_ERRNO(EXPECT(hk_block_find(zeroed, "x").size >= size));
        KEEPS_ERRNO(front_free(p));
        KEEPS_ERRNO(front_free(q));
        KEEPS_ERRNO(front_free(zeroed));
        fake_os_travel(600); /* the next tick purges */
    }
    KEEPS_ERRNO(hk_trim(0));
    EXPECT(fake_os_count(FAKE_PURGE) > 0 && fake_os_count(FAKE_MAP) > 0 && fake_os_count(FAKE_MAP_AT) > 0);
}

/* Served after all: what is free had to go back first, or a growing block had to do without headroom. */
static void keep_errno_when_served_late(void *arg)
{
    (void)arg;
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, 64 * HK_MIB));
    static void *blocks[1000];
    unsigned n = 0;
    void *p, *q;
    while (n < 1000 && (blocks[n] = front_malloc(100000)) != NULL)
        n++;
    EXPECT(n > 100 && n < 1000 && errno == ENOMEM);
    while (n > 0)
        front_free(blocks[--n]);
    KEEPS_ERRNO(p = front_take(48 * HK_MIB));
    KEEPS_ERRNO(front_free(p));
    KEEPS_ERRNO(p = front_take(20 * HK_MIB));
    KEEPS_ERRNO(q = hk_resize(p, 40 * HK_MIB)); /* not with an eighth more */
    EXPECT(q != NULL);
}

/* No unit of 2 MiB, but pages. */
static void go_on_by_the_page(void *arg)
{
    (void)arg;
    front_free(front_take(16)); /* the thread has its record */
    fake_os_fail_from(FAKE_MAP_AT, 1);
    static char *blocks[4000];
    unsigned n = 0;
    for (; n < HK_COUNT(blocks); n++) {
        KEEPS_ERRNO(blocks[n] = n % 2 ? front_malloc(1000) : hk_calloc_slow(2000));
        EXPECT(blocks[n] != NULL && (n % 2 || unit_is_zero(blocks[n], 2000)));
        memset(blocks[n], 7, 1000);
    }
    EXPECT(hk_huge_bytes() > 1000 * hk_os_page_size());
    char *grown = hk_resize(blocks[n - 1], 5000), *aligned = hk_malloc_aligned(512, 512);
    EXPECT(grown != NULL && grown[999] == 7 && hk_block_find(grown, "size").size >= 5000);
    EXPECT(aligned != NULL && (uintptr_t)aligned % 512 == 0);
    blocks[n - 1] = grown;
    fake_os_recover();
    front_free(aligned);
    for (unsigned i = 0; i < n; i++)
        KEEPS_ERRNO(front_free(blocks[i]));
    EXPECT(hk_huge_bytes() == 0);
}

static void where_no_unit_can_be_had_pages_serve(void **state)
{
    (void)state;
    unit_passes(go_on_by_the_page, NULL);
}

static void success_leaves_errno_alone(void **state)
{
    (void)state;
    unit_passes(keep_errno, NULL);
    unit_passes(keep_errno, &(size_t){1});
    unit_passes(keep_errno, &(size_t){100000});
    unit_passes(keep_errno_when_served_late, NULL);
}

static void align_each(void)
{
    for (size_t alignment = 32; alignment <= 64 * HK_MIB; alignment *= 2) {
        for (size_t size = 0; size < 200000; size = size * 3 + 1) {
            char *p = hk_malloc_aligned(alignment, size);
            EXPECT(p != NULL && (uintptr_t)p % alignment == 0);
            EXPECT(hk_block_find(p, "x").size >= size);
            memset(p, 1, size);
            front_free(p);
        }
    }
}

static void align(void *arg)
{
    (void)arg;
    align_each();
    front_check();
}

/* As in a handler that interrupted malloc, or beside a fork. */
static void align_when_turned_away(void *arg)
{
    (void)arg;
    front_free(front_take(1));
    struct hk_pass *pass = hk_front_pass(hk_front_thread());
    EXPECT(hk_gate_enter(pass));
    align_each();
    hk_gate_leave(pass);
    front_check();
}

static void blocks_are_aligned(void **state)
{
    (void)state;
    unit_passes(align, NULL);
    unit_passes(align_when_turned_away, NULL);
}

/* ---- a random program ---- */

#define BLOCKS 400

static struct {
    unsigned char *ptr;
    size_t size;
    unsigned char mark;
} live[BLOCKS];

static void fill(unsigned i, unsigned char *ptr, size_t size)
{
    live[i].ptr = ptr;
    live[i].size = size;
    live[i].mark++;
    unit_fill(ptr, size, live[i].mark);
}

/* The block's contents, of which `size` bytes are left. */
static void expect_filled(unsigned i, const unsigned char *ptr, size_t size)
{
    EXPECT(unit_is_filled(ptr, hk_min(size, live[i].size), live[i].size, live[i].mark));
}

static size_t random_size(uint64_t *seed)
{
    switch (unit_random(seed, 20)) {
    case 0:
        return unit_random(seed, 2 * HK_MIB);
    case 1:
    case 2:
        return unit_random(seed, 100000);
    case 3:
    case 4:
    case 5:
        return unit_random(seed, HK_MID_MAX);
    default:
        return unit_random(seed, 1025);
    }
}

/* One operation; false when there was no memory, and then nothing has changed. */
static bool step(uint64_t *seed)
{
    unsigned i = (unsigned)unit_random(seed, BLOCKS);
    size_t size = random_size(seed);
    if (live[i].ptr == NULL) {
        uint64_t how = unit_random(seed, 4);
        size_t alignment = (size_t)32 << unit_random(seed, 9);
        errno = 0;
        unsigned char *p = how == 0   ? hk_calloc_slow(size)
                           : how == 1 ? hk_malloc_aligned(alignment, size)
                                      : front_malloc(size);
        if (p == NULL) {
            EXPECT(errno == ENOMEM);
            return false;
        }
        EXPECT((uintptr_t)p % (how == 1 ? alignment : 16) == 0 && (how != 0 || unit_is_zero(p, size)));
        fill(i, p, size);
        return true;
    }
    expect_filled(i, live[i].ptr, live[i].size);
    if (size != 0 && unit_random(seed, 3) == 0) {
        unsigned char *p = hk_resize(live[i].ptr, size);
        if (p == NULL) {
            expect_filled(i, live[i].ptr, live[i].size);
            return false;
        }
        EXPECT(hk_block_find(p, "x").size >= size);
        expect_filled(i, p, size);
        fill(i, p, size);
    } else {
        front_free(live[i].ptr);
        live[i].ptr = NULL;
    }
    return true;
}

static void free_everything(void)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (live[i].ptr != NULL)
            expect_filled(i, live[i].ptr, live[i].size);
        front_free(live[i].ptr);
        live[i].ptr = NULL;
    }
    if (hk_front_thread() != NULL)
        hk_front_flush_all(hk_front_thread());
    hk_purge_now(0);
    EXPECT(front_owned_slabs() == 0 && hk_huge_bytes() == 0);
    EXPECT(hk_pool_check() && hk_arena_check() && hk_heap_check(&hk_orphan_heap));
    EXPECT(hk_arena_live() == 0);
}

static void random_program(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    for (unsigned i = 0; i < 12000; i++) {
        EXPECT(step(&seed));
        if (i % 500 == 0) {
            front_check();
            EXPECT(hk_heap_check(&front_self()->heap) && hk_pool_check() && hk_arena_check());
            fake_os_travel(100);
        }
    }
    free_everything();
    EXPECT(fake_os_misaligned() == 0);
}

static void contents_survive(void **state)
{
    (void)state;
    unit_passes(random_program, (void *)1);
    unit_passes(random_program, (void *)2);
}

/* ---- a signal handler that interrupts a slow path ---- */

/* Its sizes are of other classes than the program's: what is in the middle of a change is not in the way (the bins of a
 * thread are guarded by nothing). */
static unsigned interruptions;
static void *volatile handed_over; /* a large block of the program's, for the handler to free */

static void on_signal(int number)
{
    static const size_t sizes[] = {48, 300, 6000, 150000, 5 * HK_MIB};
    static struct {
        unsigned char *ptr;
        size_t size;
    } kept[40];
    static uint64_t seed = 3;
    unsigned i = (unsigned)unit_random(&seed, HK_COUNT(kept));
    if (kept[i].ptr != NULL) {
        EXPECT(hk_block_find(kept[i].ptr, "x").size >= kept[i].size);
        EXPECT(kept[i].ptr[0] == i && kept[i].ptr[kept[i].size - 1] == i);
        front_free(kept[i].ptr);
        kept[i].ptr = NULL;
    } else {
        kept[i].size = sizes[unit_random(&seed, HK_COUNT(sizes))];
        kept[i].ptr = front_take(kept[i].size);
        kept[i].ptr[0] = kept[i].ptr[kept[i].size - 1] = (unsigned char)i;
    }
    if (handed_over != NULL) {
        EXPECT(hk_block_find(handed_over, "x").size >= 100000);
        front_free(handed_over);
        handed_over = NULL;
    }
    interruptions += number != 0;
}

static void interrupt_slow_path(void)
{
    if (hk_front_thread() != NULL && hk_front_thread()->pass.state == HK_PASS_INSIDE)
        raise(SIGUSR1);
}

static void program_with_handler(void *threads)
{
    static const size_t sizes[] = {16, 100, 1000, 3000, 20000, 100000, 3 * HK_MIB, 40 * HK_MIB};
    static unsigned char *blocks[400];
    static size_t size[400];
    uint64_t seed = 9;
    if (threads != NULL) /* with one thread nothing is ever locked */
        unit_second_thread();
    EXPECT(signal(SIGUSR1, on_signal) != SIG_ERR);
    EXPECT(hk_option_store(HK_OPT_PURGE_DELAY_MS, 10));
    fake_os_during_calls(interrupt_slow_path);
    for (unsigned n = 0; n < 20000; n++) {
        unsigned i = (unsigned)unit_random(&seed, HK_COUNT(blocks));
        if (blocks[i] != NULL)
            EXPECT(blocks[i][0] == 1 && blocks[i][size[i] - 1] == 1);
        front_free(blocks[i]);
        size[i] = sizes[unit_random(&seed, unit_random(&seed, 20) == 0 ? HK_COUNT(sizes) : 6)];
        blocks[i] = front_take(size[i]);
        blocks[i][0] = blocks[i][size[i] - 1] = 1;
        if (n % 50 == 0)
            fake_os_travel(1);
        if (handed_over == NULL)
            handed_over = front_take(n % 100 == 0 ? 33 * HK_MIB : 100000);
    }
    fake_os_during_calls(NULL);
    front_free(handed_over);
    EXPECT(interruptions > 500);
    front_check();
    EXPECT(hk_heap_check(&front_self()->heap) && hk_pool_check() && hk_arena_check());
    for (unsigned i = 0; i < HK_COUNT(blocks); i++)
        front_free(blocks[i]);
    EXPECT(!hk_side_has_deferred());
}

static void a_handler_may_interrupt_a_slow_path(void **state)
{
    (void)state;
    unit_passes(program_with_handler, NULL);
    unit_passes(program_with_handler, &interruptions);
}

/* ---- a system that refuses ---- */

struct refusal {
    unsigned n;
    bool lasting;
};

/* The same operations each time; from the n-th call of the system on (or that one alone) they may fail. */
static void work_refused(void *arg)
{
    const struct refusal *r = arg;
    uint64_t seed = 77;
    unsigned failed = 0;
    (r->lasting ? fake_os_fail_from : fake_os_fail_nth)(FAKE_ANY, r->n);
    for (unsigned i = 0; i < 400; i++)
        failed += !step(&seed);
    void *huge = front_malloc(40 * HK_MIB), *larger = huge != NULL ? hk_resize(huge, 80 * HK_MIB) : NULL;
    front_free(larger != NULL ? larger : huge);
    bool happened = fake_os_failures() != 0;
    EXPECT(failed == 0 || happened);
    EXPECT(!r->lasting || r->n > 1 || failed > 0);
    fake_os_recover();
    for (unsigned i = 0; i < 400; i++)
        EXPECT(step(&seed));
    front_check();
    EXPECT(hk_heap_check(&front_self()->heap));
    free_everything();
    _exit(happened ? 0 : 3);
}

static void every_call_may_be_refused(void **state)
{
    (void)state;
    for (unsigned lasting = 0; lasting < 2; lasting++) {
        unsigned n = 0;
        int status;
        do {
            n += n == 0 ? 1 : unit_stride();
            struct refusal r = {n, lasting};
            status = unit_status(work_refused, &r);
        } while (status == 0 && n < 500);
        assert_int_equal(status, 3);
        assert_true(n > 10);
    }
}

static void work_at_limit(void *arg)
{
    (void)arg;
    uint64_t seed = 5;
    unsigned failed = 0;
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, 16 * HK_MIB));
    for (unsigned i = 0; i < 4000; i++) {
        failed += !step(&seed);
        EXPECT(hk_arena_live() <= 16 * HK_MIB);
    }
    EXPECT(failed > 0);
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, 0));
    for (unsigned i = 0; i < 1000; i++)
        EXPECT(step(&seed));
    free_everything();
}

static void the_memory_limit_is_an_end_like_any_other(void **state)
{
    (void)state;
    unit_passes(work_at_limit, NULL);
}

/* Sizes on every side of the borders between classes, Mid classes, runs and mappings. */
static const size_t shrunk[] = {1,     16,     100,    1000,       3000,        20000,       32768,
                                32769, 100000, HK_MIB, 5 * HK_MIB, 31 * HK_MIB, 33 * HK_MIB, 70 * HK_MIB};

/* Every size, and aligned blocks of it. */
static void *take_to_shrink(size_t size, unsigned way)
{
    const size_t aligns[] = {16, 64, 4096, 65536, 4 * HK_MIB};
    return way == 0 ? front_malloc(size) : hk_malloc_aligned(aligns[way], size);
}

static void use_up(size_t least)
{
    for (size_t size = 64 * HK_MIB; size >= least; size /= 4) {
        while (front_malloc(size) != NULL) {
        }
    }
}

/* One block of each kind and then no memory. It shrinks in steps, keeps what it holds and needs nothing. */
static void shrink_without_memory(void *arg)
{
    const unsigned *which = arg; /* the size, the alignment, and why there is no memory */
    size_t have = shrunk[which[0]];
    unsigned char *p = take_to_shrink(have, which[1]);
    EXPECT(p != NULL);
    size_t filled = have = hk_block_find(p, "x").size;
    unit_fill(p, have, 0x5a);
    if (which[2] == 0)
        EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, hk_arena_live() + 4 * HK_MIB));
    else
        fake_os_fail_from(FAKE_ANY, 1);
    use_up(16);
    for (unsigned i = which[0] + 1; i-- > 0;) {
        size_t size = hk_min(shrunk[i], have);
        KEEPS_ERRNO(p = hk_resize(p, size));
        EXPECT(p != NULL && hk_block_find(p, "x").size >= size);
        EXPECT(unit_is_filled(p, size, filled, 0x5a));
        unit_fill(p, size, 0x5a);
        filled = size;
    }
    fake_os_recover();
    front_free(p);
    front_check();
}

static void a_block_always_shrinks(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HK_COUNT(shrunk); i++) {
        for (unsigned n = 0; n < 10; n++) {
            unsigned which[3] = {i, n % 5, n / 5};
            unit_passes(shrink_without_memory, which);
        }
    }
}

/* A block of up to 8 KiB stays where it is as long as half of it is in use, also where it grew and got room on top. */
static void shrink_in_slab(void *arg)
{
    (void)arg;
    for (size_t size = 64; size <= HK_MID_MAX; size *= 2) {
        void *p = front_take(size);
        size_t have = hk_block_find(p, "x").size;
        EXPECT(hk_resize(p, have / 2 + 1) == p && hk_resize(p, have) == p);
        void *half = hk_resize(p, have / 2);
        EXPECT(half != NULL && (half == p) == (have <= 8192)); /* of larger ones others have the rest */
        p = hk_resize(half, have / 4);
        EXPECT(p != NULL && hk_block_find(p, "x").size <= have / 2);
        front_free(p);
    }
    void *p = front_take(1024); /* half of a block that has an eighth on top is less than half of what that holds */
    p = hk_resize(p, 4096);
    EXPECT(p != NULL && hk_resize(p, 2048) == p);
    front_free(p);
}

static void half_of_a_block_stays_in_its_place(void **state)
{
    (void)state;
    unit_passes(shrink_in_slab, NULL);
}

/* What it gives up where it is serves others. */
static void shrink_for_others(void *arg)
{
    size_t size = *(size_t *)arg;
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, 100 * HK_MIB));
    void *p = front_take(size);
    use_up(16);
    EXPECT(front_malloc(size / 2) == NULL);
    EXPECT(hk_resize(p, 1000) == p && hk_block_find(p, "x").size < size / 4);
    EXPECT(front_malloc(size / 2) != NULL);
}

static void what_it_shrinks_by_is_free(void **state)
{
    (void)state;
    size_t sizes[] = {8 * HK_MIB, 30 * HK_MIB, 60 * HK_MIB};
    size_t moved = lacks_own_memory() != NULL; /* an emulator moves the last, a mapping, also where it gets smaller */
    for (size_t i = 0; i < HK_COUNT(sizes) - moved; i++)
        unit_passes(shrink_for_others, &sizes[i]);
}

/* Before it fails for good it gives back what is free: here, all of the limit is in EMPTY slabs. */
static void retry_after_purge(void *arg)
{
    (void)arg;
    static void *blocks[15000];
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, 16 * HK_MIB));
    unsigned n = 0;
    while (n < HK_COUNT(blocks) && (blocks[n] = front_malloc(1024)) != NULL)
        n++;
    EXPECT(n > 12000);
    EXPECT(front_malloc(10 * HK_MIB) == NULL);
    for (unsigned i = 0; i < n; i++)
        front_free(blocks[i]);
    void *p = front_malloc(10 * HK_MIB);
    EXPECT(p != NULL);
    front_free(p);
}

/* What lies in this thread's front pins SuperSlabs: here, blocks of every class. And room is made where the system
 * takes nothing back. */
static void retry_after_flush(void *refused)
{
    static void *blocks[100000];
    unsigned n = 0;
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, 64 * HK_MIB));
    for (size_t size = 16; size <= HK_MID_MAX; size = hk_class_size(hk_class_of(size)) + 1) {
        for (size_t bytes = 0; bytes < HK_MIB / 4; bytes += size) /* from slabs that no other class has */
            blocks[n++] = front_take(size);
    }
    while (n < HK_COUNT(blocks) && (blocks[n] = front_malloc(HK_MIB)) != NULL)
        n++;
    EXPECT(n < HK_COUNT(blocks) && front_malloc(40 * HK_MIB) == NULL);
    size_t purges = fake_os_purges(); /* pages of free blocks, perhaps, before it failed */
    if (refused != NULL)
        fake_os_fail_from(FAKE_PURGE, 1);
    while (n > 0)
        front_free(blocks[--n]);
    void *p = front_malloc(60 * HK_MIB);
    EXPECT(p != NULL && (refused == NULL || fake_os_purges() == purges));
    front_free(p);
}

static void what_is_free_is_given_back_before_it_fails(void **state)
{
    (void)state;
    bool refused = true;
    unit_passes(retry_after_purge, NULL);
    unit_passes(retry_after_flush, NULL);
    unit_passes(retry_after_flush, &refused);
}

/* Who frees a block looks there without order: it must not be set up while others do. */
static void free_before_a_small_block(void *arg)
{
    (void)arg;
    unsigned code = 1;
    char *p = front_malloc(100000);
    EXPECT(hk_registry_lookup(p, &code) && code == 0 && hk_registry_code(p) == 0);
    front_free(p);
}

static void the_registry_is_there_before_any_block(void **state)
{
    (void)state;
    unit_passes(free_before_a_small_block, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_is_served),       cmocka_unit_test(a_refill_loses_no_block),
        cmocka_unit_test(missed_samples_are_counted), cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(success_leaves_errno_alone), cmocka_unit_test(where_no_unit_can_be_had_pages_serve),
        cmocka_unit_test(blocks_are_aligned),         cmocka_unit_test(the_registry_is_there_before_any_block),
        cmocka_unit_test(contents_survive),           cmocka_unit_test(a_handler_may_interrupt_a_slow_path),
        cmocka_unit_test(every_call_may_be_refused),  cmocka_unit_test(the_memory_limit_is_an_end_like_any_other),
        cmocka_unit_test(a_block_always_shrinks),     cmocka_unit_test(half_of_a_block_stays_in_its_place),
        cmocka_unit_test(what_it_shrinks_by_is_free), cmocka_unit_test(what_is_free_is_given_back_before_it_fails),
    };
    return cmocka_run_group_tests_name("front_slow", tests, NULL, NULL);
}
