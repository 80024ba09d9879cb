/* SPDX-License-Identifier: MIT
 *
 * Each case has arenas of its own in a child.
 */
#include "unit.h"

#include "large/page_heap.h"
#include "base/options.h"
#include "fake_os.h"
#include "os/os.h"
#include "pages/huge_pages.h"
#include "superslab/registry.h"

/* As front/block.c finds it; a pointer that it has nothing for goes on to the huge box. */
static bool free_found(const void *ptr)
{
    struct hk_block block = hk_page_heap_find(ptr);
    return hk_page_heap_free(&block);
}

static size_t size_of(const void *ptr)
{
    return hk_page_heap_find(ptr).size;
}

static void *resize_found(const void *ptr, size_t size, size_t roomy)
{
    struct hk_block block = hk_page_heap_find(ptr);
    return block.kind != HK_BLOCK_NONE ? hk_page_heap_resize(&block, size, roomy) : NULL;
}

static bool may_grow(const void *ptr, size_t size)
{
    struct hk_block block = hk_page_heap_find(ptr);
    return hk_page_heap_may_grow(&block, size);
}

static char *alloc(size_t size, size_t align)
{
    bool zero = false;
    char *p = hk_page_heap_alloc(size, align, &zero);
    EXPECT(p != NULL && (uintptr_t)p % hk_max(align, HK_PAGE) == 0);
    EXPECT(size_of(p) >= size);
    EXPECT(!zero || (p[0] == 0 && p[size / 2] == 0 && p[size - 1] == 0));
    p[0] = p[size - 1] = 7;
    return p;
}

static void sizes(void *arg)
{
    (void)arg;
    const size_t list[] = {1,           4096,
                           4097,        HK_MID_MAX + 1,
                           100000,      HK_MIB,
                           HK_MIB + 1,  32 * HK_MIB - 1,
                           32 * HK_MIB, 32 * HK_MIB + 1,
                           100 * HK_MIB};
    for (size_t i = 0; i < HK_COUNT(list); i++) {
        char *p = alloc(list[i], 16);
        bool huge = list[i] > HK_RUN_MAX;
        EXPECT(size_of(p) == hk_align_up(list[i], HK_PAGE));
        EXPECT((hk_huge_bytes() != 0) == huge);
        EXPECT((hk_arena_find(p).kind == HK_RUN_LIVE) == !huge);
        EXPECT(size_of(p + 1) == 0 && size_of(p + HK_PAGE) == 0);
        EXPECT(!free_found(p + 16) && !free_found(p + HK_PAGE));
        EXPECT(free_found(p) && !free_found(p) && size_of(p) == 0);
    }
    EXPECT(hk_arena_live() == 0 && hk_arena_check() && hk_huge_bytes() == 0);
    EXPECT(!free_found(NULL) && !free_found(&arg) && size_of(&arg) == 0);
}

static void runs_up_to_32_mib_and_mappings_above(void **state)
{
    (void)state;
    unit_passes(sizes, NULL);
}

/* Where no unit can be had. */
static void alone(void *arg)
{
    (void)arg;
    const size_t list[] = {0, 1, 1000, HK_MID_MAX, 100000, 32 * HK_MIB};
    fake_os_fail_from(FAKE_MAP_AT, 1);
    for (size_t i = 0; i < HK_COUNT(list); i++) {
        bool zero = false;
        EXPECT(hk_page_heap_alloc(hk_max(list[i], 1), 16, &zero) == NULL);
        char *p = hk_page_heap_alloc_alone(list[i], 64, &zero);
        EXPECT(p != NULL && zero && p[0] == 0 && size_of(p) == hk_align_up(hk_max(list[i], 1), HK_PAGE));
        EXPECT(free_found(p) && !free_found(p));
    }
    bool zero;
    EXPECT(hk_page_heap_alloc_alone(32 * HK_MIB + 1, 16, &zero) == NULL); /* that is one already */
    EXPECT(hk_page_heap_alloc_alone(1, HK_GIB, &zero) == NULL && hk_huge_bytes() == 0);
}

static void a_block_of_any_size_may_be_a_mapping(void **state)
{
    (void)state;
    unit_passes(alone, NULL);
}

static void alignments(void *arg)
{
    (void)arg;
    for (size_t align = 1; align <= HK_GIB; align *= 4) {
        for (size_t size = 1; size < 64 * HK_MIB; size = size * 37 + 5) {
            char *p = alloc(size, align);
            EXPECT((hk_huge_size(p) != 0) == (size > HK_RUN_MAX || align > HK_SUPERSLAB_SIZE));
            EXPECT(free_found(p));
        }
    }
    EXPECT(hk_arena_live() == 0 && hk_huge_bytes() == 0);
}

static void every_alignment_is_served(void **state)
{
    (void)state;
    unit_passes(alignments, NULL);
}

