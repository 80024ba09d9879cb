/* SPDX-License-Identifier: MIT
 *
 * malloc, free, malloc_usable_size, free_sized: plain blocks of every size.
 */
#include "api.h"
#include "config.h"

const struct entries *e;

static void zero_size_gives_unique_blocks(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    void *blocks[COUNT];
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = e->malloc(0);
        assert_non_null(blocks[i]);
        assert_aligned(blocks[i], 16);
        if (!HK_TAIL)
            assert_true(e->usable_size(blocks[i]) >= 16);
        for (int k = 0; k < i; k++)
            assert_ptr_not_equal(blocks[i], blocks[k]);
        memset(blocks[i], i, e->usable_size(blocks[i]));
    }
    for (int i = 0; i < COUNT; i++)
        e->free(blocks[i]);
}

/* Every byte that usable_size promises can be written, and the promise does not change. */
static void check_one_size(size_t size)
{
    errno = ERRNO_MARK;
    unsigned char *block = e->malloc(size);
    assert_non_null(block);
    assert_int_equal(errno, ERRNO_MARK);
    assert_aligned(block, 16);
    size_t usable = e->usable_size(block);
    assert_true(usable >= size);
    assert_true(usable <= size + size / 4 + 2 * MIB);
    pattern_fill(block, usable, size);
    assert_int_equal(e->usable_size(block), usable);
    assert_int_equal(pattern_check(block, usable, size), usable);
    errno = ERRNO_MARK;
    e->free(block);
    assert_int_equal(errno, ERRNO_MARK);
}

static void every_small_size(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 5000; size++)
        check_one_size(size);
}

static void sizes_at_every_border(void **state)
{
    (void)state;
    for (size_t i = 0; i < BORDER_SIZES; i++)
        check_one_size(border_sizes[i]);
    check_one_size(100 * MIB);
}

static void free_of_null_keeps_errno(void **state)
{
    (void)state;
    errno = ERRNO_MARK;
    e->free(NULL);
    assert_int_equal(errno, ERRNO_MARK);
    assert_int_equal(e->usable_size(NULL), 0);
}

/* The kernel's refusals on the way (a purge, an unmap) must not be seen either. */
static void free_keeps_errno_in_bulk(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    static void *blocks[COUNT];
    static const size_t sizes[] = {16, 500, 5000, 40000, 600000};
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        for (int i = 0; i < COUNT; i++) {
            errno = ERRNO_MARK;
            blocks[i] = e->malloc(sizes[s]);
            assert_int_equal(errno, ERRNO_MARK);
            assert_non_null(blocks[i]);
            *(char *)blocks[i] = 1;
        }
        for (int i = 0; i < COUNT; i++) {
            errno = ERRNO_MARK;
            e->free(blocks[(i * 7) % COUNT]);
            assert_int_equal(errno, ERRNO_MARK);
        }
    }
}

static void live_blocks_do_not_overlap(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static unsigned char *blocks[COUNT];
    static size_t sizes[COUNT];
    uint64_t random = 1;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            if (blocks[i] && random_below(&random, 3) == 0)
                continue;
            if (blocks[i]) {
                assert_int_equal(pattern_check(blocks[i], sizes[i], i), sizes[i]);
                e->free(blocks[i]);
            }
            size_t top = (size_t)1 << (4 + random_below(&random, i % 500 == 0 ? 18 : 9));
            sizes[i] = 1 + random_below(&random, top);
            blocks[i] = e->malloc(sizes[i]);
            assert_non_null(blocks[i]);
            pattern_fill(blocks[i], sizes[i], i);
        }
        for (size_t i = 0; i < COUNT; i++)
            assert_int_equal(pattern_check(blocks[i], sizes[i], i), sizes[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        e->free(blocks[i]);
        blocks[i] = NULL;
    }
}

static void sized_frees_take_any_block(void **state)
{
    (void)state;
    if (!e->free_sized)
        skip();
    errno = ERRNO_MARK;
    for (size_t i = 0; i < BORDER_SIZES; i++) {
        size_t size = border_sizes[i];
        void *block = e->malloc(size);
        assert_non_null(block);
        e->free_sized(block, size);
        block = e->calloc(1, size);
        assert_non_null(block);
        e->free_sized(block, size);
        block = e->aligned_alloc(256, size);
        assert_non_null(block);
        e->free_aligned_sized(block, 256, size);
    }
    e->free_sized(NULL, 10);
    e->free_aligned_sized(NULL, 64, 10);
    assert_int_equal(errno, ERRNO_MARK);
}

int main(void)
{
    e = entries_get();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_size_gives_unique_blocks), cmocka_unit_test(every_small_size),
        cmocka_unit_test(sizes_at_every_border),         cmocka_unit_test(free_of_null_keeps_errno),
        cmocka_unit_test(free_keeps_errno_in_bulk),      cmocka_unit_test(live_blocks_do_not_overlap),
        cmocka_unit_test(sized_frees_take_any_block),
    };
    return cmocka_run_group_tests_name(e->kind, tests, NULL, NULL);
}
