/* SPDX-License-Identifier: MIT
 *
 * What the layers say about themselves, by class: where slabs come from, what the front had, which pages are new.
 * Counts of one thread that nothing else disturbs, so that all of them are exact. Only with -Dstats=enabled.
 */
#include "api.h"

#include "config.h"
#include "taken.h"
#include <hakmem/hakmem.h>

#include <stdio.h>

#define CLASSES_MAX 256
#define SLOTS 65536

const struct entries *e;

static struct hak_class_stats classes[CLASSES_MAX];
static void *slots[SLOTS];
static uint64_t random_state = 42;

static struct hak_stats stats_now(void)
{
    struct hak_stats stats = {.size = sizeof(stats)};
    assert_int_equal(hak_stats(&stats), 0);
    return stats;
}

/* ---- the sums of the classes ---- */

static void classes_add_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3000; i++)
        slots[i] = hak_malloc(1 + random_below(&random_state, 3000));
    for (size_t i = 0; i < 3000; i += 2) {
        hak_free(slots[i]);
        slots[i] = NULL;
    }
    struct hak_stats all = stats_now();
    int count = hak_stats_classes(classes, sizeof(*classes), CLASSES_MAX);
    assert_in_range(count, 8, CLASSES_MAX);
    struct hak_class_stats sum = {0};
    for (int i = 0; i < count; i++) {
        assert_true(classes[i].block_bytes > (i > 0 ? classes[i - 1].block_bytes : 0));
        assert_true(classes[i].hot_slabs <= classes[i].slabs);
        sum.slabs += classes[i].slabs;
        sum.hot_slabs += classes[i].hot_slabs;
        sum.live_blocks += classes[i].live_blocks;
        sum.acquired_partial += classes[i].acquired_partial;
        sum.acquired_empty += classes[i].acquired_empty;
        sum.acquired_unused += classes[i].acquired_unused;
        sum.acquired_new += classes[i].acquired_new;
        sum.refilled += classes[i].refilled;
        sum.flushed += classes[i].flushed;
        sum.malloc_hits += classes[i].malloc_hits;
        sum.malloc_misses += classes[i].malloc_misses;
        sum.free_hits += classes[i].free_hits;
        sum.free_misses += classes[i].free_misses;
    }
    assert_int_equal(sum.slabs, all.hot_slabs + all.cold_slabs);
    assert_int_equal(sum.hot_slabs, all.hot_slabs);
    assert_int_equal(sum.live_blocks, all.live_blocks);
    assert_int_equal(sum.acquired_partial, all.acquired_partial);
    assert_int_equal(sum.acquired_empty, all.acquired_empty);
    assert_int_equal(sum.acquired_unused, all.acquired_unused);
    assert_int_equal(sum.acquired_new, all.acquired_new);
    assert_int_equal(sum.refilled, all.refilled);
    assert_int_equal(sum.flushed, all.flushed);
    assert_int_equal(sum.malloc_hits, all.malloc_hits);
    assert_int_equal(sum.malloc_misses, all.malloc_misses);
    assert_int_equal(sum.free_hits, all.free_hits);
    assert_int_equal(sum.free_misses, all.free_misses);
    assert_true(sum.slabs > 0);
    for (size_t i = 0; i < 3000; i++) {
        hak_free(slots[i]);
        slots[i] = NULL;
    }
}

static void classes_need_their_size(void **state)
{
    (void)state;
    unsigned char room[sizeof(struct hak_class_stats) * 4];
    int count = hak_stats_classes(NULL, sizeof(*classes), 0);
    assert_in_range(count, 8, CLASSES_MAX);
    assert_int_equal(hak_stats_classes(NULL, sizeof(*classes), 1), -1);
    memset(room, 0x3c, sizeof(room));
    size_t first = offsetof(struct hak_class_stats, chained_blocks); /* the first version had no more */
    assert_int_equal(hak_stats_classes((void *)room, first - 8, 2), -1);
    for (size_t i = 0; i < sizeof(room); i++)
        assert_int_equal(room[i], 0x3c);
    /* Elements of a newer header: what this library knows is filled in, the rest left alone. */
    size_t size = sizeof(*classes) + 16;
    assert_int_equal(hak_stats_classes((void *)room, size, 2), count);
    for (size_t i = 0; i < sizeof(room); i++) {
        if (i % size >= sizeof(*classes) || i >= 2 * size)
            assert_int_equal(room[i], 0x3c);
    }
    assert_int_equal(hak_stats_classes(classes, sizeof(*classes), CLASSES_MAX), count);
    assert_memory_equal(room, &classes[0].block_bytes, sizeof(size_t));
    assert_memory_equal(room + size, &classes[1].block_bytes, sizeof(size_t));
}

/* ---- temperatures ---- */

static struct hak_class_stats class_now(size_t size)
{
    int count = hak_stats_classes(classes, sizeof(*classes), CLASSES_MAX);
    for (int i = 0; i < count; i++) {
        if (classes[i].block_bytes >= size)
            return classes[i];
    }
    fail_msg("no class for %zu bytes", size);
    abort();
}

