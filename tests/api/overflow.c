/* SPDX-License-Identifier: MIT
 *
 * Sizes that no machine has: every entry refuses them with ENOMEM, keeps what it was given and goes on working.
 */
#include "api.h"

const struct entries *e;

static const size_t below_the_top[] = {0,    1,    7,    8,    15,    16,    17,    31,      63,      64,     127,
                                       4095, 4096, 4097, 8192, 32767, 65535, 65536, 1 << 20, 2 << 20, 4 << 20};
enum { TOPS = sizeof(below_the_top) / sizeof(below_the_top[0]) };

/* The i-th impossible size: just below SIZE_MAX, around PTRDIFF_MAX. */
static size_t impossible(size_t i)
{
    if (i < TOPS)
        return SIZE_MAX - below_the_top[i];
    i -= TOPS;
    return i < TOPS ? (size_t)PTRDIFF_MAX + below_the_top[i] : (size_t)PTRDIFF_MAX - below_the_top[i - TOPS];
}
enum { IMPOSSIBLE = 3 * TOPS };

static void malloc_and_calloc(void **state)
{
    (void)state;
    for (size_t i = 0; i < IMPOSSIBLE; i++) {
        size_t size = impossible(i);
        assert_refused(e->malloc(size), ENOMEM);
        assert_refused(e->calloc(1, size), ENOMEM);
        assert_refused(e->calloc(size, 1), ENOMEM);
        assert_refused(e->calloc(size, 2), ENOMEM);
        assert_refused(e->calloc(3, size), ENOMEM);
        assert_refused(e->calloc(size, size), ENOMEM);
        assert_refused(e->valloc(size), ENOMEM);
        assert_refused(e->pvalloc(size), ENOMEM);
    }
    void *block = e->malloc(100);
    assert_non_null(block);
    e->free(block);
}

/* Products whose low 64 bits look harmless. */
static void products_that_wrap(void **state)
{
    (void)state;
    static const size_t pairs[][2] = {
        {(size_t)1 << 33, (size_t)1 << 33},
        {(size_t)1 << 32, (size_t)1 << 32},
        {(size_t)1 << 63, 2},
        {((size_t)1 << 63) + 8, 2},
        {SIZE_MAX / 3 + 2, 3},
        {SIZE_MAX / 16 + 2, 16},
        {((size_t)1 << 32) + 1, (size_t)1 << 32},
        {SIZE_MAX, SIZE_MAX},
    };
    void *block = e->malloc(64);
    assert_non_null(block);
    pattern_fill(block, 64, 1);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        assert_refused(e->calloc(pairs[i][0], pairs[i][1]), ENOMEM);
        assert_refused(e->calloc(pairs[i][1], pairs[i][0]), ENOMEM);
        assert_refused(e->reallocarray(block, pairs[i][0], pairs[i][1]), ENOMEM);
        assert_refused(e->reallocarray(block, pairs[i][1], pairs[i][0]), ENOMEM);
        assert_refused(e->reallocarray(NULL, pairs[i][0], pairs[i][1]), ENOMEM);
    }
    assert_int_equal(pattern_check(block, 64, 1), 64);
    e->free(block);
}

static void realloc_keeps_the_block(void **state)
{
    (void)state;
    static const size_t held[] = {1, 64, 1000, 5000, 50000, 600000, 5000000, 40000000};
    for (size_t k = 0; k < sizeof(held) / sizeof(held[0]); k++) {
        void *block = e->malloc(held[k]);
        assert_non_null(block);
        pattern_fill(block, held[k], k);
        for (size_t i = 0; i < IMPOSSIBLE; i++) {
            assert_refused(e->realloc(block, impossible(i)), ENOMEM);
            assert_refused(e->reallocarray(block, 1, impossible(i)), ENOMEM);
        }
        assert_int_equal(pattern_check(block, held[k], k), held[k]);
        e->free(block);
    }
    for (size_t i = 0; i < IMPOSSIBLE; i++)
        assert_refused(e->realloc(NULL, impossible(i)), ENOMEM);
}

static void aligned_entries(void **state)
{
    (void)state;
    for (size_t alignment = 8; alignment <= GIB; alignment *= 2) {
        for (size_t i = 0; i < IMPOSSIBLE; i++) {
            size_t size = impossible(i);
            assert_refused(e->aligned_alloc(alignment, size), ENOMEM);
            assert_refused(e->memalign(alignment, size), ENOMEM);
            void *mark = &mark, *block = mark;
            errno = ERRNO_MARK;
            assert_int_equal(e->posix_memalign(&block, alignment, size), ENOMEM);
            assert_ptr_equal(block, mark);
            if (e->is_hakmem) /* glibc sets errno here */
                assert_int_equal(errno, ERRNO_MARK);
        }
    }
}

/* Large but thinkable: refused or given, never half of both. */
static void sizes_beyond_the_machine(void **state)
{
    (void)state;
    for (int shift = 38; shift < 63; shift++) {
        for (int k = -1; k <= 1; k++) {
            size_t size = ((size_t)1 << shift) + (size_t)(ptrdiff_t)k;
            errno = ERRNO_MARK;
            unsigned char *block = e->malloc(size);
            assert_int_equal(errno, block ? ERRNO_MARK : ENOMEM);
            if (block) {
                assert_true(e->usable_size(block) >= size);
                block[0] = 1;
                block[size - 1] = 1;
            }
            e->free(block);
            if (shift >= 48)
                assert_null(block);
        }
    }
}

int main(void)
{
    e = entries_get();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malloc_and_calloc),        cmocka_unit_test(products_that_wrap),
        cmocka_unit_test(realloc_keeps_the_block),  cmocka_unit_test(aligned_entries),
        cmocka_unit_test(sizes_beyond_the_machine),
    };
    return cmocka_run_group_tests_name(e->kind, tests, NULL, NULL);
}
