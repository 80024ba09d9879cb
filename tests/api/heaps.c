/* SPDX-License-Identifier: MIT
 *
 * Heaps of one's own (hak_heap_): their blocks are blocks as all others, in any thread and in the child of a fork, and
 * go all at once. Linked with the static library or with the shared one.
 */
#include "api.h"
#include "check.h"

#include "config.h"

#include <hakmem/hakmem.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

const struct entries *e;

#define MIB ((size_t)1 << 20)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static hak_heap *shared;

static struct hak_heap_stats stats_of(hak_heap *heap)
{
    struct hak_heap_stats stats = {.size = sizeof stats};
    assert_int_equal(hak_heap_stats(heap, &stats), 0);
    assert_int_equal(stats.size, sizeof stats);
    return stats;
}

static const size_t any_sizes[] = {
    0,     1,     8,     15,    16,    24,     25,  100,     1000,    1024,          1025,     5000,     16384,
    32760, 32761, 32768, 32769, 65536, 100000, MIB, 2 * MIB, 5 * MIB, 32 * MIB - 64, 32 * MIB, 33 * MIB, 100 * MIB};

static void blocks_hold_what_was_asked_for(void **state)
{
    (void)state;
    hak_heap *heap = hak_heap_new(0);
    unsigned char *blocks[COUNT(any_sizes)];
    for (size_t i = 0; i < COUNT(any_sizes); i++) {
        errno = ERRNO_MARK;
        blocks[i] = hak_heap_malloc(heap, any_sizes[i]);
        assert_non_null(blocks[i]);
        assert_int_equal(errno, ERRNO_MARK);
        assert_aligned(blocks[i], 16);
        assert_true(hak_heap_usable_size(heap, blocks[i]) >= any_sizes[i]);
        assert_int_equal(hak_heap_usable_size(heap, blocks[i]), e->usable_size(blocks[i]));
        pattern_fill(blocks[i], any_sizes[i], i);
    }
    assert_int_equal(stats_of(heap).live_blocks, COUNT(any_sizes));
    for (size_t i = 0; i < COUNT(any_sizes); i++) {
        assert_int_equal(pattern_check(blocks[i], any_sizes[i], i), any_sizes[i]);
        errno = ERRNO_MARK;
        if (i % 2 == 0)
            hak_heap_free(heap, blocks[i]);
        else
            e->free(blocks[i]); /* any other way to free */
        assert_int_equal(errno, ERRNO_MARK);
    }
    struct hak_heap_stats stats = stats_of(heap);
    assert_int_equal(stats.live_blocks, 0);
    assert_int_equal(stats.live_bytes, 0);
    assert_true(stats.held_bytes <= 24 * MIB && stats.peak_held_bytes >= 200 * MIB);
    assert_int_equal(hak_heap_destroy(heap), 0);
}

static void large_blocks_grow_to_the_limit(void **state)
{
    (void)state;
    hak_heap *heap = hak_heap_new(80 * MIB);
    char *run = hak_heap_malloc(heap, MIB), *mapping = hak_heap_malloc(heap, 40 * MIB);
    assert_true(run != NULL && mapping != NULL);
    assert_refused(hak_heap_realloc(heap, mapping, 100 * MIB), ENOMEM); /* neither where it is nor elsewhere */
    assert_refused(e->realloc(run, 50 * MIB), ENOMEM);
    assert_int_equal(stats_of(heap).limit_refusals, 2);
    assert_non_null(mapping = hak_heap_realloc(heap, mapping, 78 * MIB)); /* not with room for more */
    assert_int_equal(stats_of(heap).limit_refusals, 2);
    hak_heap_free(heap, mapping);
    assert_int_equal(hak_heap_destroy(heap), 0);
}

