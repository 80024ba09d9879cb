/* SPDX-License-Identifier: MIT
 *
 * Hits and misses of the front, and pages first handed out. Each case runs in a child, with a heap of its own. Built
 * with -Dtelemetry=enabled only.
 */
#include "front_fixture.h"

#include "base/options.h"
#include "base/telemetry.h"
#include "large/page_heap.h"
#include "box/purge.h"
#include "fake_os.h"

static uint64_t pages(unsigned bucket)
{
    return hk_load_relaxed(&hk_telemetry_pages[bucket]);
}

static void count_calls(void *arg)
{
    enum { CALLS = 5000 };
    static void *blocks[CALLS];
    size_t size = *(size_t *)arg;
    unsigned cls = hk_class_of(size);
    for (unsigned i = 0; i < CALLS; i++)
        blocks[i] = front_take(size);
    const struct hk_front_hits *hits = &front_self()->hits[cls];
    EXPECT(hits->malloc_hits + hits->malloc_misses == CALLS);
    EXPECT(hits->malloc_misses >= front_self()->metrics[cls].refills && hits->malloc_misses > 0);
    EXPECT(hits->free_hits + hits->free_misses == 0);
    for (unsigned i = 0; i < CALLS; i++)
        front_free(blocks[i]);
    EXPECT(hits->free_hits + hits->free_misses == CALLS);
    EXPECT(hits->free_misses >= front_self()->metrics[cls].flushes);
    EXPECT(hits->malloc_hits + hits->malloc_misses == CALLS);
}

static void every_call_is_a_hit_or_a_miss(void **state)
{
    (void)state;
    size_t sizes[] = {1, 64, 500, 1024, 3000, 20000};
    for (size_t i = 0; i < HK_COUNT(sizes); i++)
        unit_passes(count_calls, &sizes[i]);
}

/* The pages of a class's blocks, in spans of one slab and of two. */
static void count_class_pages(void *arg)
{
    size_t size = *(size_t *)arg;
    unsigned cls = hk_class_of(size), bucket = hk_class_group(cls), capacity = hk_class_capacity(cls);
    static void *blocks[HK_SLAB_SIZE / HK_BLOCK_MIN];
    for (unsigned round = 0; round < 2; round++) { /* the second finds pages that it knows */
        for (unsigned i = 0; i < capacity; i++)
            blocks[i] = front_take(size);
        uint64_t reached = (capacity * hk_class_size(cls) + HK_PAGE - 1) / HK_PAGE;
        EXPECT(pages(bucket) >= reached);
        EXPECT(pages(bucket) <= reached + 64 * hk_class_size(cls) / HK_PAGE + 2); /* a batch more */
        for (unsigned i = 0; i < capacity; i++)
            front_free(blocks[i]);
    }
    for (unsigned other = 0; other < HK_PAGES_SSM; other++)
        EXPECT(other == bucket || pages(other) == 0);
    EXPECT(pages(HK_PAGES_SSM) >= pages(bucket) && pages(HK_PAGES_SSM) % (HK_SLAB_SIZE / HK_PAGE) == 0);
}

static void pages_of_slabs_count_once(void **state)
{
    (void)state;
    size_t sizes[] = {16, 48, 128, 192, 256, 384, 512, 768, 1024, 5000, 20000};
    for (size_t i = 0; i < HK_COUNT(sizes); i++)
        unit_passes(count_class_pages, &sizes[i]);
}

static void count_run_pages(void *arg)
{
    (void)arg;
    bool zero;
    char *p = hk_page_heap_alloc(100000, 1, &zero); /* 25 pages */
    EXPECT(p != NULL && pages(HK_PAGES_L25) == 25);
    struct hk_block block = hk_page_heap_find(p);
    EXPECT(hk_page_heap_resize(&block, 200000, 200000) == p && pages(HK_PAGES_L25) == 49);
    EXPECT(hk_page_heap_free(&block));
    p = hk_page_heap_alloc(100000, 1, &zero);
    EXPECT(p != NULL && pages(HK_PAGES_L25) == (zero ? 74 : 49)); /* zero: not kept resident when it was free */
    EXPECT(hk_page_heap_free(&block));
    uint64_t before = pages(HK_PAGES_L25);
    hk_purge_now(0);
    p = hk_page_heap_alloc(100000, 1, &zero);
    EXPECT(p != NULL && pages(HK_PAGES_L25) == before + 25);
    EXPECT(pages(HK_PAGES_HUGE) == 0);
    EXPECT(hk_page_heap_alloc(HK_MIB + 1, 1, &zero) != NULL && pages(HK_PAGES_HUGE) == 257);
}

static void pages_of_runs_count_once_until_they_are_purged(void **state)
{
    (void)state;
    unit_passes(count_run_pages, NULL);
}

static void count_mapping_pages(void *arg)
{
    (void)arg;
    char *p = hk_huge_alloc(40 * HK_MIB, 1);
    EXPECT(p != NULL && pages(HK_PAGES_HUGE) == 10240);
    p = hk_huge_resize(p, 41 * HK_MIB);
    EXPECT(p != NULL && pages(HK_PAGES_HUGE) == 10496);
    p = hk_huge_resize(p, 36 * HK_MIB);
    EXPECT(p != NULL && pages(HK_PAGES_HUGE) == 10496);
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, 64 * HK_MIB));
    EXPECT(hk_huge_alloc(40 * HK_MIB, 1) == NULL && hk_huge_resize(p, 80 * HK_MIB) == NULL);
    EXPECT(pages(HK_PAGES_HUGE) == 10496);
}

static void pages_of_mappings_count_when_they_are_new(void **state)
{
    (void)state;
    unit_passes(count_mapping_pages, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_is_a_hit_or_a_miss),
        cmocka_unit_test(pages_of_slabs_count_once),
        cmocka_unit_test(pages_of_runs_count_once_until_they_are_purged),
        cmocka_unit_test(pages_of_mappings_count_when_they_are_new),
    };
    return cmocka_run_group_tests_name("telemetry", tests, NULL, NULL);
}
