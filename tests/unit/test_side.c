/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "base/bits.h"
#include "base/options.h"
#include "box/side.h"
#include "fake_os.h"
#include "pages/ss_arena.h"

#include <errno.h>

static unsigned chunks;
static size_t blocks, bytes, handed_out; /* live blocks; bytes of mappings, and what of them was handed out once */

static void add(void *ctx, void *start, size_t size, size_t used)
{
    (void)ctx;
    EXPECT(start != NULL && used <= size);
    chunks++;
    bytes += size;
    handed_out += used;
}

static void count(void)
{
    size_t live;
    chunks = 0;
    bytes = handed_out = 0;
    hk_side_live(&blocks, &live);
    hk_side_visit(add, NULL);
}

static void sizes_and_alignments(void *arg)
{
    (void)arg;
    static const size_t sizes[] = {0, 1, 16, 17, 1000, 4096, 70000, 3 * HK_MIB};
    char *all[HK_COUNT(sizes)][16] = {{0}}, *none = (char *)all;
    EXPECT(!hk_side_is_used() && !hk_side_has(none) && hk_side_size(none) == 0 && !hk_side_free(none));
    for (unsigned i = 0; i < HK_COUNT(sizes); i++) {
        for (unsigned a = 0; a < 16; a++) {
            char *p = hk_side_alloc((size_t)16 << a, sizes[i]);
            EXPECT(p != NULL && (uintptr_t)p % ((size_t)16 << a) == 0);
            EXPECT(hk_side_has(p) && hk_side_size(p) >= sizes[i] && hk_side_size(p) > 0);
            memset(p, (int)(i * 16 + a), sizes[i]);
            all[i][a] = p;
        }
    }
    EXPECT(hk_side_is_used());
    count();
    EXPECT(blocks == HK_COUNT(sizes) * 16);
    for (unsigned i = 0; i < HK_COUNT(sizes); i++) {
        for (unsigned a = 0; a < 16; a++) {
            char *p = all[i][a];
            for (size_t at = 0; at < sizes[i]; at++)
                EXPECT(p[at] == (char)(i * 16 + a));
            EXPECT(hk_side_size(p + 16) == 0 && !hk_side_free(p + 16) && !hk_side_free(p + 1));
            EXPECT(hk_side_free(p) && !hk_side_free(p) && hk_side_size(p) == 0);
        }
    }
    count();
    EXPECT(blocks == 0);
}

static void blocks_are_what_was_asked_for(void **state)
{
    (void)state;
    unit_passes(sizes_and_alignments, NULL);
}

/* Up to a piece that gives its pages back. */
static void free_and_look(void *arg)
{
    (void)arg;
    for (size_t size = 1; size < 8 * HK_MIB; size *= 3) {
        void *p = hk_side_alloc(16, size);
        EXPECT(p != NULL);
        errno = 77;
        EXPECT(hk_side_free(p) && errno == 77);
    }
}

static void a_free_leaves_errno_alone(void **state)
{
    (void)state;
    unit_passes(free_and_look, NULL);
}

static void use_again(void *arg)
{
    (void)arg;
    void *some[100];
    for (unsigned round = 0; round < 1000; round++) {
        for (unsigned i = 0; i < 100; i++)
            EXPECT((some[i] = hk_side_alloc(16, 5000)) != NULL);
        for (unsigned i = 0; i < 100; i++)
            EXPECT(hk_side_free(some[(i * 37 + round) % 100]));
    }
    count();
    EXPECT(chunks <= 3 && blocks == 0); /* 100 pieces of 8 KiB, used again and again */
    EXPECT(fake_os_count(FAKE_PURGE) == 0);
    for (unsigned round = 0; round < 3; round++) {
        char *large = hk_side_alloc(16, 10 * HK_MIB);
        EXPECT(large != NULL && hk_side_free(large));
        EXPECT(fake_os_was_purged(large + 5 * HK_MIB) && fake_os_count(FAKE_PURGE) == 2 * round + 1);
        char *mid = hk_side_alloc(16, 100000); /* one of a chunk */
        EXPECT(mid != NULL && hk_side_free(mid) && fake_os_was_purged(mid + 20000));
    }
    count();
    EXPECT(chunks <= 4);
}