static void odd_arguments_are_refused(void **state)
{
    (void)state;
    hak_heap *heap = hak_heap_new(0);
    assert_refused(hak_heap_malloc(NULL, 1), EINVAL);
    assert_refused(hak_heap_calloc(NULL, 1, 1), EINVAL);
    assert_refused(hak_heap_realloc(NULL, NULL, 1), EINVAL);
    assert_refused(hak_heap_aligned_alloc(NULL, 16, 1), EINVAL);
    volatile size_t huge = SIZE_MAX;
    assert_refused(hak_heap_malloc(heap, huge), ENOMEM);
    assert_refused(hak_heap_malloc(heap, huge / 2 + 1), ENOMEM);
    assert_refused(hak_heap_malloc(heap, huge / 4), ENOMEM);
    assert_refused(hak_heap_calloc(heap, huge, 2), ENOMEM);
    assert_refused(hak_heap_calloc(heap, 2, huge / 2 + 1), ENOMEM);
    assert_refused(hak_heap_aligned_alloc(heap, 0, 1), EINVAL);
    assert_refused(hak_heap_aligned_alloc(heap, 48, 1), EINVAL);
    assert_refused(hak_heap_aligned_alloc(heap, huge / 2 + 1, 1), ENOMEM);
    assert_refused(hak_heap_aligned_alloc(heap, 16, huge - 100), ENOMEM);
    assert_refused(hak_heap_new(4095), ENOMEM);
    hak_heap_free(heap, NULL);
    assert_int_equal(hak_heap_destroy(NULL), 0);
    assert_int_equal(hak_heap_usable_size(heap, NULL), 0);
    struct hak_heap_stats stats = {.size = sizeof stats - 1};
    assert_int_equal(hak_heap_stats(heap, &stats), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(hak_heap_stats(heap, NULL), -1);
    assert_int_equal(hak_heap_stats(NULL, &stats), -1);
    void *a = hak_heap_malloc(heap, 0), *b = hak_heap_malloc(heap, 0);
    assert_true(a != NULL && b != NULL && a != b);
    assert_null(hak_heap_realloc(heap, a, 0));
    assert_int_equal(stats_of(heap).live_blocks, 1);
    assert_int_equal(hak_heap_destroy(heap), 0);
}

static void only_its_own_blocks_are_in_a_heap(void **state)
{
    (void)state;
    hak_heap *heap = hak_heap_new(0), *other = hak_heap_new(0);
    void *mine = hak_heap_malloc(heap, 100), *large = hak_heap_malloc(heap, 64 * MIB), *plain = e->malloc(100);
    void *plain_large = e->malloc(64 * MIB);
    assert_true(hak_heap_usable_size(heap, mine) >= 100 && hak_heap_usable_size(heap, large) >= 64 * MIB);
    assert_int_equal(hak_heap_usable_size(other, mine), 0);
    assert_int_equal(hak_heap_usable_size(other, large), 0);
    assert_int_equal(hak_heap_usable_size(heap, plain), 0);
    assert_int_equal(hak_heap_usable_size(heap, plain_large), 0);
    assert_int_equal(hak_heap_usable_size(heap, &heap), 0);
    e->free(plain);
    e->free(plain_large);
    assert_int_equal(hak_heap_destroy(heap), 0);
    assert_int_equal(hak_heap_destroy(other), 0);
}

static void aligned_blocks_are_aligned(void **state)
{
    (void)state;
    hak_heap *heap = hak_heap_new(0);
    const size_t sizes[] = {0, 1, 100, 5000, 40000, 3 * MIB};
    for (size_t alignment = 1; alignment <= 64 * MIB; alignment *= 2) {
        for (size_t i = 0; i < COUNT(sizes); i++) {
            unsigned char *block = hak_heap_aligned_alloc(heap, alignment, sizes[i]);
            assert_non_null(block);
            assert_aligned(block, alignment);
            pattern_fill(block, sizes[i], i);
            assert_true(e->usable_size(block) >= sizes[i]);
            assert_int_equal(pattern_check(block, sizes[i], i), sizes[i]);
            if (i % 3 != 0)
                e->free(block);
        }
    }
    assert_int_equal(hak_heap_destroy(heap), 0);
}

static void zeroed_blocks_are_zero(void **state)
{
    (void)state;
    hak_heap *heap = hak_heap_new(0);
    for (unsigned round = 0; round < 2; round++) { /* then on what the first has made dirty */
        for (size_t i = 0; i < COUNT(any_sizes) - 1; i++) {
            unsigned char *block = hak_heap_calloc(heap, any_sizes[i] / 8 + 1, 8);
            assert_non_null(block);
            for (size_t at = 0; at < any_sizes[i]; at += 1 + any_sizes[i] / 10000)
                assert_int_equal(block[at], 0);
            memset(block, 0x5a, any_sizes[i]);
            e->free(block);
        }
    }
    assert_int_equal(hak_heap_destroy(heap), 0);
}

static void a_resized_block_stays_in_its_heap(void **state)
{
    (void)state;
    hak_heap *heap = hak_heap_new(0);
    uint64_t random = 12;
    size_t size = 1;
    unsigned char *block = hak_heap_realloc(heap, NULL, size);
    pattern_fill(block, size, 5);
    for (unsigned i = 0; i < 1000; i++) {
        size_t most = i % 100 == 0 ? 48 * MIB : i % 10 == 0 ? MIB : 40000; /* a third of the first are mappings */
        size_t to = 1 + random_below(&random, most);
        unsigned char *moved = i % 2 ? hak_heap_realloc(heap, block, to) : e->realloc(block, to);
        assert_non_null(moved);
        size_t kept = size < to ? size : to;
        assert_int_equal(pattern_check(moved, kept, 5), kept);
        block = moved;
        size = to;
        pattern_fill(block, size, 5);
        assert_true(hak_heap_usable_size(heap, block) >= size);
        assert_int_equal(stats_of(heap).live_blocks, 1);
    }
    assert_int_equal(hak_heap_destroy(heap), 0);
}

static void the_limit_is_kept(void **state)
{
    (void)state;
    hak_heap *heap = hak_heap_new(MIB);
    unsigned char *last = NULL, *block;
    size_t blocks = 0;
    errno = ERRNO_MARK;
    for (; (block = hak_heap_malloc(heap, 100)) != NULL; blocks++)
        last = block;
    assert_int_equal(errno, ENOMEM);
    assert_true(blocks > 9000 * 10 / 11);
    struct hak_heap_stats stats = stats_of(heap);
    assert_true(stats.held_bytes <= MIB && stats.limit == MIB && stats.limit_refusals == 1);
    assert_true(stats.held_bytes > MIB * 9 / 10 && stats.live_blocks == blocks);
    assert_refused(hak_heap_realloc(heap, last, MIB), ENOMEM);
    assert_refused(e->realloc(last, 100 * MIB), ENOMEM);
    assert_refused(hak_heap_aligned_alloc(heap, 64 * MIB, 1), ENOMEM);
    assert_int_equal(stats_of(heap).limit_refusals, 4); /* calls, however often each has tried */
    assert_non_null(hak_heap_realloc(heap, last, 1));   /* never refused to a smaller size */
    assert_int_equal(stats_of(heap).limit_refusals, 4);
    e->free(last);
    assert_non_null(hak_heap_malloc(heap, 100));
    assert_non_null(e->malloc(MIB)); /* others have no such limit */
    assert_int_equal(hak_heap_destroy(heap), 0);
}

/* ---- misuse, while there is one thread: each in a child that ends with a line and SIGABRT ---- */

static hak_heap *wrong_heap;

static void destroy_twice(void)
{
    hak_heap_destroy(wrong_heap);
    hak_heap_destroy(wrong_heap);
}

static void destroy_a_block(void)
{
    hak_heap_destroy((hak_heap *)hak_heap_malloc(wrong_heap, 5000));
}

static void take_of_no_heap(void)
{
    _exit(hak_heap_malloc((hak_heap *)(void *)&wrong_heap, 1) != NULL);
}

static void free_the_heap(void)
{
    e->free(wrong_heap);
}

static void free_twice(void)
{
    void *block = hak_heap_malloc(wrong_heap, 100);
    e->free(block);
    hak_heap_free(wrong_heap, block); /* in a child of several threads a plain one is ignored: sanitizers have one */
}

static void free_within(void)
{
    e->free((char *)hak_heap_malloc(wrong_heap, 100000) + 50000);
}

static void free_after_destroy(void)
{
    void *block = hak_heap_malloc(wrong_heap, 100);
    hak_heap_destroy(wrong_heap);
    e->free(block);
}

static void free_elsewhere(void)
{
    hak_heap_free(wrong_heap, hak_heap_malloc(hak_heap_new(0), 100));
}

static void free_plain_block(void)
{
    hak_heap_free(wrong_heap, e->malloc(100));
}

static void write_after_free(void)
{
    char *blocks[3] = {hak_heap_malloc(wrong_heap, 100), hak_heap_malloc(wrong_heap, 100),
                       hak_heap_malloc(wrong_heap, 100)};
    e->free(blocks[0]);
    e->free(blocks[1]);
    memset(blocks[1], 'A', 100);
    _exit(hak_heap_malloc(wrong_heap, 100) != NULL);
}

static void expect_line(void (*wrong)(void), const char *line)
{
    int ends[2];
    char text[500] = "";
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], 2);
        wrong();
        _exit(0);
    }
    close(ends[1]);
    for (size_t length = 0; length < sizeof text - 1;) {
        ssize_t got = read(ends[0], text + length, sizeof text - 1 - length);
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || strstr(text, line) == NULL)
        fail_msg("\"%s\" was expected; status %#x: %s", line, (unsigned)status, text);
}

