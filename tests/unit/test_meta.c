/* SPDX-License-Identifier: MIT
 *
 * Records are never given back: each case runs in a child.
 */
#include "unit.h"

#include "fake_os.h"
#include "os/lock.h"
#include "os/os.h"
#include "superslab/meta.h"

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

static void count_calls(void *arg)
{
    (void)arg;
    take(0, 100);
    EXPECT(fake_os_count(FAKE_RESERVE) == 1);
    EXPECT(fake_os_count(FAKE_COMMIT) == 1);
    for (unsigned i = 1; i < 100; i++)
        take(i, 600);
    EXPECT(fake_os_count(FAKE_COMMIT) == 1);
    EXPECT(fake_os_count(FAKE_RESERVE) == 1);
}

static void little_needs_one_commit(void **state)
{
    (void)state;
    unit_passes(count_calls, NULL);
}

struct donation {
    char *start;
    size_t size;
    unsigned inside;
};

static void donate(void *arg)
{
    (void)arg;
    struct donation d = {hk_os_reserve(128 * HK_KIB), 128 * HK_KIB, 0};
    fake_os_reset();
    hk_meta_donate(d.start, 0); /* an arena whose head was used up */
    hk_meta_donate(d.start, d.size);
    for (unsigned i = 0; i < 400; i++) {
        take(i, 1024);
        d.inside += records[i].ptr >= d.start && records[i].ptr + 1024 <= d.start + d.size;
    }
    EXPECT(d.inside == 128); /* all of it, and then a region of its own */
    EXPECT(fake_os_count(FAKE_RESERVE) == 1);
    look_again(400);
}

static void donated_space_is_used_first(void **state)
{
    (void)state;
    unit_passes(donate, NULL);
}

static void sum_regions(void *ctx, void *start, size_t size)
{
    struct donation *d = ctx;
    for (unsigned i = 0; i < d->size; i++)
        d->inside += records[i].ptr >= (char *)start && records[i].ptr + records[i].size <= (char *)start + size;
}

static void visit(void *arg)
{
    (void)arg;
    struct donation d = {NULL, 20, 0};
    for (unsigned i = 0; i < 20; i++)
        take(i, 500000);
    hk_meta_visit(sum_regions, &d);
    EXPECT(d.inside == 20);
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
        EXPECT(unit_is_zero(p, 3000)); /* from what is committed */
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
    enum fake_call kinds[] = {FAKE_RESERVE, FAKE_COMMIT, FAKE_ANY};
    for (unsigned i = 0; i < HK_COUNT(kinds); i++)
        unit_passes(be_refused, &kinds[i]);
}

/* A process at its commit limit may ask a thousand times. */
static void be_refused_often(void *arg)
{
    (void)arg;
    fake_os_fail_from(FAKE_COMMIT, 1);
    for (unsigned i = 0; i < 1000; i++)
        EXPECT(hk_meta_alloc(100) == NULL);
    EXPECT(fake_os_count(FAKE_RESERVE) <= 2);
}

static void refused_commits_use_up_no_address_space(void **state)
{
    (void)state;
    unit_passes(be_refused_often, NULL);
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
        cmocka_unit_test(records_are_zero_aligned_and_apart),
        cmocka_unit_test(a_record_may_be_larger_than_a_region),
        cmocka_unit_test(little_needs_one_commit),
        cmocka_unit_test(donated_space_is_used_first),
        cmocka_unit_test(every_record_is_in_one_region),
        cmocka_unit_test(refusals_give_null_and_are_forgotten),
        cmocka_unit_test(refused_commits_use_up_no_address_space),
        cmocka_unit_test(any_thread_may_take),
    };
    return cmocka_run_group_tests_name("meta", tests, NULL, NULL);
}
