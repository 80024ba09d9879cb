/* SPDX-License-Identifier: MIT
 *
 * Records are never given back: each case runs in a child.
 */
#include "unit.h"

#include "fake_os.h"
#include "os/lock.h"
#include "pages/meta.h"

#include <pthread.h>

#define RECORDS 3000

struct record {
    char *ptr;
    size_t size;
};

static struct record records[RECORDS];

/* Zero, aligned, and its own: filled with a byte that is looked at again at the end. */
static void take(unsigned i, size_t size)
{
    char *p = hk_meta_alloc(size);
    EXPECT(p != NULL);
    EXPECT((uintptr_t)p % HK_CACHE_LINE == 0);
    EXPECT(unit_is_zero(p, size));
    memset(p, (int)(i % 255 + 1), size);
    records[i] = (struct record){p, size};
}

static void look_again(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        EXPECT(records[i].ptr[0] == (char)(i % 255 + 1));
        EXPECT(memcmp(records[i].ptr, records[i].ptr + 1, records[i].size - 1) == 0);
    }
}

static void take_many(void *arg)
{
    uint64_t seed = 5;
    size_t total = 0;
    fake_os_set_page_size(*(size_t *)arg);
    for (unsigned i = 0; i < RECORDS; i++) {
        size_t size = 1 + unit_random(&seed, i % 50 ? 2000 : 200000);
        take(i, size);
        total += hk_align_up(size, HK_CACHE_LINE);
    }
    look_again(RECORDS);
    EXPECT(hk_meta_used() == total);
    EXPECT(fake_os_misaligned() == 0);
    EXPECT(total > 8 * HK_MIB); /* more than one region */
}

static void records_are_zero_aligned_and_apart(void **state)
{
    (void)state;
    size_t pages[] = {4096, 16384, 65536};
    for (unsigned i = 0; i < 3; i++)
        unit_passes(take_many, &pages[i]);
}

static void take_large(void *arg)
{
    (void)arg;
    take(0, 1000);
    take(1, 5 * HK_MIB); /* larger than a region of its own usually is */
    take(2, 4 * HK_MIB);
    take(3, 64);
    look_again(4);
}

static void a_record_may_be_larger_than_a_region(void **state)
{
    (void)state;
    unit_passes(take_large, NULL);
}

/* For one region: with -Dguards=enabled the pages around it are hidden. */
#define CALLS (HK_GUARDS ? 3u : 1u)

static void count_calls(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 100; i++)
        take(i, 600);
    EXPECT(fake_os_count(FAKE_ANY) == CALLS);
}

static void little_needs_one_mapping(void **state)
{
    (void)state;
    unit_passes(count_calls, NULL);
}

struct regions {
    unsigned records, inside, count;
    size_t total, longest;
};

static void sum_regions(void *ctx, void *start, size_t size)
{
    struct regions *r = ctx;
    for (unsigned i = 0; i < r->records; i++)
        r->inside += records[i].ptr >= (char *)start && records[i].ptr + records[i].size <= (char *)start + size;
    r->count++;
    r->total += size;
    r->longest = hk_max(r->longest, size);
}

/* However many there are, mappings are few, and little of them is not used. */
static void take_ever_more(void *arg)
{
    (void)arg;
    char *first = hk_meta_alloc(1000);
    memset(first, 7, 1000);
    for (unsigned i = 0; i < 900000; i++)
        EXPECT(hk_meta_alloc(640) != NULL); /* 550 MiB */
    struct regions r = {0};
    hk_meta_visit(sum_regions, &r);
    EXPECT(r.count < 250 && r.longest <= 4 * HK_MIB && r.count * CALLS == fake_os_count(FAKE_ANY));
    EXPECT(r.total - hk_meta_used() <= hk_meta_used() / 8 + HK_MIB);
    EXPECT(first[0] == 7 && first[999] == 7);
}