static void wrong_calls_are_told(void **state)
{
    (void)state;
    wrong_heap = hak_heap_new(0);
    expect_line(destroy_twice, "hak_heap_destroy of ");
    expect_line(destroy_a_block, "which is no heap");
    expect_line(take_of_no_heap, "hak_heap_malloc of ");
    expect_line(free_the_heap, "free of an invalid pointer");
    expect_line(free_twice, "hak_heap_free of the free block");
    expect_line(free_within, "free of an interior pointer");
    expect_line(free_after_destroy, "free of an invalid pointer");
    expect_line(free_elsewhere, "not a block of this heap");
    expect_line(free_plain_block, "not a block of this heap");
    expect_line(write_after_free, "corrupted free list");
    assert_int_equal(hak_heap_destroy(wrong_heap), 0);
}

/* ---- a handler that interrupts calls: it is refused, or served, and what it frees is freed ---- */

enum { TO_FREE = 4000 };
static void *to_free[TO_FREE];
static volatile sig_atomic_t freed;

static void free_in_handler(int signal)
{
    (void)signal;
    int saved = errno;
    void *block = hak_heap_malloc(shared, 200);
    errno = saved;
    hak_heap_free(shared, block);
    if (freed < TO_FREE) {
        e->free(to_free[freed]);
        freed = freed + 1;
    }
}

