/* SPDX-License-Identifier: MIT
 *
 * realloc and reallocarray: contents, in and across all ranges, and what failure leaves behind.
 */
#include "api.h"

const struct entries *e;

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void null_is_malloc(void **state)
{
    (void)state;
    for (size_t i = 0; i < BORDER_SIZES; i += 3) {
        void *block = e->realloc(NULL, border_sizes[i]);
        assert_non_null(block);
        assert_aligned(block, 16);
        assert_true(e->usable_size(block) >= border_sizes[i]);
        e->free(block);
    }
    void *empty = e->realloc(NULL, 0);
    assert_non_null(empty);
    e->free(empty);
}

/* Memory must not grow: the block is really freed. */
static void zero_size_frees(void **state)
{
    (void)state;
    size_t before = proc_rss();
    for (int i = 0; i < 2000; i++) {
        unsigned char *block = e->malloc(100000);
        assert_non_null(block);
        memset(block, 1, 100000);
        errno = ERRNO_MARK;
        assert_null(e->realloc(block, 0));
        assert_int_equal(errno, ERRNO_MARK);
        block = e->malloc(100);
        assert_null(e->reallocarray(block, 0, 8));
        block = e->malloc(100);
        assert_null(e->reallocarray(block, 8, 0));
    }
    assert_true(proc_rss() < before + 32 * MIB);
}

static void every_pair_of_sizes_keeps_the_contents(void **state)
{
    (void)state;
    static const size_t sizes[] = {1,      13,      16,      40,      100,     256,      400,     800,
                                   1024,   1025,    3000,    8192,    20000,   32768,    32769,   70000,
                                   262144, 1048576, 1500000, 2097153, 5000000, 33554432, 36000000};
    enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
    for (size_t from = 0; from < COUNT; from++) {
        for (size_t to = 0; to < COUNT; to++) {
            unsigned char *block = e->malloc(sizes[from]);
            assert_non_null(block);
            size_t filled = smaller(sizes[from], sizes[to]);
            pattern_fill(block, filled, from);
            if (sizes[from] > filled)
                block[sizes[from] - 1] = 1;
            errno = ERRNO_MARK;
            unsigned char *moved = e->realloc(block, sizes[to]);
            assert_non_null(moved);
            assert_int_equal(errno, ERRNO_MARK);
            assert_aligned(moved, 16);
            assert_true(e->usable_size(moved) >= sizes[to]);
            assert_int_equal(pattern_check(moved, filled, from), filled);
            moved[sizes[to] - 1] = 2;
            e->free(moved);
        }
    }
}

/* Small, Mid, page run, own mapping, and all the way back, among neighbours that must keep theirs. */
static void there_and_back(void **state)
{
    (void)state;
    enum { NEIGHBOURS = 8 };
    unsigned char *block = e->malloc(24), *neighbours[NEIGHBOURS] = {NULL};
    size_t size = 24, around[NEIGHBOURS] = {0};
    pattern_fill(block, size, 99);
    for (int step = 0; step < 120; step++) {
        size_t next = step < 60 ? size * 13 / 10 + 3 : size * 10 / 13 + 1;
        if (next > 80 * MIB)
            next = 80 * MIB;
        int n = step % NEIGHBOURS;
        if (neighbours[n])
            assert_int_equal(pattern_check(neighbours[n], around[n], (uint64_t)n), around[n]);
        e->free(neighbours[n]);
        block = e->realloc(block, next);
        assert_non_null(block);
        size_t kept = smaller(size, next);
        assert_int_equal(pattern_check(block, kept, 99), kept);
        pattern_fill(block, next, 99);
        size = next;
        around[n] = smaller(size, 4 * MIB);
        neighbours[n] = e->malloc(around[n]);
        assert_non_null(neighbours[n]);
        pattern_fill(neighbours[n], around[n], (uint64_t)n);
    }
    e->free(block);
    for (int n = 0; n < NEIGHBOURS; n++)
        e->free(neighbours[n]);
}

/* Growth in small steps is what string builders do; the constant usable size must be honoured in each step. */
static void growth_in_small_steps(void **state)
{
    (void)state;
    unsigned char *block = NULL;
    size_t step = 4096, size = 0;
    for (; size < 6 * MIB; size += step) {
        block = e->realloc(block, size + step);
        assert_non_null(block);
        pattern_fill(block + size, step, size);
    }
    for (size_t at = 0; at < size; at += step)
        assert_int_equal(pattern_check(block + at, step, at), step);
    e->free(block);
}

