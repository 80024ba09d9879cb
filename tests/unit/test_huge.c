/* SPDX-License-Identifier: MIT
 *
 * Each case has a table of its own in a child.
 */
#include "unit.h"

#include "base/options.h"
#include "large/huge.h"
#include "fake_os.h"
#include "needs.h"
#include "pages/meta.h"
#include "pages/ss_arena.h"

#include <unistd.h>

#define PAGE ((size_t)4096)

static void one_block(void *arg)
{
    fake_os_set_page_size(*(size_t *)arg);
    size_t page = *(size_t *)arg, size = 5 * HK_MIB + 1, rounded = hk_align_up(size, page);
    char *p = hk_huge_alloc(size, 16);
    EXPECT(p != NULL && (uintptr_t)p % page == 0);
    EXPECT(hk_huge_size(p) == rounded);
    EXPECT(hk_huge_bytes() == rounded);
    EXPECT(unit_is_zero(p, rounded));
    memset(p, 1, rounded);
    EXPECT(hk_huge_size(p + page) == 0 && hk_huge_size(NULL) == 0);
    EXPECT(!hk_huge_free(p + page) && !hk_huge_free(NULL) && !hk_huge_free(&page));
    EXPECT(hk_huge_free(p));
    EXPECT(!hk_huge_free(p));
    EXPECT(hk_huge_size(p) == 0 && hk_huge_bytes() == 0);
    EXPECT(fake_os_count(FAKE_MAP) == 2 && fake_os_count(FAKE_UNMAP) == 1); /* and one for records */
    EXPECT(fake_os_misaligned() == 0);
}

static void a_block_is_a_mapping(void **state)
{
    (void)state;
    size_t pages[] = {4096, 16384, 65536};
    for (unsigned i = 0; i < 3; i++)
        unit_passes(one_block, &pages[i]);
}

/* Where huge pages are asked for, for these blocks, too. */
static void ask_for_huge_pages(void *arg)
{
    bool huge = *(bool *)arg;
    EXPECT(hk_option_store(HK_OPT_THP, huge));
    char *p = hk_huge_alloc(64 * HK_MIB, 16);
    EXPECT(p != NULL && fake_os_is_huge(p) == huge);
    void *run = hk_arena_take(100, PAGE, &huge);
    EXPECT(run != NULL && fake_os_is_huge(run) == (hk_opt(HK_OPT_THP) != 0));
    EXPECT(hk_huge_free(p));
}

static void huge_pages_are_asked_for_on_request(void **state)
{
    (void)state;
    bool huge[] = {false, true};
    unit_passes(ask_for_huge_pages, &huge[0]);
    unit_passes(ask_for_huge_pages, &huge[1]);
}

static void align(void *arg)
{
    (void)arg;
    for (size_t alignment = 1; alignment <= HK_GIB; alignment *= 2) {
        size_t size = HK_MIB + alignment / 3;
        char *p = hk_huge_alloc(size, alignment);
        EXPECT(p != NULL && (uintptr_t)p % alignment == 0);
        EXPECT(hk_huge_size(p) == hk_align_up(size, PAGE)); /* the rest of a larger mapping went back */
        p[0] = p[size - 1] = 1;
        EXPECT(hk_huge_free(p));
    }
    EXPECT(hk_huge_bytes() == 0);
    EXPECT(fake_os_misaligned() == 0);
}

static void blocks_are_aligned(void **state)
{
    (void)state;
    unit_passes(align, NULL);
}

static void refuse_sizes(void *arg)
{
    (void)arg;
    EXPECT(hk_huge_alloc((size_t)PTRDIFF_MAX, 16) == NULL);
    EXPECT(hk_huge_alloc((size_t)PTRDIFF_MAX - PAGE, (size_t)1 << 62) == NULL);
    EXPECT(hk_huge_alloc((size_t)1 << 46, (size_t)1 << 47) == NULL);
    EXPECT(hk_huge_alloc(SIZE_MAX - 5, 16) == NULL);
    EXPECT(hk_huge_alloc(SIZE_MAX - PAGE, (size_t)1 << 30) == NULL);
    EXPECT(hk_huge_bytes() == 0);
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, 64 * HK_MIB)); /* nothing stayed charged */
    char *p = hk_huge_alloc(64 * HK_MIB, 16);
    EXPECT(p != NULL && hk_huge_free(p));
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    unit_needs(lacks_own_memory());
    unit_passes(refuse_sizes, NULL);
}