static void a_handler_breaks_nothing(void **state)
{
    (void)state;
    shared = hak_heap_new(0);
    for (size_t i = 0; i < TO_FREE; i++)
        assert_non_null(to_free[i] = hak_heap_malloc(shared, i % 100 == 0 ? 50000 : i % 100 == 50 ? 40 * MIB : 100));
    struct sigaction action = {.sa_handler = free_in_handler}, before;
    struct itimerval often = {.it_interval.tv_usec = 50, .it_value.tv_usec = 50}, never = {.it_value.tv_usec = 0};
    assert_int_equal(sigaction(SIGPROF, &action, &before), 0);
    assert_int_equal(setitimer(ITIMER_PROF, &often, NULL), 0);
    for (unsigned i = 0; i < 400000; i++) {
        void *block = hak_heap_malloc(shared, 100 + i % 2000);
        assert_non_null(block);
        hak_heap_free(shared, block);
    }
    assert_int_equal(setitimer(ITIMER_PROF, &never, NULL), 0);
    assert_int_equal(sigaction(SIGPROF, &before, NULL), 0);
    struct hak_heap_stats stats = stats_of(shared);
    assert_int_equal(stats.live_blocks, TO_FREE - (size_t)freed); /* mappings, too, are gone */
    assert_int_equal(hak_heap_destroy(shared), 0);
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 20000, PLACES = 256 };
static unsigned char *_Atomic places[PLACES];

