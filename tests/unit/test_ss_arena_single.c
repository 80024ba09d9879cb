/* SPDX-License-Identifier: MIT
 *
 * -Dss_arena=disabled: SuperSlabs that are mappings of their own. Each case has arenas of its own in a child.
 */
#include "unit.h"

#include "base/options.h"
#include "fake_os.h"
#include "os/os.h"
#include "pages/space.h"
#include "pages/ss_arena_source.h"

#include <sys/mman.h>
#include <unistd.h>

#define MOST 40u

static void map_and_unmap(void *arg)
{
    (void)arg;
    char *ss[MOST];
    uint32_t clean;
    EXPECT(hk_arena_start());
    size_t mapped = hk_arena_mapped();
    size_t units = hk_space_units + MOST;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < MOST; i++) {
            uint64_t maps = fake_os_count(FAKE_MAP_AT);
            ss[i] = hk_arena_take_superslab(0, &clean);
            EXPECT(ss[i] != NULL && (uintptr_t)ss[i] % HK_SUPERSLAB_SIZE == 0 && clean == UINT32_MAX);
            EXPECT(unit_is_zero(ss[i], HK_SUPERSLAB_SIZE));
            EXPECT(fake_os_count(FAKE_MAP_AT) <= maps + 1 + (round == 0 ? 2 : 0)); /* for it, and for tables */
            memset(ss[i], 1, HK_SUPERSLAB_SIZE);
        }
        EXPECT(hk_arena_live() == MOST * HK_SUPERSLAB_SIZE);
        EXPECT(hk_arena_mapped() == mapped + MOST * HK_SUPERSLAB_SIZE);
        EXPECT(hk_arena_check());
        for (unsigned i = 0; i < MOST; i++) {
            uint64_t unmaps = fake_os_count(FAKE_UNMAP);
            EXPECT(hk_arena_give_superslab(ss[i], hk_mask32(3, 2)) == 30 * HK_SLAB_SIZE);
            EXPECT(fake_os_count(FAKE_UNMAP) == unmaps + 1);
            EXPECT(hk_arena_find(ss[i]).kind == HK_RUN_NONE);
        }
        EXPECT(hk_arena_live() == 0 && hk_arena_dirty() == 0 && hk_arena_mapped() == mapped && hk_arena_check());
    }
    EXPECT(hk_space_units == units); /* they lie where they lay before */
    EXPECT(fake_os_misaligned() == 0);
}

static void each_superslab_is_a_mapping(void **state)
{
    (void)state;
    unit_passes(map_and_unmap, NULL);
}

static void map_on_large_pages(void *arg)
{
    uint32_t clean;
    fake_os_set_page_size(*(size_t *)arg);
    char *a = hk_arena_take_superslab(0, &clean), *b = hk_arena_take_superslab(0, &clean);
    EXPECT(a != NULL && b != NULL && fake_os_misaligned() == 0);
    memset(a, 1, HK_SUPERSLAB_SIZE);
    memset(b, 1, HK_SUPERSLAB_SIZE);
    hk_arena_give_superslab(a, 0);
    hk_arena_give_superslab(b, 0);
    EXPECT(hk_arena_live() == 0 && fake_os_misaligned() == 0);
}

static void larger_kernel_pages_change_nothing(void **state)
{
    (void)state;
    size_t pages[] = {16384, 65536};
    unit_passes(map_on_large_pages, &pages[0]);
    unit_passes(map_on_large_pages, &pages[1]);
}

struct seen {
    unsigned superslabs, of_ours;
    char **ss;
};

static void see(void *ctx, void *start, size_t size, enum hk_run_kind kind)
{
    struct seen *seen = ctx;
    if (kind != HK_RUN_SUPERSLAB)
        return;
    EXPECT(size == HK_SUPERSLAB_SIZE);
    seen->superslabs++;
    for (unsigned i = 0; i < MOST; i++)
        seen->of_ours += seen->ss[i] == start;
}