/* No mark of a block that began there stays, for realloc to carry it back. */
static void begin_without_mark(void *arg)
{
    (void)arg;
    const size_t list[] = {40000, 200000, 3 * HK_MIB};
    for (unsigned i = 0; i < HK_COUNT(list); i++) {
        for (size_t align = 16; align <= HK_SUPERSLAB_SIZE; align *= 8) {
            uintptr_t *p = (uintptr_t *)(void *)alloc(list[i], align);
            memset(p, 0xff, 64);
            EXPECT(free_found(p));
            p = (uintptr_t *)(void *)alloc(list[i], align);
            EXPECT(p[1] == 0);
            EXPECT(free_found(p));
        }
    }
}

static void resize_run(void *arg)
{
    (void)arg;
    char *p = alloc(40000, 16), *guard = alloc(40000, 16);
    EXPECT(resize_found(p, 50000, 50000) == NULL && !may_grow(p, 50000)); /* somebody is there */
    EXPECT(may_grow(guard, 50000) && may_grow(guard, HK_RUN_MAX) && !may_grow(guard, HK_RUN_MAX + 1));
    EXPECT(size_of(p) == 40960);
    EXPECT(free_found(guard));
    guard = alloc(40000, 16);
    EXPECT(resize_found(p, 36000, 36000) == p);
    EXPECT(resize_found(p, 40000, 90000) == p && size_of(p) == 40960); /* no room for more */
    EXPECT(!may_grow(p, 41000));
    EXPECT(free_found(guard) && may_grow(p, 41000));
    EXPECT(resize_found(p, 41000, 50000) == p && size_of(p) == 53248);
    p[49999] = 1;
    EXPECT(resize_found(p, HK_MID_MAX / 2, HK_MID_MAX / 2) == NULL); /* a slab's size, and little of a run's */
    EXPECT(resize_found(p, HK_RUN_MAX + 1, HK_RUN_MAX + 1) == NULL); /* a mapping's size */
    EXPECT(resize_found(p, 23295, 23295) == NULL);                   /* less than half of it, less an eighth */
    EXPECT(resize_found(p, 23296, 23296) == p && size_of(p) == 24576);
    EXPECT(resize_found(p, HK_MID_MAX / 2 + 1, HK_MID_MAX / 2 + 1) == p && size_of(p) == 20480); /* it may grow again */
    EXPECT(resize_found(p, HK_MID_MAX + 1, HK_MID_MAX + 1) == p && size_of(p) == 36864);
    EXPECT(resize_found(p, HK_RUN_MAX, HK_RUN_MAX) == p && size_of(p) == HK_RUN_MAX);
    EXPECT(p[0] == 7);
    EXPECT(resize_found(p + HK_PAGE, 50000, 50000) == NULL && resize_found(NULL, 50000, 50000) == NULL);
}

static void a_run_begins_without_a_mark(void **state)
{
    (void)state;
    unit_passes(begin_without_mark, NULL);
}

static void a_run_is_resized_in_place(void **state)
{
    (void)state;
    unit_passes(resize_run, NULL);
}

static void resize_mapping(void *arg)
{
    (void)arg;
    char *p = alloc(40 * HK_MIB, 16);
    p = resize_found(p, 80 * HK_MIB, 80 * HK_MIB);
    EXPECT(p != NULL && p[0] == 7 && p[40 * HK_MIB - 1] == 7 && size_of(p) == 80 * HK_MIB);
    p = resize_found(p, 20 * HK_MIB, 20 * HK_MIB); /* stays a mapping */
    EXPECT(p != NULL && hk_huge_size(p) == 20 * HK_MIB);
    EXPECT(resize_found(p, 16 * HK_MIB, 16 * HK_MIB) == NULL); /* no more */
    EXPECT(hk_huge_size(p) == 20 * HK_MIB && free_found(p));
}

static void a_mapping_is_moved(void **state)
{
    (void)state;
    unit_passes(resize_mapping, NULL);
}

/* ---- huge pages ---- */

#define LONG (20 * HK_MIB)

static char *fill(size_t size)
{
    char *p = alloc(size, 16);
    hk_page_heap_fill(p, size);
    return p;
}

/* All huge pages that lie in the block ask, and no byte beside it. */
static bool asks(const char *p, size_t size)
{
    const char *first = p + (hk_align_up((uintptr_t)p, HK_HUGE_PAGE) - (uintptr_t)p);
    const char *end = p + size - ((uintptr_t)p + size) % HK_HUGE_PAGE;
    bool huge = fake_os_is_huge(first);
    for (const char *at = first; at < end; at += HK_HUGE_PAGE / 2)
        EXPECT(fake_os_is_huge(at) == huge);
    EXPECT((first == p || !fake_os_is_huge(first - 1)) && !fake_os_is_huge(end));
    return huge;
}