static void *use_shared(void *argument)
{
    uint64_t random = 1 + (uint64_t)(uintptr_t)argument;
    for (unsigned i = 0; i < ROUNDS; i++) {
        size_t at = random_below(&random, PLACES), size = 1 + random_below(&random, i % 100 ? 500 : 100000);
        unsigned char *block = hak_heap_malloc(shared, size);
        if (block == NULL)
            return argument;
        memset(block, (int)at, size < 64 ? size : 64);
        block = atomic_exchange(&places[at], block);
        if (block != NULL && block[0] != (unsigned char)at)
            return block;
        if (i % 5 == 0 && block != NULL)
            block = e->realloc(block, 1 + random_below(&random, 2000));
        e->free(block);
        if (i % 500 == 0) {
            hak_heap *own = hak_heap_new(0);
            for (unsigned n = 0; n < 100; n++) {
                if (hak_heap_malloc(own, n) == NULL)
                    return argument;
            }
            if (hak_heap_destroy(own) != 0)
                return argument;
        }
    }
    return NULL;
}

static void many_threads_use_a_heap(void **state)
{
    (void)state;
    shared = hak_heap_new(0);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_shared, (void *)(i + 1)), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
    size_t live = 0;
    for (size_t i = 0; i < PLACES; i++)
        live += places[i] != NULL;
    assert_int_equal(stats_of(shared).live_blocks, live); /* the threads have ended */
    assert_int_equal(hak_heap_destroy(shared), 0);
}

/* ---- several threads destroy the same heaps: each is destroyed once, and the others are told ---- */

enum { DESTROYED = 1000 };
static hak_heap *left[DESTROYED];
static pthread_barrier_t at_once;

static void *destroy_each(void *argument)
{
    size_t mine = 0;
    (void)argument;
    for (size_t i = 0; i < DESTROYED; i++) {
        if (i % 50 == 0)
            pthread_barrier_wait(&at_once);
        mine += hak_heap_destroy(left[i]) == 0;
    }
    return (void *)mine;
}

static void destroy_at_once(void)
{
    pthread_t threads[THREADS];
    size_t destroyed = 0;
    if (freopen("/dev/null", "w", stderr) == NULL || hak_option_set("MISUSE", 0) != 0)
        _exit(2);
    for (size_t i = 0; i < DESTROYED; i++) {
        left[i] = hak_heap_new(0);
        if (hak_heap_malloc(left[i], 40000) == NULL)
            _exit(3);
    }
    pthread_barrier_init(&at_once, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, destroy_each, NULL);
    for (size_t i = 0; i < THREADS; i++) {
        void *mine;
        pthread_join(threads[i], &mine);
        destroyed += (size_t)mine;
    }
    _exit(destroyed == DESTROYED ? 0 : 4);
}

static void one_thread_destroys_a_heap(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0)
        destroy_at_once();
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* ---- fork ---- */

static void *keep_busy(void *argument)
{
    while (!__atomic_load_n((int *)argument, __ATOMIC_RELAXED)) {
        void *block = hak_heap_malloc(shared, 100);
        hak_heap *own = hak_heap_new(0);
        e->free(block);
        if (hak_heap_malloc(own, 40000) == NULL || hak_heap_destroy(own) != 0)
            return argument;
    }
    return NULL;
}

static void child_uses_heaps(unsigned char *block)
{
    hak_heap *own = hak_heap_new(0);
    if (block[0] != 42 || own == NULL)
        _exit(2);
    e->free(block);
    for (unsigned i = 0; i < 1000; i++) {
        if (hak_heap_malloc(shared, i) == NULL || hak_heap_malloc(own, i) == NULL)
            _exit(3);
    }
    if (hak_heap_destroy(shared) != 0 || hak_heap_destroy(own) != 0)
        _exit(4);
    _exit(0);
}

static void the_child_of_a_fork_has_the_heaps(void **state)
{
    (void)state;
    int stop = 0;
    pthread_t threads[2];
    shared = hak_heap_new(0);
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, keep_busy, &stop), 0);
    for (unsigned round = 0; round < 60; round++) {
        unsigned char *block = hak_heap_malloc(shared, 1000);
        block[0] = 42;
        pid_t pid = fork();
        if (pid == 0)
            child_uses_heaps(block);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(block[0], 42);
        hak_heap_free(shared, block);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(stats_of(shared).live_blocks, 0);
    assert_int_equal(hak_heap_destroy(shared), 0);
}

/* ---- many heaps, and what others see ---- */