/* Of pieces of 64 KiB two keep their pages while they wait, and are taken first. */
static void keep_some(void *arg)
{
    (void)arg;
    char *some[6];
    for (unsigned i = 0; i < HK_COUNT(some); i++)
        EXPECT((some[i] = hk_side_alloc(16, 50000)) != NULL);
    uint64_t calls = fake_os_count(FAKE_PURGE);
    for (unsigned i = 0; i < HK_COUNT(some); i++)
        EXPECT(hk_side_free(some[i]) && fake_os_was_purged(some[i] + 20000) == (i >= 2));
    EXPECT(fake_os_count(FAKE_PURGE) == calls + 4);
    for (unsigned round = 0; round < 100; round++) {
        char *one = hk_side_alloc(16, 40000), *two = hk_side_alloc(16, 40000);
        EXPECT((one == some[0] || one == some[1]) && (two == some[0] || two == some[1]) && one != two);
        EXPECT(hk_side_free(one) && hk_side_free(two));
    }
    EXPECT(fake_os_count(FAKE_PURGE) == calls + 4);
    char *other = hk_side_alloc(16, 20000),
         *last = hk_side_alloc(16, 17000); /* of 32 KiB, whose pages go: there is no room */
    EXPECT(other != NULL && last != NULL && hk_side_free(other) && fake_os_was_purged(other + 10000) &&
           hk_side_free(last));
}

/* Who waits warm stays charged. */
static void keep_charged(void *arg)
{
    (void)arg;
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, 4 * HK_MIB));
    char *one = hk_side_alloc(16, 50000);
    size_t room = 0;
    while (hk_arena_charge(4096))
        room += 4096;
    EXPECT(hk_side_free(one) && !hk_arena_charge(4096));
    EXPECT(hk_side_alloc(16, 50000) == one && hk_side_free(one));
    hk_arena_uncharge(room);
}

/* A piece without a whole page of the kernel's gives nothing back. */
static void free_with_large_pages(void *arg)
{
    (void)arg;
    fake_os_set_page_size(64 * HK_KIB);
    for (size_t size = 9000; size < 200000; size += 30000) {
        uint64_t calls = fake_os_count(FAKE_PURGE);
        char *before = hk_side_alloc(16, size), *p = hk_side_alloc(16, size), *behind = hk_side_alloc(16, size);
        EXPECT(before != NULL && p != NULL && behind != NULL);
        memset(before, 7, size);
        memset(behind, 7, size);
        EXPECT(hk_side_free(p) && fake_os_misaligned() == 0);
        EXPECT(size > 60000 || fake_os_count(FAKE_PURGE) == calls);
        EXPECT(before[0] == 7 && before[size - 1] == 7 && behind[0] == 7 && behind[size - 1] == 7);
    }
}

static void what_was_freed_is_used_again(void **state)
{
    (void)state;
    unit_passes(free_with_large_pages, NULL);
    unit_passes(use_again, NULL);
    unit_passes(keep_some, NULL);
    unit_passes(keep_charged, NULL);
}

static void refuse(void *arg)
{
    (void)arg;
    EXPECT(hk_side_alloc(16, PTRDIFF_MAX) == NULL && hk_side_alloc(16, SIZE_MAX) == NULL);
    EXPECT(hk_side_alloc((size_t)1 << 62, 1) == NULL && hk_side_alloc(16, (size_t)PTRDIFF_MAX - 100) == NULL);
    fake_os_fail_from(FAKE_ANY, 1);
    EXPECT(hk_side_alloc(16, 100) == NULL);
    hk_side_defer(arg); /* lost */
    EXPECT(!hk_side_has_deferred());
    fake_os_recover();
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, 4 * HK_MIB));
    void *first = hk_side_alloc(16, 100), *second = hk_side_alloc(16, HK_MIB);
    EXPECT(first != NULL && second != NULL && hk_side_alloc(16, 2 * HK_MIB) == NULL);
    EXPECT(hk_side_free(second) && hk_arena_charge(2 * HK_MIB)); /* who waits is not charged */
    EXPECT(hk_side_alloc(16, HK_MIB) == NULL);
    hk_arena_uncharge(2 * HK_MIB);
    EXPECT(hk_side_alloc(16, HK_MIB) == second && hk_side_free(first));
}

static void refusals_are_told(void **state)
{
    (void)state;
    unit_passes(refuse, NULL);
}