/* What lies beside the huge pages of a mapping asks, too, so that it stays one. */
static void ask_alone(void)
{
    size_t size = hk_align_up(100 * HK_MIB + 5000, hk_os_page_size());
    char *mapping = fill(100 * HK_MIB + 5000);
    EXPECT(fake_os_is_huge(mapping) && fake_os_is_huge(mapping + size - 1) && fake_os_is_huge(mapping + size / 2));
    EXPECT(!fake_os_is_huge(mapping - 1) && !fake_os_is_huge(mapping + size) && free_found(mapping));
}

static void ask(void *arg)
{
    (void)arg;
    alloc(100000, 16); /* so that none lies at a multiple of 2 MiB */
    char *p = fill(LONG), *q = fill(8 * HK_MIB), *r = alloc(LONG, 16);
    EXPECT(asks(p, LONG) && !asks(q, 8 * HK_MIB) && !asks(r, LONG));
    ask_alone();
    EXPECT(resize_found(p, 15 * HK_MIB, 15 * HK_MIB) == p && !asks(p, LONG)); /* what is shorter asks no more */
    EXPECT(resize_found(p, 16 * HK_MIB, LONG) == p && asks(p, 16 * HK_MIB));
    EXPECT(free_found(p) && !asks(p, LONG) && free_found(q) && free_found(r));
    p = fill(LONG);
    struct hk_block block = hk_page_heap_find(p);
    EXPECT(asks(p, LONG) && hk_page_heap_shrink(&block, 17) == p && !asks(p, LONG));
}

/* Where memory is dear, or huge pages are not wanted, or all memory asks. */
static void do_not_ask(void *arg)
{
    (void)arg;
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, 1024 * HK_MIB));
    EXPECT(!asks(fill(LONG), LONG) && hk_option_store(HK_OPT_MEMORY_LIMIT, 0));
    EXPECT(hk_option_store(HK_OPT_HUGE_FROM, 0) && !asks(fill(LONG), LONG));
    EXPECT(hk_option_store(HK_OPT_HUGE_FROM, 1) && !asks(fill(HK_MIB), HK_MIB)); /* no huge page lies in it */
    char *p = fill(LONG);
    EXPECT(asks(p, LONG) && free_found(p));
    fake_os_fail_from(FAKE_HINT, 1);
    EXPECT(free_found(fill(LONG)));
    fake_os_recover();
    size_t pages = hk_load_relaxed(&hk_arena_run_pages);
    hk_store_relaxed(&hk_arena_run_pages, 17 * 1024 * HK_MIB / HK_PAGE); /* here and below: nobody else is here */
    EXPECT(!asks(fill(LONG), LONG));
    hk_store_relaxed(&hk_arena_run_pages, pages);
    p = fill(LONG);
    EXPECT(asks(p, LONG) && free_found(p));
    hk_store_relaxed(&hk_arena_scarce, true);
    EXPECT(!asks(fill(LONG), LONG));
}

static void large_blocks_ask_for_huge_pages(void **state)
{
    (void)state;
    if (HK_SS_ARENA)
        unit_passes(ask, NULL);
    unit_passes(do_not_ask, NULL);
}

static void run_out(void *arg)
{
    bool zero;
    enum fake_call kind = *(enum fake_call *)arg;
    fake_os_fail_from(kind, 1);
    EXPECT(hk_page_heap_alloc(HK_MIB, 16, &zero) == NULL || kind == FAKE_MAP);
    EXPECT(hk_page_heap_alloc(64 * HK_MIB, 16, &zero) == NULL || kind == FAKE_MAP_AT);
    EXPECT(hk_page_heap_alloc(PTRDIFF_MAX, 16, &zero) == NULL);
    EXPECT(hk_page_heap_alloc(HK_MIB, (size_t)1 << 62, &zero) == NULL);
    fake_os_recover();
    alloc(HK_MIB, 16);
    alloc(64 * HK_MIB, 16);
}

static void without_memory_there_is_null(void **state)
{
    (void)state;
    enum fake_call kinds[] = {FAKE_ANY, FAKE_MAP_AT, FAKE_MAP};
    for (unsigned i = 0; i < HK_COUNT(kinds); i++)
        unit_passes(run_out, &kinds[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_up_to_32_mib_and_mappings_above),
        cmocka_unit_test(a_block_of_any_size_may_be_a_mapping),
        cmocka_unit_test(every_alignment_is_served),
        cmocka_unit_test(a_run_begins_without_a_mark),
        cmocka_unit_test(a_run_is_resized_in_place),
        cmocka_unit_test(a_mapping_is_moved),
        cmocka_unit_test(large_blocks_ask_for_huge_pages),
        cmocka_unit_test(without_memory_there_is_null),
    };
    return cmocka_run_group_tests_name("page_heap", tests, NULL, NULL);
}