static void aligned_blocks_can_be_resized(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 100, 5000, 70000, 3000000};
    for (size_t alignment = 32; alignment <= 8 * MIB; alignment *= 8) {
        for (size_t from = 0; from < 5; from++) {
            for (size_t to = 0; to < 5; to++) {
                unsigned char *block = e->memalign(alignment, sizes[from]);
                assert_non_null(block);
                pattern_fill(block, sizes[from], alignment);
                block = e->realloc(block, sizes[to]);
                assert_non_null(block);
                assert_aligned(block, 16);
                size_t kept = smaller(sizes[from], sizes[to]);
                assert_int_equal(pattern_check(block, kept, alignment), kept);
                memset(block, 1, sizes[to]);
                e->free(block);
            }
        }
    }
}

static void refusal_keeps_the_block(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 100, 5000, 70000, 3000000, 40000000};
    for (size_t i = 0; i < 6; i++) {
        unsigned char *block = e->malloc(sizes[i]);
        assert_non_null(block);
        pattern_fill(block, sizes[i], i);
        size_t usable = e->usable_size(block);
        assert_refused(e->realloc(block, (size_t)PTRDIFF_MAX + 1), ENOMEM);
        assert_refused(e->realloc(block, SIZE_MAX), ENOMEM);
        assert_refused(e->realloc(block, SIZE_MAX - 4096), ENOMEM);
        assert_refused(e->reallocarray(block, SIZE_MAX, 2), ENOMEM);
        assert_refused(e->reallocarray(block, (size_t)1 << 33, (size_t)1 << 33), ENOMEM);
        assert_int_equal(e->usable_size(block), usable);
        assert_int_equal(pattern_check(block, sizes[i], i), sizes[i]);
        e->free(block);
    }
}

static void reallocarray_multiplies(void **state)
{
    (void)state;
    uint32_t *numbers = e->reallocarray(NULL, 1000, sizeof(*numbers));
    assert_non_null(numbers);
    assert_true(e->usable_size(numbers) >= 4000);
    pattern_fill(numbers, 4000, 5);
    numbers = e->reallocarray(numbers, 200000, sizeof(*numbers));
    assert_non_null(numbers);
    assert_true(e->usable_size(numbers) >= 800000);
    assert_int_equal(pattern_check(numbers, 4000, 5), 4000);
    e->free(numbers);
}

/* A copy of 64 MiB would fault in 16384 pages (fewer with huge pages, which only makes this check weaker). */
static void huge_blocks_grow_without_a_copy(void **state)
{
    (void)state;
    unsigned char *block = e->malloc(64 * MIB);
    assert_non_null(block);
    pattern_fill(block, 64 * MIB, 8);
    long before = proc_faults();
    block = e->realloc(block, 128 * MIB);
    long faults = proc_faults() - before;
    assert_non_null(block);
    assert_in_range(faults, 0, 4000);
    assert_int_equal(pattern_check(block, 64 * MIB, 8), 64 * MIB);
    e->free(block);
}

static void shrinking_a_huge_block_gives_memory_back(void **state)
{
    (void)state;
    unsigned char *block = e->malloc(128 * MIB);
    assert_non_null(block);
    memset(block, 3, 128 * MIB);
    size_t before = proc_rss();
    block = e->realloc(block, MIB);
    assert_non_null(block);
    assert_int_equal(block[MIB - 1], 3);
    /* The rest may wait for the purge; ten seconds are far beyond any delay. */
    for (int i = 0; i < 100 && proc_rss() + 100 * MIB > before; i++)
        proc_sleep_ms(100);
    assert_true(proc_rss() + 100 * MIB <= before);
    e->free(block);
}

int main(void)
{
    e = entries_get();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_is_malloc),
        cmocka_unit_test(zero_size_frees),
        cmocka_unit_test(every_pair_of_sizes_keeps_the_contents),
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(growth_in_small_steps),
        cmocka_unit_test(aligned_blocks_can_be_resized),
        cmocka_unit_test(refusal_keeps_the_block),
        cmocka_unit_test(reallocarray_multiplies),
        cmocka_unit_test(huge_blocks_grow_without_a_copy),
        cmocka_unit_test(shrinking_a_huge_block_gives_memory_back),
    };
    return cmocka_run_group_tests_name(e->kind, tests, NULL, NULL);
}