static void there_is_no_end_of_regions(void **state)
{
    (void)state;
    unit_passes(take_ever_more, NULL);
}

static void visit(void *arg)
{
    (void)arg;
    struct regions r = {.records = 20};
    for (unsigned i = 0; i < 20; i++)
        take(i, 500000);
    hk_meta_visit(sum_regions, &r);
    EXPECT(r.inside == 20);
}

static void every_record_is_in_one_region(void **state)
{
    (void)state;
    unit_passes(visit, NULL);
}

static void be_refused(void *arg)
{
    enum fake_call kind = *(enum fake_call *)arg;
    fake_os_fail_from(kind, 1);
    for (unsigned i = 0; i < 10; i++)
        EXPECT(hk_meta_alloc(100) == NULL);
    EXPECT(hk_meta_used() == 0);
    fake_os_recover();
    for (unsigned i = 0; i < 100; i++)
        take(i, 3000);
    fake_os_fail_from(kind, 1);
    unsigned n = 100;
    for (char *p; n < RECORDS && (p = hk_meta_alloc(3000)) != NULL; n++) {
        EXPECT(unit_is_zero(p, 3000)); /* from what is mapped */
        memset(p, (int)(n % 255 + 1), 3000);
        records[n] = (struct record){p, 3000};
    }
    EXPECT(n < RECORDS);
    fake_os_recover();
    for (unsigned i = n; i < RECORDS; i++)
        take(i, 3000);
    look_again(RECORDS);
}

static void refusals_give_null_and_are_forgotten(void **state)
{
    (void)state;
    enum fake_call kinds[] = {FAKE_MAP, FAKE_ANY};
    for (unsigned i = 0; i < HK_COUNT(kinds); i++)
        unit_passes(be_refused, &kinds[i]);
}

/* Where a region is refused a shorter one may be had; each page that can be had is used. */
static void be_granted_little(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 20; i++)
        take(i, 300000); /* regions are long by now */
    for (unsigned i = 20; i < 60; i++) {
        fake_os_fail_nth(FAKE_MAP, 1);
        take(i, 300000);
    }
    EXPECT(fake_os_failures() > 20);
    struct regions r = {.records = 60};
    hk_meta_visit(sum_regions, &r);
    EXPECT(r.inside == 60 && r.total <= 60 * (300000 + 2 * 4096) + HK_MIB);
    look_again(60);
}

static void a_shorter_region_will_do(void **state)
{
    (void)state;
    unit_passes(be_granted_little, NULL);
}

#define THREADS 4

static void *take_some(void *arg)
{
    struct record *r = arg;
    for (unsigned i = 0; i < 500; i++) {
        r[i].size = 64 + i % 7 * 100;
        r[i].ptr = hk_meta_alloc(r[i].size);
        EXPECT(r[i].ptr != NULL && unit_is_zero(r[i].ptr, r[i].size));
        memset(r[i].ptr, (int)((r + i - records) % 255 + 1), r[i].size);
    }
    return NULL;
}

static void take_in_threads(void *arg)
{
    (void)arg;
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        EXPECT(pthread_create(&threads[i], NULL, take_some, &records[i * 500]) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    look_again(THREADS * 500);
    EXPECT(hk_meta_lock()->word == 0);
}

static void any_thread_may_take(void **state)
{
    (void)state;
    unit_passes(take_in_threads, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_zero_aligned_and_apart), cmocka_unit_test(a_record_may_be_larger_than_a_region),
        cmocka_unit_test(little_needs_one_mapping),           cmocka_unit_test(there_is_no_end_of_regions),
        cmocka_unit_test(every_record_is_in_one_region),      cmocka_unit_test(refusals_give_null_and_are_forgotten),
        cmocka_unit_test(a_shorter_region_will_do),           cmocka_unit_test(any_thread_may_take),
    };
    return cmocka_run_group_tests_name("meta", tests, NULL, NULL);
}