static void put_down(void *arg)
{
    (void)arg;
    char things[100];
    EXPECT(!hk_side_has_deferred() && hk_side_take_deferred() == NULL);
    for (unsigned i = 0; i < 100; i++)
        hk_side_defer(&things[i]);
    EXPECT(hk_side_has_deferred());
    struct hk_side_note *note = hk_side_take_deferred();
    EXPECT(!hk_side_has_deferred());
    unsigned n = 0;
    while (note != NULL) {
        struct hk_side_note *next = note->next;
        EXPECT(note->ptr == &things[99 - n]);
        EXPECT(hk_side_free(note));
        note = next;
        n++;
    }
    EXPECT(n == 100);
}

static void what_is_put_down_is_found(void **state)
{
    (void)state;
    unit_passes(put_down, NULL);
}

/* ---- threads ---- */

#define THREADS 4

static void *trade(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    unsigned char *mine[8] = {0};
    size_t size[8];
    for (unsigned n = 0; n < 20000; n++) {
        unsigned i = (unsigned)unit_random(&random, 8);
        if (mine[i] != NULL) {
            EXPECT(hk_side_size(mine[i]) >= size[i]);
            for (size_t at = 0; at < size[i]; at += 61)
                EXPECT(mine[i][at] == (unsigned char)(uintptr_t)arg);
            EXPECT(hk_side_free(mine[i]));
            mine[i] = NULL;
        } else {
            size[i] = 1 + unit_random(&random, n % 100 == 0 ? 300000 : 9000);
            EXPECT((mine[i] = hk_side_alloc(16, size[i])) != NULL);
            memset(mine[i], (int)(uintptr_t)arg, size[i]);
        }
        if (n % 64 == 0) {
            hk_side_defer(mine);
            for (struct hk_side_note *note = hk_side_take_deferred(), *next; note != NULL; note = next) {
                next = note->next;
                EXPECT(hk_side_free(note));
            }
        }
    }
    for (unsigned i = 0; i < 8; i++)
        EXPECT(mine[i] == NULL || hk_side_free(mine[i]));
    return NULL;
}

static void trade_in_threads(void *arg)
{
    (void)arg;
    unit_in_threads(THREADS, trade);
    count();
    EXPECT(blocks == 0 && !hk_side_has_deferred());
}

static void threads_need_no_lock(void **state)
{
    (void)state;
    unit_passes(trade_in_threads, NULL);
}

static void *take_and_give(void *arg)
{
    for (unsigned i = 0; i < 200000; i++) {
        void *block = hk_side_alloc(16, 1000);
        EXPECT(block != NULL && hk_side_free(block));
    }
    return arg;
}

/* However often threads take one at the same moment: there are as many pieces as were live at once. */
static void meet_in_threads(void *arg)
{
    (void)arg;
    unit_in_threads(THREADS, take_and_give);
    count();
    EXPECT(handed_out <= THREADS * (2048u + 64u)); /* a chunk each, at the most */
}

static void no_more_is_cut_than_is_needed(void **state)
{
    (void)state;
    unit_passes(meet_in_threads, NULL);
}

static void a_pointer_into_a_block(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 100, 5000, 20000, 300000};
    for (unsigned i = 0; i < HK_COUNT(sizes); i++) {
        for (size_t align = 16; align <= 4096; align *= 16) {
            char *block = hk_side_alloc(align, sizes[i]), *before = hk_side_alloc(16, sizes[i]);
            size_t size = 0;
            assert_non_null(block);
            hk_side_mark(block, sizes[i], 77);
            assert_true(hk_side_around(block, &size) == block && size == sizes[i]);
            assert_true(hk_side_around(block + sizes[i] - 1, &size) == block);
            assert_true(hk_side_around(block + sizes[i], &size) != block);
            assert_true(hk_side_around(block - 1, &size) != block);
            assert_true(hk_side_last_tag(block) == 77);
            assert_true(hk_side_free(before) && hk_side_around(before, &size) == NULL);
            assert_true(hk_side_free(block) && hk_side_around(block, &size) == NULL);
            assert_true(hk_side_last_tag(block) == 77); /* the last one's, still */
        }
    }
    size_t size;
    assert_null(hk_side_around(&size, &size));
    assert_int_equal(hk_side_last_tag(&size), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_what_was_asked_for), cmocka_unit_test(a_free_leaves_errno_alone),
        cmocka_unit_test(what_was_freed_is_used_again),  cmocka_unit_test(refusals_are_told),
        cmocka_unit_test(what_is_put_down_is_found),     cmocka_unit_test(threads_need_no_lock),
        cmocka_unit_test(no_more_is_cut_than_is_needed), cmocka_unit_test(a_pointer_into_a_block),
    };
    return cmocka_run_group_tests_name("side", tests, NULL, NULL);
}