static void resize(void *arg)
{
    (void)arg;
    char *p = hk_huge_alloc(40 * HK_MIB, 16);
    EXPECT(p != NULL);
    p[0] = 1;
    p[40 * HK_MIB - 1] = 2;
    p = hk_huge_resize(p, 100 * HK_MIB);
    EXPECT(p != NULL && p[0] == 1 && p[40 * HK_MIB - 1] == 2);
    EXPECT(hk_huge_size(p) == 100 * HK_MIB && hk_huge_bytes() == 100 * HK_MIB);
    EXPECT(unit_is_zero(p + 99 * HK_MIB, HK_MIB));
    p = hk_huge_resize(p, 50 * HK_MIB + 1);
    EXPECT(p != NULL && p[40 * HK_MIB - 1] == 2 && hk_huge_size(p) == 50 * HK_MIB + PAGE);
    EXPECT(hk_huge_resize(p + PAGE, HK_MIB) == NULL && hk_huge_resize(NULL, HK_MIB) == NULL);
    fake_os_fail_nth(FAKE_REMAP, 1);
    EXPECT(hk_huge_resize(p, 200 * HK_MIB) == NULL);
    EXPECT(hk_huge_size(p) == 50 * HK_MIB + PAGE && p[0] == 1);
    fake_os_fail_nth(HK_GUARDS ? FAKE_UNMAP : FAKE_REMAP, 1); /* with a wall what is behind it goes */
    EXPECT(hk_huge_resize(p, HK_MIB) == NULL && p[40 * HK_MIB - 1] == 2);
    EXPECT(hk_huge_bytes() == 50 * HK_MIB + PAGE);
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, 60 * HK_MIB));
    EXPECT(hk_huge_resize(p, 61 * HK_MIB) == NULL);
    EXPECT((p = hk_huge_resize(p, 60 * HK_MIB)) != NULL); /* exactly what is left: refusals charged nothing */
    EXPECT((p = hk_huge_resize(p, 10 * HK_MIB)) != NULL);
    char *q = hk_huge_alloc(50 * HK_MIB, 16);
    EXPECT(q != NULL && hk_huge_free(p) && hk_huge_free(q));
    EXPECT(hk_arena_charge(60 * HK_MIB) && !hk_arena_charge(1));
}

static void a_block_grows_and_shrinks_by_moving_its_mapping(void **state)
{
    (void)state;
    unit_passes(resize, NULL);
}

static void refuse_unmap(void *arg)
{
    (void)arg;
    char *p = hk_huge_alloc(2 * HK_MIB, 16);
    memset(p, 1, 2 * HK_MIB);
    fake_os_fail_from(FAKE_UNMAP, 1);
    EXPECT(hk_huge_free(p));
    EXPECT(hk_huge_bytes() == 0 && hk_huge_size(p) == 0);
    EXPECT(fake_os_purges() == 1 && fake_os_was_purged(p) && fake_os_was_purged(p + 2 * HK_MIB - 1));
    EXPECT(!hk_huge_free(p));
}

/* What was left behind goes with later calls, whatever came first. */
static void unmap_late(void *arg)
{
    (void)arg;
    char *blocks[40];
    for (unsigned i = 0; i < HK_COUNT(blocks); i++)
        EXPECT((blocks[i] = hk_huge_alloc(2 * HK_MIB, 16)) != NULL);
    fake_os_fail_from(FAKE_UNMAP, 1);
    for (unsigned i = 1; i < HK_COUNT(blocks); i++)
        EXPECT(hk_huge_free(blocks[i]));
    fake_os_fail_nth(FAKE_MAP, 1);
    EXPECT(hk_huge_alloc(2 * HK_MIB, 16) == NULL); /* tries too, in vain */
    fake_os_recover();
    uint64_t calls = fake_os_count(FAKE_UNMAP);
    for (unsigned i = 0; i < 10; i++) {
        char *p = hk_huge_alloc(2 * HK_MIB, 16);
        EXPECT(p != NULL && hk_huge_free(p));
    }
    EXPECT(fake_os_count(FAKE_UNMAP) - calls == 10 + HK_COUNT(blocks) - 1);
    EXPECT(hk_huge_bytes() == hk_huge_size(blocks[0]) && hk_huge_free(blocks[0]));
}

static void where_unmap_is_refused_the_pages_go_back(void **state)
{
    (void)state;
    unit_passes(refuse_unmap, NULL);
    unit_passes(unmap_late, NULL);
}

/* Every call of an aligned allocation, a resize and a free. */
static void refuse_nth(void *arg)
{
    fake_os_fail_nth(FAKE_ANY, *(unsigned *)arg);
    char *p = hk_huge_alloc(3 * HK_MIB, 8 * HK_MIB), *q = NULL;
    EXPECT(p == NULL || ((uintptr_t)p % (8 * HK_MIB) == 0 && unit_is_zero(p, 3 * HK_MIB)));
    if (p != NULL && (q = hk_huge_resize(p, 6 * HK_MIB)) != NULL)
        p = q;
    EXPECT((hk_huge_bytes() != 0) == (p != NULL));
    EXPECT(p == NULL || hk_huge_free(p));
    bool happened = fake_os_failures() != 0;
    fake_os_recover();
    EXPECT(hk_huge_bytes() == 0);
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, HK_MIB) && hk_arena_charge(HK_MIB));
    hk_arena_uncharge(HK_MIB);
    p = hk_huge_alloc(HK_MIB, 16);
    EXPECT(p != NULL && hk_huge_free(p));
    _exit(happened ? 0 : 3);
}