static void ask(void *arg)
{
    (void)arg;
    char *ss[MOST];
    uint32_t clean;
    for (unsigned i = 0; i < MOST; i++)
        ss[i] = hk_arena_take_superslab(0, &clean);
    for (unsigned i = 0; i < MOST; i++) {
        for (size_t at = 0; at < HK_SUPERSLAB_SIZE; at += 99999) {
            struct hk_run run = hk_arena_find(ss[i] + at);
            EXPECT(run.kind == HK_RUN_SUPERSLAB && run.start == ss[i] && run.pages == HK_SUPERSLAB_SIZE / HK_PAGE);
        }
        EXPECT(!hk_arena_give(ss[i]) && !hk_arena_resize(ss[i], 3, 3));
    }
    struct seen seen = {.ss = ss};
    hk_arena_visit(see, &seen);
    EXPECT(seen.superslabs == MOST && seen.of_ours == MOST);
    EXPECT(hk_arena_find(NULL).kind == HK_RUN_NONE && hk_arena_find(&seen).kind == HK_RUN_NONE);
}

static void their_addresses_are_known(void **state)
{
    (void)state;
    unit_passes(ask, NULL);
}

static void obey_memory_limit(void *arg)
{
    (void)arg;
    bool zero;
    uint32_t clean;
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, 5 * HK_MIB));
    char *a = hk_arena_take_superslab(0, &clean), *b = hk_arena_take_superslab(0, &clean);
    EXPECT(a != NULL && b != NULL);
    EXPECT(hk_arena_take_superslab(0, &clean) == NULL && clean == 0);
    EXPECT(hk_arena_take(257, HK_PAGE, &zero) == NULL && hk_arena_take(256, HK_PAGE, &zero) != NULL);
    hk_arena_give_superslab(a, 0);
    EXPECT(hk_arena_take_superslab(0, &clean) != NULL);
    EXPECT(hk_arena_take_superslab(0, &clean) == NULL);
}

static void the_memory_limit_counts_them(void **state)
{
    (void)state;
    unit_passes(obey_memory_limit, NULL);
}

static void hint(void *arg)
{
    uint32_t clean;
    bool huge = *(bool *)arg;
    EXPECT(hk_option_store(HK_OPT_THP, huge));
    for (unsigned i = 0; i < 64; i++)
        EXPECT(hk_arena_take_superslab(0, &clean) != NULL);
    char *base = hk_arena_take_superslab(0, &clean);
    EXPECT(fake_os_count(FAKE_HINT) == (huge ? 65 : 32)); /* 64 MiB, as the first arena has */
    EXPECT(base != NULL && fake_os_is_huge(base) == huge);
}

static void the_first_have_no_huge_pages(void **state)
{
    (void)state;
    bool huge[] = {false, true};
    unit_passes(hint, &huge[0]);
    unit_passes(hint, &huge[1]);
}