/* More than 16 bits count. */
static void seventy_thousand_heaps_are_small(void **state)
{
    (void)state;
    enum { BLOCKS = 10 };
    const size_t many = check_fewer(70000);
    hak_heap **heaps = e->calloc(many, sizeof *heaps);
    for (size_t i = 0; i < many; i++) {
        heaps[i] = hak_heap_new(0);
        assert_non_null(heaps[i]);
        for (size_t n = 0; n < BLOCKS; n++)
            assert_non_null(hak_heap_malloc(heaps[i], 16 + n * 16));
    }
    assert_int_equal(stats_of(heaps[many / 2]).held_bytes, 4096);
    for (size_t i = 0; i < many; i++)
        assert_int_equal(hak_heap_destroy(heaps[i]), 0);
    e->free(heaps);
}

static void statistics_count_blocks_of_heaps(void **state)
{
    (void)state;
    if (!HK_STATS)
        skip();
    struct hak_stats before = {.size = sizeof before}, full = before, after = before;
    assert_int_equal(hak_stats(&before), 0);
    hak_heap *heap = hak_heap_new(0);
    for (unsigned i = 0; i < 1000; i++)
        memset(hak_heap_malloc(heap, 1000), 1, 1000);
    memset(hak_heap_malloc(heap, 40 * MIB), 1, 40 * MIB);
    assert_int_equal(hak_stats(&full), 0);
    struct hak_heap_stats own = stats_of(heap);
    assert_int_equal(full.live_blocks, before.live_blocks + 1001);
    assert_int_equal(full.live_bytes, before.live_bytes + own.live_bytes);
    assert_int_equal(hak_heap_destroy(heap), 0);
    hak_trim(0);
    assert_int_equal(hak_stats(&after), 0);
    assert_int_equal(after.live_bytes, before.live_bytes);
    assert_int_equal(after.live_blocks, before.live_blocks);
    assert_true(after.resident_bytes <= before.resident_bytes + 2 * MIB);
}

/* A profile follows no block of a heap, and its end is theirs too. */
static void profiles_and_pictures_go_on(void **state)
{
    (void)state;
    hak_heap *heap = hak_heap_new(0);
    void *before = hak_heap_malloc(heap, 100);
    assert_int_equal(hak_profile_start(1), 0);
    void *blocks[] = {hak_heap_malloc(heap, 100), hak_heap_malloc(heap, 100000), hak_heap_malloc(heap, 64 * MIB)};
    for (size_t i = 0; i < COUNT(blocks); i++) {
        assert_true(hak_heap_usable_size(heap, blocks[i]) != 0);
        blocks[i] = e->realloc(blocks[i], 200000);
        assert_true(hak_heap_usable_size(heap, blocks[i]) >= 200000);
    }
    FILE *null = fopen("/dev/null", "w");
    assert_int_equal(hak_heap_picture(fileno(null)), 0);
    fclose(null);
    hak_trim(0);
    e->free(before);
    hak_profile_stop();
    assert_int_equal(stats_of(heap).live_blocks, COUNT(blocks));
    assert_int_equal(hak_heap_destroy(heap), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_hold_what_was_asked_for),
        cmocka_unit_test(odd_arguments_are_refused),
        cmocka_unit_test(only_its_own_blocks_are_in_a_heap),
        cmocka_unit_test(aligned_blocks_are_aligned),
        cmocka_unit_test(zeroed_blocks_are_zero),
        cmocka_unit_test(a_resized_block_stays_in_its_heap),
        cmocka_unit_test(the_limit_is_kept),
        cmocka_unit_test(large_blocks_grow_to_the_limit),
        cmocka_unit_test(wrong_calls_are_told),
        cmocka_unit_test(a_handler_breaks_nothing),
        cmocka_unit_test(many_threads_use_a_heap),
        cmocka_unit_test(one_thread_destroys_a_heap),
        cmocka_unit_test(the_child_of_a_fork_has_the_heaps),
        cmocka_unit_test(seventy_thousand_heaps_are_small),
        cmocka_unit_test(statistics_count_blocks_of_heaps),
        cmocka_unit_test(profiles_and_pictures_go_on),
    };
    e = entries_get();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
