/* SPDX-License-Identifier: MIT
 *
 * aligned_alloc, posix_memalign, memalign, valloc, pvalloc: every size range at alignments from 8 bytes to 1 GiB, and
 * what each does with an alignment that is none.
 */
#include "api.h"

#include <unistd.h>

const struct entries *e;

enum { LIVE = 64 };

/* The last blocks stay live while the sweep goes on: an allocator may be right on an empty heap only. */
static struct ring {
    unsigned char *blocks[LIVE];
    size_t sizes[LIVE];
    size_t next;
} ring;

static void ring_drop(size_t i)
{
    if (!ring.blocks[i])
        return;
    assert_int_equal(ring.blocks[i][0], (unsigned char)i);
    assert_int_equal(ring.blocks[i][ring.sizes[i] - 1], (unsigned char)i);
    e->free(ring.blocks[i]);
    ring.blocks[i] = NULL;
}

static void ring_keep(void *block, size_t size)
{
    size_t i = ring.next++ % LIVE;
    ring_drop(i);
    ring.blocks[i] = block;
    ring.sizes[i] = size;
    memset(block, (int)i, size < 4096 ? size : 1);
    ring.blocks[i][size - 1] = (unsigned char)i;
}

static void ring_clear(void)
{
    for (size_t i = 0; i < LIVE; i++)
        ring_drop(i);
}

static void check_block(void *block, size_t alignment, size_t size)
{
    assert_non_null(block);
    assert_aligned(block, alignment);
    assert_aligned(block, 16);
    assert_true(e->usable_size(block) >= size);
}

static void check_all_entries(size_t alignment, size_t size)
{
    errno = ERRNO_MARK;
    void *block = e->memalign(alignment, size);
    check_block(block, alignment, size);
    ring_keep(block, size);
    block = e->aligned_alloc(alignment, size);
    check_block(block, alignment, size);
    ring_keep(block, size);
    block = NULL;
    assert_int_equal(e->posix_memalign(&block, alignment, size), 0);
    check_block(block, alignment, size);
    ring_keep(block, size);
    assert_int_equal(errno, ERRNO_MARK);
}

static void small_sizes_at_alignments_to_a_page(void **state)
{
    (void)state;
    for (size_t alignment = 8; alignment <= 4096; alignment *= 2) {
        for (size_t size = 1; size <= 1100; size += size < 300 ? 1 : 7)
            check_all_entries(alignment, size);
    }
    ring_clear();
}

static void every_range_at_alignments_to_a_page(void **state)
{
    (void)state;
    for (size_t alignment = 8; alignment <= 4096; alignment *= 2) {
        for (size_t i = 0; i < BORDER_SIZES; i++)
            check_all_entries(alignment, border_sizes[i]);
    }
    ring_clear();
}

static void every_range_at_alignments_to_a_superslab(void **state)
{
    (void)state;
    for (size_t alignment = 8192; alignment <= 4 * MIB; alignment *= 2) {
        for (size_t i = 0; i < BORDER_SIZES; i += 2)
            check_all_entries(alignment, border_sizes[i]);
        ring_clear();
    }
}

static void alignments_to_a_gigabyte(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 100, 4096, 65536, 1048576, 3000000, 40000000};
    for (size_t alignment = 8 * MIB; alignment <= GIB; alignment *= 2) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            unsigned char *block = e->memalign(alignment, sizes[i]);
            check_block(block, alignment, sizes[i]);
            block[0] = 1;
            block[sizes[i] - 1] = 1;
            unsigned char *other = NULL;
            assert_int_equal(e->posix_memalign((void **)&other, alignment, sizes[i]), 0);
            check_block(other, alignment, sizes[i]);
            assert_ptr_not_equal(block, other);
            other[sizes[i] - 1] = 1;
            e->free(block);
            e->free(other);
        }
    }
}

static void random_states(void **state)
{
    (void)state;
    uint64_t random = 11;
    enum { COUNT = 4000 };
    static void *blocks[COUNT];
    for (int i = 0; i < 100000; i++) {
        size_t slot = random_below(&random, COUNT);
        e->free(blocks[slot]);
        size_t alignment = (size_t)16 << random_below(&random, 9);
        size_t size = 1 + random_below(&random, (size_t)16 << random_below(&random, 9));
        if (i % 3 == 0) {
            blocks[slot] = e->malloc(size);
            alignment = 16;
        } else {
            assert_int_equal(e->posix_memalign(&blocks[slot], alignment, size), 0);
        }
        check_block(blocks[slot], alignment, size);
        memset(blocks[slot], i, size);
    }
    for (int i = 0; i < COUNT; i++) {
        e->free(blocks[i]);
        blocks[i] = NULL;
    }
}

/* Up to 1 MiB; what is larger is the same whole pages. */
static void every_usable_byte_is_writable(void **state)
{
    (void)state;
    for (size_t alignment = 16; alignment <= 2 * MIB; alignment *= 4) {
        for (size_t i = 0; i < BORDER_SIZES && border_sizes[i] <= MIB; i += 2) {
            void *one = e->memalign(alignment, border_sizes[i]);
            void *two = e->memalign(alignment, border_sizes[i]);
            assert_non_null(one);
            assert_non_null(two);
            size_t usable = e->usable_size(one);
            pattern_fill(one, usable, 1);
            pattern_fill(two, e->usable_size(two), 2);
            assert_int_equal(pattern_check(one, usable, 1), usable);
            e->free(one);
            e->free(two);
        }
    }
}

