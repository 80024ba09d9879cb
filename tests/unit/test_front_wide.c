/* SPDX-License-Identifier: MIT
 *
 * Blocks above 32 KiB: those that have a class, where a process has threads, and long buffers. Each case runs in a
 * child.
 */
#include "front_fixture.h"

#include "base/options.h"
#include "fake_os.h"
#include "large/huge.h"
#include "pages/ss_arena.h"

#include <errno.h>
#include <pthread.h>

static void *blocks[600];

static enum hk_block_kind kind_of(const void *ptr)
{
    return hk_block_find(ptr, "x").kind;
}

/* Page runs as long as there is one thread; then of classes, while runs that are there stay runs. */
static void begin_alone(void *arg)
{
    (void)arg;
    void *run = front_take(65536);
    EXPECT(kind_of(run) == HK_BLOCK_RUN);
    front_be_threaded();
    for (size_t size = HK_MID_MAX + 1; size <= HK_WIDE_MAX; size += 1021) {
        char *p = front_take(size);
        EXPECT(kind_of(p) == HK_BLOCK_SLAB && hk_block_find(p, "x").size == hk_class_size(hk_class_of(size)));
        memset(p, 1, size);
        front_free(p);
    }
    void *larger = front_take(HK_WIDE_MAX + 1);
    EXPECT(kind_of(run) == HK_BLOCK_RUN && kind_of(larger) == HK_BLOCK_RUN);
    front_free(run);
    front_free(larger);
    front_check();
}

static void wide_sizes_have_classes_where_there_are_threads(void **state)
{
    (void)state;
    unit_passes(begin_alone, NULL);
}

/* Best fit where memory is dear: under a limit, and once some was refused. */
static void be_close(void *arg)
{
    (void)arg;
    front_be_threaded();
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, 64 * HK_MIB));
    void *p = front_take(65536);
    EXPECT(kind_of(p) == HK_BLOCK_RUN);
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, 0));
    void *q = front_take(65536);
    EXPECT(kind_of(q) == HK_BLOCK_SLAB);
    hk_store_relaxed(&hk_arena_scarce, true); /* nobody else is here */
    void *r = front_take(65536);
    EXPECT(kind_of(r) == HK_BLOCK_RUN);
    front_free(p);
    front_free(q);
    front_free(r);
    front_check();
}

static void wide_sizes_are_runs_where_memory_is_dear(void **state)
{
    (void)state;
    unit_passes(be_close, NULL);
}

/* Each block has its place, whichever slab of its span it starts in. */
static void fill_and_free(void *arg)
{
    uint64_t seed = *(const unsigned *)arg;
    front_be_threaded();
    for (unsigned round = 0; round < 4; round++) {
        size_t sizes[200];
        for (unsigned i = 0; i < HK_COUNT(sizes); i++) {
            sizes[i] = HK_MID_MAX + 1 + (size_t)unit_random(&seed, HK_WIDE_MAX - HK_MID_MAX);
            uint32_t *p = blocks[i] = front_take(sizes[i]);
            p[0] = p[sizes[i] / 4 - 1] = i;
        }
        for (unsigned i = 0; i < HK_COUNT(sizes); i++) {
            uint32_t *p = blocks[(i * 7 + round) % HK_COUNT(sizes)];
            unsigned n = (i * 7 + round) % HK_COUNT(sizes);
            EXPECT(p[0] == n && p[sizes[n] / 4 - 1] == n);
            front_free(p);
        }
        front_check();
    }
    hk_front_flush_all(front_self());
    EXPECT(front_owned_slabs() == 0);
}

static void wide_blocks_keep_their_contents(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed < 4; seed++)
        unit_passes(fill_and_free, &seed);
}

/* A block that starts behind the first slab of its span, and every address in it. */
static void free_inside(void *arg)
{
    (void)arg;
    front_be_threaded();
    front_watch_reports();
    EXPECT(hk_option_store(HK_OPT_MISUSE, 0));
    const size_t sizes[] = {40000, 50000, 65536, 80000, 100000, 131072, 150000, 190000, 262144};
    unsigned expected = 0;
    for (unsigned i = 0; i < HK_COUNT(sizes); i++) {
        char *p = front_take(sizes[i]), *q = front_take(sizes[i]);
        for (size_t at = 16; at < sizes[i]; at += 8176, expected += 2) {
            front_free(p + at);
            front_free(q + at);
        }
        front_free(p);
        front_free(p);
        front_free(q);
        front_free(q);
        expected += 2;
    }
    EXPECT(front_reports() == expected);
    front_check();
}

static void wrong_frees_of_wide_blocks_are_seen(void **state)
{
    (void)state;
    unit_passes(free_inside, NULL);
}

/* What grows beyond a Mid class is a run, which may grow on where it is; what shrinks to half is a smaller block. */
static void grow_and_shrink(void *arg)
{
    (void)arg;
    front_be_threaded();
    char *p = front_take(20000);
    memset(p, 5, 20000);
    EXPECT((p = hk_resize(p, 60000)) != NULL && kind_of(p) == HK_BLOCK_RUN && p[19999] == 5);
    EXPECT((p = hk_resize(p, 200000)) != NULL && kind_of(p) == HK_BLOCK_RUN && p[19999] == 5);
    front_free(p);
    p = front_take(200000);
    memset(p, 6, 200000);
    EXPECT(hk_resize(p, 196608) == p && hk_resize(p, 262144) == p);
    EXPECT((p = hk_resize(p, 50000)) != NULL && kind_of(p) == HK_BLOCK_SLAB && p[49999] == 6);
    EXPECT((p = hk_resize(p, 300000)) != NULL && kind_of(p) == HK_BLOCK_RUN && p[49999] == 6);
    front_free(p);
    EXPECT(front_malloc(SIZE_MAX) == NULL);
    front_check();
}