static void full_slabs_are_hot_and_sparse_ones_cold(void **state)
{
    (void)state;
    enum { BLOCKS = 4096 };
    for (size_t i = 0; i < BLOCKS; i++)
        slots[i] = hak_malloc(512 - TAKEN_END);
    struct hak_class_stats full = class_now(512);
    assert_true(full.slabs >= 16);
    assert_true(full.hot_slabs + 1 >= full.slabs);
    for (size_t i = 0; i < BLOCKS; i++) {
        if (i % 4 != 0) {
            hak_free(slots[i]);
            slots[i] = NULL;
        }
    }
    hak_trim(0); /* the front keeps none of them */
    struct hak_class_stats sparse = class_now(512);
    assert_true(sparse.slabs >= 16);
    assert_int_equal(sparse.hot_slabs, 0);
    for (size_t i = 0; i < BLOCKS; i++) {
        hak_free(slots[i]);
        slots[i] = NULL;
    }
}

/* ---- where slabs come from ---- */

static size_t random_size(void)
{
    return 16 + random_below(&random_state, 1009);
}

static void random_mixed(size_t count, size_t operations)
{
    for (size_t i = 0; i < operations; i++) {
        size_t slot = random_below(&random_state, count);
        hak_free(slots[slot]);
        slots[slot] = hak_malloc(random_size());
    }
}

static bool in_stripe(size_t usable, unsigned stripe)
{
    return (usable - 1) / 64 % 2 == stripe;
}

/* The sizes of every other stripe go, others come: slabs become EMPTY and are needed by other classes. */
static void change_sizes(unsigned stripe)
{
    for (size_t i = 0; i < SLOTS; i++) {
        if (in_stripe(hak_malloc_usable_size(slots[i]), stripe)) {
            hak_free(slots[i]);
            slots[i] = NULL;
        }
    }
    for (size_t i = 0; i < SLOTS; i++) {
        size_t size = random_size();
        while (in_stripe(hak_good_size(size), stripe))
            size = random_size();
        if (slots[i] == NULL)
            slots[i] = hak_malloc(size);
    }
}

static void empty_slabs_come_first(void **state)
{
    (void)state;
    assert_int_equal(hak_option_set("MIN_KEEP", 1 << 30), 0); /* no purge meanwhile */
    for (size_t i = 0; i < SLOTS; i++)
        slots[i] = hak_malloc(random_size());
    struct hak_stats before = {0}, after;
    for (unsigned round = 0; round < 16; round++) {
        if (round == 8) /* warm */
            before = stats_now();
        change_sizes(round % 2);
        random_mixed(SLOTS, 150000);
    }
    after = stats_now();
    uint64_t partial = after.acquired_partial - before.acquired_partial;
    uint64_t empty = after.acquired_empty - before.acquired_empty;
    uint64_t unused = after.acquired_unused - before.acquired_unused;
    uint64_t fresh = after.acquired_new - before.acquired_new;
    uint64_t all = partial + empty + unused + fresh;
    printf("partial %lu, EMPTY %lu, UNUSED %lu, new SuperSlab %lu\n", (unsigned long)partial, (unsigned long)empty,
           (unsigned long)unused, (unsigned long)fresh);
    assert_true(all >= 500);
    if (HK_EMPTY_REUSE) {
        assert_true(empty * 100 >= all * 95);
        /* With steps wider than a stripe one has more of the memory, and SuperSlabs come and go with it. */
        if (hak_good_size(513) <= 576)
            assert_true(fresh * 100 <= all); /* a SuperSlab that became idle went back, pages and all */
    }
    for (size_t i = 0; i < SLOTS; i++) {
        hak_free(slots[i]);
        slots[i] = NULL;
    }
    assert_int_equal(hak_option_set("MIN_KEEP", 1 << 20), 0);
}

/* ---- what the front had ---- */

static void every_call_is_a_hit_or_a_miss(void **state)
{
    (void)state;
    enum { CALLS = 100000 };
    struct hak_stats before = stats_now();
    for (size_t i = 0; i < CALLS; i++) {
        size_t slot = random_below(&random_state, 2000);
        hak_free(slots[slot]);
        slots[slot] = hak_malloc(1 + random_below(&random_state, 32768));
        assert_non_null(slots[slot]);
    }
    for (size_t i = 0; i < 2000; i++) {
        hak_free(slots[i]);
        slots[i] = NULL;
    }
    struct hak_stats after = stats_now();
    uint64_t mallocs = after.malloc_hits + after.malloc_misses - before.malloc_hits - before.malloc_misses;
    uint64_t frees = after.free_hits + after.free_misses - before.free_hits - before.free_misses;
    assert_int_equal(mallocs, HK_TELEMETRY ? CALLS : 0);
    assert_int_equal(frees, HK_TELEMETRY ? CALLS : 0);
}