/* Units of which others have taken a part meanwhile are not mapped again. */
static void find_others_there(void *arg)
{
    (void)arg;
    char *ss[MOST];
    uint32_t clean;
    for (unsigned i = 0; i < MOST; i++)
        ss[i] = hk_arena_take_superslab(0, &clean);
    for (unsigned i = 0; i < MOST; i++) {
        hk_arena_give_superslab(ss[i], 0);
        if (i % 3 == 0)
            EXPECT(mmap(ss[i] + 4096, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
                   ss[i] + 4096);
    }
    for (unsigned i = 0; i < MOST; i++) {
        char *p = hk_arena_take_superslab(0, &clean);
        EXPECT(p != NULL && clean == UINT32_MAX && hk_arena_check());
        memset(p, 1, HK_SUPERSLAB_SIZE);
        for (unsigned j = 0; j < MOST; j += 3)
            EXPECT(p != ss[j]);
    }
}

static void where_others_are_none_is_mapped(void **state)
{
    (void)state;
    unit_passes(find_others_there, NULL);
}

/* ---- refusals ---- */

struct refusal {
    enum fake_call kind;
    unsigned n;
    bool lasting;
};

static void work_refused(void *arg)
{
    const struct refusal *r = arg;
    char *ss[4];
    uint32_t clean;
    (r->lasting ? fake_os_fail_from : fake_os_fail_nth)(r->kind, r->n);
    for (unsigned i = 0; i < 4; i++) {
        ss[i] = hk_arena_take_superslab(0, &clean);
        EXPECT(clean == (ss[i] != NULL ? UINT32_MAX : 0));
        if (ss[i] != NULL)
            memset(ss[i], 1, HK_SUPERSLAB_SIZE);
        EXPECT(hk_arena_check());
    }
    for (unsigned i = 0; i < 4; i++) {
        if (ss[i] == NULL)
            continue;
        hk_arena_give_superslab(ss[i], 0);
        /* Where the unmap is refused the pages go all the same (unless that is refused too). */
        EXPECT(r->kind == FAKE_ANY || hk_os_resident(ss[i], HK_SUPERSLAB_SIZE) == 0);
    }
    EXPECT(hk_arena_live() == 0 && hk_arena_check());
    bool happened = fake_os_failures() != 0;
    fake_os_recover();
    EXPECT(hk_arena_take_superslab(0, &clean) != NULL && clean == UINT32_MAX);
    _exit(happened ? 0 : 3);
}

static void every_call_may_be_refused(void **state)
{
    (void)state;
    const enum fake_call kinds[] = {FAKE_ANY, FAKE_MAP_AT, FAKE_UNMAP};
    for (unsigned kind = 0; kind < HK_COUNT(kinds); kind++) {
        for (unsigned lasting = 0; lasting < 2; lasting++) {
            unsigned n = 0, status;
            do {
                struct refusal r = {kinds[kind], ++n, lasting};
                status = (unsigned)unit_status(work_refused, &r);
            } while (status == 0 && n < 100);
            assert_int_equal(status, 3);
            assert_true(n > 2);
        }
    }
}

/* ---- threads ---- */

static void *churn(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    char *ss[6] = {0};
    for (unsigned i = 0; i < 500; i++) {
        unsigned at = (unsigned)unit_random(&seed, 6);
        uint32_t clean;
        if (ss[at] != NULL) {
            EXPECT(ss[at][0] == (char)(uintptr_t)arg && hk_arena_find(ss[at]).kind == HK_RUN_SUPERSLAB);
            hk_arena_give_superslab(ss[at], 0);
            ss[at] = NULL;
        } else {
            ss[at] = hk_arena_take_superslab(0, &clean);
            EXPECT(ss[at] != NULL && ss[at][0] == 0);
            ss[at][0] = (char)(uintptr_t)arg;
        }
    }
    for (unsigned at = 0; at < 6; at++) {
        if (ss[at] != NULL)
            hk_arena_give_superslab(ss[at], 0);
    }
    return NULL;
}

static void churn_in_threads(void *arg)
{
    (void)arg;
    unit_in_threads(3, churn);
    EXPECT(hk_arena_live() == 0 && hk_arena_check() && hk_arena_lock()->word == 0);
}

static void any_thread_may_take_and_give(void **state)
{
    (void)state;
    unit_passes(churn_in_threads, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_superslab_is_a_mapping),  cmocka_unit_test(larger_kernel_pages_change_nothing),
        cmocka_unit_test(their_addresses_are_known),    cmocka_unit_test(the_memory_limit_counts_them),
        cmocka_unit_test(the_first_have_no_huge_pages), cmocka_unit_test(where_others_are_none_is_mapped),
        cmocka_unit_test(every_call_may_be_refused),    cmocka_unit_test(any_thread_may_take_and_give),
    };
    return cmocka_run_group_tests_name("ss_arena_single", tests, NULL, NULL);
}