static void resized_wide_blocks(void **state)
{
    (void)state;
    unit_passes(grow_and_shrink, NULL);
}

/* Where no SuperSlab can be had a wide size fails as any other does, or is a mapping. */
static void refuse(void *arg)
{
    (void)arg;
    front_be_threaded();
    unsigned n = 0;
    front_free(front_take(40000));
    fake_os_fail_from(FAKE_MAP_AT, 1);
    for (void *p; n < HK_COUNT(blocks) && (p = front_malloc(131072)) != NULL;)
        blocks[n++] = memset(p, 1, 131072);
    EXPECT(n > 0 && (n == HK_COUNT(blocks) || errno == ENOMEM));
    fake_os_recover();
    while (n > 0)
        front_free(blocks[--n]);
    front_check();
    EXPECT(hk_huge_bytes() == 0);
    front_free(front_take(131072));
}

/* No 2 MiB are free beside each other, and no others can be had; but runs are. */
static void refuse_between_runs(void *arg)
{
    (void)arg;
    enum { RUNS = 64 };
    static void *runs[RUNS];
    front_be_threaded();
    for (unsigned i = 0; i < RUNS; i++)
        runs[i] = front_take(HK_MIB);
    for (unsigned i = 0; i < RUNS; i += 2)
        front_free(runs[i]);
    fake_os_fail_from(FAKE_MAP_AT, 1);
    fake_os_fail_from(FAKE_MAP, 1);
    unsigned n = 0;
    for (void *p; n < HK_COUNT(blocks) && (p = front_malloc(131072)) != NULL;)
        blocks[n++] = memset(p, 1, 131072);
    EXPECT(n >= RUNS / 2 * 8 - 8); /* what was freed has room for eight each */
    fake_os_recover();
    while (n > 0)
        front_free(blocks[--n]);
    for (unsigned i = 1; i < RUNS; i += 2)
        front_free(runs[i]);
    front_check();
}

static void wide_sizes_without_memory(void **state)
{
    (void)state;
    unit_passes(refuse, NULL);
    if (HK_SS_ARENA)
        unit_passes(refuse_between_runs, NULL);
}

static void *free_all(void *arg)
{
    for (unsigned i = 0; i < *(const unsigned *)arg; i++)
        front_free(blocks[i]);
    return NULL;
}

/* Blocks that another thread frees come back, and nothing is left of them. */
static void hand_over(void *arg)
{
    (void)arg;
    unsigned n = HK_COUNT(blocks);
    for (unsigned round = 0; round < 3; round++) {
        pthread_t thread;
        front_be_threaded();
        for (unsigned i = 0; i < n; i++)
            *(unsigned *)(blocks[i] = front_take(HK_MID_MAX + 1 + i * 300)) = i;
        EXPECT(pthread_create(&thread, NULL, free_all, &n) == 0 && pthread_join(thread, NULL) == 0);
    }
    front_check();
    hk_front_flush_all(front_self());
    EXPECT(front_owned_slabs() == 0);
}

static void wide_blocks_go_between_threads(void **state)
{
    (void)state;
    unit_passes(hand_over, NULL);
}

/* Huge pages are for buffers, not for tables that begin empty. */
static void take_long(void *arg)
{
    size_t size = *(const size_t *)arg;
    char *buffer = front_take(size), *table = hk_calloc_slow(size),
         *inner = (char *)hk_align_up((uintptr_t)buffer, 2 * HK_MIB);
    EXPECT(fake_os_is_huge(inner) && !fake_os_is_huge((char *)hk_align_up((uintptr_t)table, 2 * HK_MIB)));
    front_free(buffer);
    front_free(table);
    EXPECT(size > 32 * HK_MIB || !fake_os_is_huge(inner)); /* else it is no memory of ours any more */
    char *grown = hk_resize(front_take(100), size);
    EXPECT(grown != NULL && fake_os_is_huge((char *)hk_align_up((uintptr_t)grown, 2 * HK_MIB)));
    front_free(grown);
}

static void long_buffers_ask_for_huge_pages(void **state)
{
    (void)state;
    unit_passes(take_long, &(size_t){10 * HK_MIB});
    unit_passes(take_long, &(size_t){40 * HK_MIB});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wide_sizes_have_classes_where_there_are_threads),
        cmocka_unit_test(wide_sizes_are_runs_where_memory_is_dear),
        cmocka_unit_test(wide_blocks_keep_their_contents),
        cmocka_unit_test(wrong_frees_of_wide_blocks_are_seen),
        cmocka_unit_test(resized_wide_blocks),
        cmocka_unit_test(wide_sizes_without_memory),
        cmocka_unit_test(wide_blocks_go_between_threads),
        cmocka_unit_test(long_buffers_ask_for_huge_pages),
    };
    return cmocka_run_group_tests_name("front_wide", tests, NULL, NULL);
}
