/* SPDX-License-Identifier: MIT
 *
 * calloc: always zero, on fresh and on dirty memory, and fresh memory is not touched.
 */
#include "api.h"
#include "needs.h"

#include <unistd.h>

const struct entries *e;

static void assert_zero(const void *block, size_t size)
{
    assert_non_null(block);
    assert_int_equal(pattern_nonzero(block, size), size);
}

static void zero_after_dirty_blocks_of_the_same_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < BORDER_SIZES; i++) {
        size_t size = border_sizes[i];
        size_t count = size <= 4096 ? 64 : size <= MIB ? 8 : 2;
        void *blocks[64];
        for (int round = 0; round < 3; round++) {
            for (size_t k = 0; k < count; k++) {
                blocks[k] = e->calloc(1, size);
                assert_zero(blocks[k], size);
                /* The whole usable size is dirtied: a later calloc must clear more than this one asked for. */
                memset(blocks[k], 0xa5, e->usable_size(blocks[k]));
            }
            for (size_t k = 0; k < count; k++)
                e->free(blocks[(k * 5 + 3) % count]);
        }
    }
}

static void dirty(size_t total, size_t size)
{
    size_t count = total / size;
    void **blocks = e->malloc(count * sizeof(void *));
    assert_non_null(blocks);
    for (size_t i = 0; i < count; i++) {
        blocks[i] = e->malloc(size);
        assert_non_null(blocks[i]);
        memset(blocks[i], 0x5a, size);
    }
    for (size_t i = 0; i < count; i++)
        e->free(blocks[i]);
    e->free(blocks);
}

static void clean(size_t total, size_t size)
{
    size_t count = total / size;
    void **blocks = e->malloc(count * sizeof(void *));
    assert_non_null(blocks);
    for (size_t i = 0; i < count; i++) {
        blocks[i] = e->calloc(size, 1);
        assert_zero(blocks[i], size);
        memset(blocks[i], 0xff, size);
    }
    for (size_t i = 0; i < count; i++)
        e->free(blocks[i]);
    e->free(blocks);
}

/* Memory that was dirtied as one size comes back as another. */
static void zero_across_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {16, 48, 160, 800, 1024, 1500, 5000, 20000, 32768, 100000, 700000, 3000000};
    enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
    for (int i = 0; i < COUNT; i++) {
        dirty(4 * MIB, sizes[i]);
        for (int k = 1; k < COUNT; k += 3)
            clean(4 * MIB, sizes[(i + k) % COUNT]);
    }
}

/* A purge makes pages zero behind the allocator's back, or not: both must be known. */
static void zero_after_trim(void **state)
{
    (void)state;
    static const size_t sizes[] = {64, 1024, 4096, 65536, 2000000};
    for (int i = 0; i < 5; i++) {
        dirty(8 * MIB, sizes[i]);
        e->trim(0);
        dirty(2 * MIB, sizes[i]);
        clean(8 * MIB, sizes[(i + 2) % 5]);
    }
}

static void zero_after_realloc(void **state)
{
    (void)state;
    for (size_t size = 24; size < 4 * MIB; size = size * 3 / 2) {
        unsigned char *block = e->malloc(size);
        assert_non_null(block);
        memset(block, 0x77, size);
        block = e->realloc(block, size / 3);
        assert_non_null(block);
        unsigned char *zeroed = e->calloc(3, size / 3);
        assert_zero(zeroed, size / 3 * 3);
        memset(zeroed, 0x77, size / 3 * 3);
        e->free(block);
        e->free(zeroed);
    }
}

static void zero_counts_and_sizes(void **state)
{
    (void)state;
    static const size_t pairs[][2] = {{0, 0}, {0, 8}, {8, 0}, {0, SIZE_MAX}, {SIZE_MAX, 0}};
    for (size_t i = 0; i < 5; i++) {
        errno = ERRNO_MARK;
        void *one = e->calloc(pairs[i][0], pairs[i][1]);
        void *two = e->calloc(pairs[i][0], pairs[i][1]);
        assert_non_null(one);
        assert_non_null(two);
        assert_ptr_not_equal(one, two);
        assert_aligned(one, 16);
        assert_int_equal(errno, ERRNO_MARK);
        e->free(one);
        e->free(two);
    }
}

/* Page faults of a call. The thread sanitizer's runtime has pages of its own. */
#ifdef __SANITIZE_THREAD__
enum { MOST_FAULTS = 255 };
#else
enum { MOST_FAULTS = 63 };
#endif

static void fresh_memory_is_not_touched(void **state)
{
    (void)state;
    if (!memory_is_own())
        skip();
    long before = proc_faults();
    unsigned char *block = e->calloc(GIB, 1);
    long faults = proc_faults() - before;
    assert_non_null(block);
    assert_in_range(faults, 0, MOST_FAULTS);
    uint64_t random = 3;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(block[random_below(&random, GIB)], 0);
    assert_int_equal(block[GIB - 1], 0);
    e->free(block);
}

int main(void)
{
    e = entries_get();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fresh_memory_is_not_touched), cmocka_unit_test(zero_after_dirty_blocks_of_the_same_size),
        cmocka_unit_test(zero_across_sizes),           cmocka_unit_test(zero_after_trim),
        cmocka_unit_test(zero_after_realloc),          cmocka_unit_test(zero_counts_and_sizes),
    };
    return cmocka_run_group_tests_name(e->kind, tests, NULL, NULL);
}