static void every_call_may_be_refused(void **state)
{
    (void)state;
    unsigned n = 0;
    int status;
    do {
        n++;
        status = unit_status(refuse_nth, &n);
    } while (status == 0 && n < 30);
    assert_int_equal(status, 3);
    assert_true(n > 5);
}

static void look_around(void *arg)
{
    (void)arg;
    size_t size = 0;
    char *p = hk_huge_alloc(3 * HK_MIB, 16);
    const size_t offsets[] = {0, 1, 16, PAGE, 3 * HK_MIB - 1};
    for (size_t i = 0; i < HK_COUNT(offsets); i++) {
        size = 0;
        EXPECT(hk_huge_around(p + offsets[i], &size) == p && size == 3 * HK_MIB);
    }
    EXPECT(hk_huge_around(p + 3 * HK_MIB, &size) == NULL);
    EXPECT(hk_huge_around(p - 1, &size) == NULL);
    EXPECT(hk_huge_around(NULL, &size) == NULL);
}

static void a_pointer_into_a_block_is_recognised(void **state)
{
    (void)state;
    unit_passes(look_around, NULL);
}

static void add(void *ctx, void *start, size_t size)
{
    EXPECT(hk_align_down((uintptr_t)start, PAGE) == (uintptr_t)start);
    *(size_t *)ctx += size;
}

static void many_blocks(void *arg)
{
    (void)arg;
    static char *blocks[1000];
    static size_t sizes[1000];
    uint64_t seed = 41;
    size_t total = 0;
    for (unsigned step = 0; step < 6000; step++) {
        unsigned i = (unsigned)unit_random(&seed, 1000);
        if (blocks[i] == NULL) {
            size_t size = 1 + unit_random(&seed, 64 * HK_KIB);
            blocks[i] = hk_huge_alloc(size, PAGE << unit_random(&seed, 6));
            EXPECT(blocks[i] != NULL);
            sizes[i] = hk_align_up(size, PAGE);
            *(unsigned *)(void *)blocks[i] = i;
            total += sizes[i];
        } else {
            EXPECT(hk_huge_size(blocks[i]) == sizes[i] && *(unsigned *)(void *)blocks[i] == i);
            EXPECT(hk_huge_free(blocks[i]));
            blocks[i] = NULL;
            total -= sizes[i];
        }
        EXPECT(hk_huge_bytes() == total);
    }
    size_t visited = 0, meta = hk_meta_used();
    hk_huge_visit(add, &visited);
    EXPECT(visited == total);
    for (unsigned i = 0; i < 1000; i++)
        EXPECT(blocks[i] == NULL || hk_huge_free(blocks[i]));
    EXPECT(hk_huge_bytes() == 0);
    EXPECT(hk_huge_alloc(PAGE, 16) != NULL && hk_meta_used() == meta); /* records are used again */
}

static void the_table_follows_the_model(void **state)
{
    (void)state;
    unit_passes(many_blocks, NULL);
}

#define THREADS 4

static void *churn(void *arg)
{
    for (size_t i = 1; i < 500; i++) {
        char *p = hk_huge_alloc(i * PAGE, 16);
        EXPECT(p != NULL);
        *p = (char)(uintptr_t)arg;
        p = hk_huge_resize(p, (i + 3) * PAGE);
        EXPECT(p != NULL && *p == (char)(uintptr_t)arg && hk_huge_size(p) == (i + 3) * PAGE);
        EXPECT(hk_huge_free(p));
    }
    return NULL;
}

static void churn_in_threads(void *arg)
{
    (void)arg;
    unit_in_threads(THREADS, churn);
    EXPECT(hk_huge_bytes() == 0 && hk_huge_lock()->word == 0);
}

static void any_thread_may_allocate_and_free(void **state)
{
    (void)state;
    unit_passes(churn_in_threads, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_is_a_mapping),
        cmocka_unit_test(huge_pages_are_asked_for_on_request),
        cmocka_unit_test(blocks_are_aligned),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(a_block_grows_and_shrinks_by_moving_its_mapping),
        cmocka_unit_test(where_unmap_is_refused_the_pages_go_back),
        cmocka_unit_test(every_call_may_be_refused),
        cmocka_unit_test(a_pointer_into_a_block_is_recognised),
        cmocka_unit_test(the_table_follows_the_model),
        cmocka_unit_test(any_thread_may_allocate_and_free),
    };
    return cmocka_run_group_tests_name("huge", tests, NULL, NULL);
}