static void the_default_front_has_what_is_asked_for(void **state)
{
    (void)state;
    if (!HK_FRONT_V2)
        skip();
    enum { CALLS = 1000000 };
    struct hak_stats before = stats_now();
    random_mixed(256, CALLS);
    struct hak_stats after = stats_now();
    uint64_t batches = after.refills + after.flushes - before.refills - before.flushes;
    uint64_t hits = after.malloc_hits + after.free_hits - before.malloc_hits - before.free_hits;
    uint64_t misses = after.malloc_misses + after.free_misses - before.malloc_misses - before.free_misses;
    printf("%lu batches, %lu hits, %lu misses\n", (unsigned long)batches, (unsigned long)hits, (unsigned long)misses);
    assert_in_range(batches, 1, CALLS / 50); /* of a malloc and a free each */
    assert_true(HK_TELEMETRY ? hits >= 99 * misses : hits + misses == 0);
    for (size_t i = 0; i < 256; i++) {
        hak_free(slots[i]);
        slots[i] = NULL;
    }
}

/* ---- pages ---- */

/* How many pages of a bucket `count` blocks of a size are the first to see; they stay in slots. */
static uint64_t first_pages(unsigned bucket, size_t size, size_t count)
{
    struct hak_stats before = stats_now();
    for (size_t i = 0; i < count; i++) {
        slots[i] = hak_malloc(size);
        assert_non_null(slots[i]);
    }
    struct hak_stats after = stats_now();
    for (unsigned i = 0; i < HAK_PAGES_SSM; i++)
        assert_true(i == bucket || after.first_pages[i] == before.first_pages[i]);
    return after.first_pages[bucket] - before.first_pages[bucket];
}

static void free_slots(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hak_free(slots[i]);
        slots[i] = NULL;
    }
}

static void pages_are_counted_once(void **state)
{
    (void)state;
    static const struct {
        unsigned bucket;
        size_t size, count, pages; /* how many pages the blocks lie in */
    } cases[] = {
        {HAK_PAGES_C0, 64, 32768, 512},       {HAK_PAGES_C7, 1024, 8192, 2048},  {HAK_PAGES_MID, 4096, 2048, 2048},
        {HAK_PAGES_L25, 65536, 64, 1024},     {HAK_PAGES_L25, 1 << 20, 8, 2048}, {HAK_PAGES_HUGE, 2 << 20, 4, 2048},
        {HAK_PAGES_HUGE, 40 << 20, 1, 10240},
    };
    assert_int_equal(hak_option_set("PURGE_DELAY_MS", 3600000), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t pages = cases[i].pages, count = cases[i].count;
        hak_trim(0);
        uint64_t first = first_pages(cases[i].bucket, cases[i].size, count);
        free_slots(count);
        uint64_t again = first_pages(cases[i].bucket, cases[i].size, count);
        free_slots(count);
        hak_trim(0);
        uint64_t purged = first_pages(cases[i].bucket, cases[i].size, count);
        free_slots(count);
        if (!HK_TELEMETRY) {
            assert_int_equal(first + again + purged, 0);
            continue;
        }
        printf("%zu bytes: first %lu, again %lu, purged %lu\n", cases[i].size, (unsigned long)first,
               (unsigned long)again, (unsigned long)purged);
        /* Another place in an arena may fit better than where the blocks were. */
        bool kept = HK_HOT_SPAN && HK_SS_ARENA && cases[i].size <= (32 << 20);
        assert_in_range(first, pages * 9 / 10, pages + 64);
        assert_in_range(again, 0, kept ? pages / 2 : pages + 64);
        assert_in_range(purged, pages * 9 / 10, pages + 64);
    }
    assert_int_equal(hak_option_set("PURGE_DELAY_MS", 500), 0);
    struct hak_stats stats = stats_now();
    uint64_t in_slabs = 0;
    for (unsigned i = 0; i <= HAK_PAGES_MID; i++)
        in_slabs += stats.first_pages[i];
    assert_true(HK_TELEMETRY ? in_slabs > 0 : in_slabs == 0); /* of a slab that was taken all pages count as SSM */
    assert_true(stats.first_pages[HAK_PAGES_SSM] >= in_slabs && stats.first_pages[HAK_PAGES_SSM] % 16 == 0);
    assert_true(HK_TELEMETRY || stats.first_pages[HAK_PAGES_SSM] == 0);
}

int main(void)
{
    e = entries_get();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_add_up),
        cmocka_unit_test(classes_need_their_size),
        cmocka_unit_test(full_slabs_are_hot_and_sparse_ones_cold),
        cmocka_unit_test(pages_are_counted_once),
        cmocka_unit_test(empty_slabs_come_first),
        cmocka_unit_test(every_call_is_a_hit_or_a_miss),
        cmocka_unit_test(the_default_front_has_what_is_asked_for),
    };
    return cmocka_run_group_tests_name(e->kind, tests, NULL, NULL);
}