static void zero_sizes(void **state)
{
    (void)state;
    for (size_t alignment = 8; alignment <= MIB; alignment *= 2) {
        void *block = e->memalign(alignment, 0), *other = e->aligned_alloc(alignment, 0), *third = NULL;
        check_block(block, alignment, 0);
        check_block(other, alignment, 0);
        assert_int_equal(e->posix_memalign(&third, alignment, 0), 0);
        check_block(third, alignment, 0);
        assert_ptr_not_equal(block, other);
        assert_ptr_not_equal(block, third);
        e->free(block);
        e->free(other);
        e->free(third);
    }
}

static void posix_memalign_refuses(void **state)
{
    (void)state;
    static const size_t wrong[] = {0, 1, 2, 3, 4, 5, 7, 12, 24, 40, 48, 100, 4095, 4097, 12288, SIZE_MAX, SIZE_MAX - 7};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        void *mark = &mark, *block = mark;
        errno = ERRNO_MARK;
        assert_int_equal(e->posix_memalign(&block, wrong[i], 8), EINVAL);
        assert_int_equal(errno, ERRNO_MARK);
        assert_ptr_equal(block, mark);
    }
    void *mark = &mark, *block = mark;
    errno = ERRNO_MARK;
    int result = e->posix_memalign(&block, (size_t)1 << 62, 8);
    assert_true(result == ENOMEM || result == EINVAL);
    assert_ptr_equal(block, mark);
    if (e->is_hakmem) /* glibc sets errno here */
        assert_int_equal(errno, ERRNO_MARK);
}

static void aligned_alloc_refuses(void **state)
{
    (void)state;
    if (!e->is_hakmem)
        skip(); /* glibc 2.36 accepts these */
    static const size_t wrong[] = {0, 3, 5, 6, 7, 12, 24, 100, 4095, 4097, SIZE_MAX};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_refused(e->aligned_alloc(wrong[i], 8), EINVAL);
        assert_refused(e->aligned_alloc(wrong[i], 100000), EINVAL);
    }
}

/* The size need not be a multiple of the alignment, and alignments below 16 give 16. */
static void aligned_alloc_takes_any_size(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
        void *block = e->aligned_alloc(alignment, alignment + 1);
        check_block(block, alignment, alignment + 1);
        e->free(block);
    }
}

static void memalign_rounds_up(void **state)
{
    (void)state;
    static const size_t pairs[][2] = {{0, 1},       {1, 1},          {3, 4},         {17, 32},
                                      {24, 32},     {33, 64},        {100, 128},     {3000, 4096},
                                      {4097, 8192}, {70000, 131072}, {65535, 65536}, {2097153, 4194304}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        for (int k = 0; k < 5; k++) {
            void *block = e->memalign(pairs[i][0], 50);
            check_block(block, pairs[i][1], 50);
            ring_keep(block, 50);
        }
    }
    ring_clear();
    assert_refused(e->memalign(SIZE_MAX / 2 + 2, 8), EINVAL);
    assert_refused(e->memalign(SIZE_MAX, 8), EINVAL);
    assert_refused(e->memalign(4096, SIZE_MAX - 4096), ENOMEM);
    assert_refused(e->memalign(64, (size_t)PTRDIFF_MAX + 1), ENOMEM);
}

static void page_entries(void **state)
{
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    static const size_t sizes[] = {0, 1, 100, 4095, 4096, 4097, 65536, 100000, 3000000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        void *one = e->valloc(sizes[i]), *two = e->pvalloc(sizes[i]);
        check_block(one, page, sizes[i]);
        check_block(two, page, (sizes[i] + page - 1) / page * page);
        memset(two, 7, e->usable_size(two));
        memset(one, 7, e->usable_size(one));
        one = e->realloc(one, sizes[i] + 1);
        assert_non_null(one);
        e->free(one);
        e->free(two);
    }
    for (size_t k = 0; k < 3 * page; k += 511) {
        assert_refused(e->valloc(SIZE_MAX - k), ENOMEM);
        assert_refused(e->pvalloc(SIZE_MAX - k), ENOMEM);
    }
    assert_refused(e->valloc((size_t)PTRDIFF_MAX + 1), ENOMEM);
    assert_refused(e->pvalloc((size_t)PTRDIFF_MAX - 1), ENOMEM);
}

int main(void)
{
    e = entries_get();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_sizes_at_alignments_to_a_page),
        cmocka_unit_test(every_range_at_alignments_to_a_page),
        cmocka_unit_test(every_range_at_alignments_to_a_superslab),
        cmocka_unit_test(alignments_to_a_gigabyte),
        cmocka_unit_test(random_states),
        cmocka_unit_test(every_usable_byte_is_writable),
        cmocka_unit_test(zero_sizes),
        cmocka_unit_test(posix_memalign_refuses),
        cmocka_unit_test(aligned_alloc_refuses),
        cmocka_unit_test(aligned_alloc_takes_any_size),
        cmocka_unit_test(memalign_rounds_up),
        cmocka_unit_test(page_entries),
    };
    return cmocka_run_group_tests_name(e->kind, tests, NULL, NULL);
}
