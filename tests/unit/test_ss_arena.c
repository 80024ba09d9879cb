/* SPDX-License-Identifier: MIT
 *
 * Taking, giving and resizing runs. Each case has arenas of its own in a child. Purging: test_ss_arena_purge.c.
 */
#include "arena_model.h"

#include "base/options.h"
#include "fake_os.h"
#include "needs.h"
#include "superslab/registry.h"

#include <sys/mman.h>
#include <unistd.h>

static struct model model;

static void work(unsigned steps, size_t most, bool may_fail)
{
    model.seed = model.seed ? model.seed : 11;
    for (unsigned i = 0; i < steps; i++) {
        model_step(&model, most, may_fail);
        EXPECT(hk_arena_check());
        if (i % 64 == 0)
            model_check(&model);
    }
    model_check(&model);
}

static void random_runs(void *arg)
{
    fake_os_set_page_size(*(size_t *)arg);
    work(2000, 600, false);
    model_give_all(&model);
    model_check(&model);
    EXPECT(hk_arena_live() == 0);
    EXPECT(fake_os_misaligned() == 0);
    EXPECT(fake_os_count(FAKE_PURGE) == 0); /* nothing goes back by itself */
    work(200, 100, false);
}

static void runs_follow_the_model(void **state)
{
    (void)state;
    size_t page = 4096;
    unit_passes(random_runs, &page);
}

static void larger_kernel_pages_change_nothing(void **state)
{
    (void)state;
    size_t pages[] = {16384, 65536};
    unit_passes(random_runs, &pages[0]);
    unit_passes(random_runs, &pages[1]);
}

/* Each is longer than what is added at a time, and ends inside a large kernel page. */
static void add_step_by_step(void *arg)
{
    const size_t pages[] = {767, 1501, 2999, 4099};
    fake_os_set_page_size(*(size_t *)arg);
    for (unsigned i = 0; i < HK_COUNT(pages); i++)
        EXPECT(model_take(&model, pages[i], HK_PAGE));
    model_check(&model);
    EXPECT(fake_os_misaligned() == 0);
}

static void units_are_added_for_every_length(void **state)
{
    (void)state;
    size_t pages[] = {4096, 16384, 65536};
    for (unsigned i = 0; i < 3; i++)
        unit_passes(add_step_by_step, &pages[i]);
}

static void one_of_each(void *arg)
{
    (void)arg;
    bool zero;
    for (size_t align = HK_PAGE; align <= HK_SUPERSLAB_SIZE; align *= 2) {
        for (size_t pages = 1; pages <= HK_RUN_PAGES_MAX; pages = pages * 7 + 1) {
            char *p = hk_arena_take(pages, align, &zero);
            EXPECT(p != NULL && (uintptr_t)p % align == 0);
            *p = 1;
            EXPECT(hk_arena_give(p));
            EXPECT(hk_arena_check());
        }
    }
    char *longest = hk_arena_take(HK_RUN_PAGES_MAX, HK_SUPERSLAB_SIZE, &zero);
    EXPECT(longest != NULL);
    memset(longest, 1, HK_RUN_PAGES_MAX * HK_PAGE);
    EXPECT(hk_arena_give(longest));
}

static void every_length_and_alignment(void **state)
{
    (void)state;
    unit_passes(one_of_each, NULL);
}

static void know_zeros(void *arg)
{
    (void)arg;
    bool zero = false;
    char *a = hk_arena_take(10, HK_PAGE, &zero);
    EXPECT(a != NULL && zero);
    EXPECT(hk_arena_dirty() == 0);
    EXPECT(hk_arena_give(a)); /* whether it was written is not known */
    EXPECT(hk_arena_dirty() == 10 * HK_PAGE);
    EXPECT(hk_arena_take(10, HK_PAGE, &zero) == a && !zero);
    EXPECT(hk_arena_dirty() == 0);
    EXPECT(hk_arena_give(a));
    EXPECT(hk_arena_take(20, HK_PAGE, &zero) == a && !zero); /* half of it dirty */
    EXPECT(hk_arena_give(a));
    EXPECT(hk_arena_take(5, HK_PAGE, &zero) == a && !zero);
    EXPECT(hk_arena_dirty() == 15 * HK_PAGE);
    char *b = hk_arena_take(30, HK_PAGE, &zero);
    EXPECT(b != NULL && !zero);
    char *c = hk_arena_take(30, HK_PAGE, &zero);
    EXPECT(c != NULL && zero);
}

static void what_is_known_to_be_zero_is_told(void **state)
{
    (void)state;
    unit_passes(know_zeros, NULL);
}

static void reuse_holes(void *arg)
{
    (void)arg;
    bool zero;
    char *run[64];
    for (unsigned i = 0; i < 64; i++)
        run[i] = hk_arena_take(1 + i % 5, HK_PAGE, &zero);
    uint64_t calls = fake_os_count(FAKE_ANY);
    for (unsigned i = 0; i < 64; i += 2)
        EXPECT(hk_arena_give(run[i]));
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 64; i += 2) {
            char *p = hk_arena_take(1 + i % 5, HK_PAGE, &zero);
            EXPECT(p < run[63]); /* a dirty hole that fits, not virgin memory */
            run[i] = p;
        }
        for (unsigned i = 0; i < 64; i += 2)
            EXPECT(hk_arena_give(run[i]));
    }
    EXPECT(fake_os_count(FAKE_ANY) == calls);
}

static void holes_are_used_before_virgin_memory(void **state)
{
    (void)state;
    unit_passes(reuse_holes, NULL);
}

static void ask(void *arg)
{
    (void)arg;
    bool zero;
    uint32_t clean;
    static int elsewhere;
    EXPECT(hk_arena_find(&elsewhere).kind == HK_RUN_NONE); /* no arena yet */
    char *run = hk_arena_take(3, HK_PAGE, &zero), *after = hk_arena_take(1, HK_PAGE, &zero);
    char *freed = hk_arena_take(4, HK_PAGE, &zero), *last = hk_arena_take(1, HK_PAGE, &zero);
    char *ss = hk_arena_take_superslab(0, &clean);
    EXPECT(clean == UINT32_MAX);
    EXPECT(hk_arena_give(freed));
    EXPECT(hk_arena_find(run).kind == HK_RUN_LIVE);
    EXPECT(hk_arena_find(after).kind == HK_RUN_LIVE && hk_arena_find(after).pages == 1);
    EXPECT(hk_arena_find(last).kind == HK_RUN_LIVE);
    const size_t inside[] = {1, 16, 4095, 4096, 8192, 12287};
    for (size_t i = 0; i < HK_COUNT(inside); i++) {
        struct hk_run r = hk_arena_find(run + inside[i]);
        EXPECT(r.kind == HK_RUN_INTERIOR && r.start == run && r.pages == 3);
    }
    for (size_t offset = 0; offset < 4 * HK_PAGE; offset += 1000)
        EXPECT(hk_arena_find(freed + offset).kind == HK_RUN_FREED);
    for (size_t offset = 0; offset < HK_SUPERSLAB_SIZE; offset += 4097 * 5)
        EXPECT(hk_arena_find(ss + offset).kind == HK_RUN_SUPERSLAB && hk_arena_find(ss + offset).start == ss);
    EXPECT(hk_arena_find(ss + HK_SUPERSLAB_SIZE).kind == HK_RUN_NONE); /* it is the last unit */
    const void *foreign[] = {NULL, &elsewhere, (void *)UINTPTR_MAX, (void *)1, run - hk_arena_mapped()};
    for (size_t i = 0; i < HK_COUNT(foreign); i++) {
        EXPECT(hk_arena_find(foreign[i]).kind == HK_RUN_NONE);
        EXPECT(!hk_arena_give((void *)(uintptr_t)foreign[i]));
        EXPECT(!hk_arena_resize((void *)(uintptr_t)foreign[i], 2, 2));
    }
    void *wrong[] = {run + 1, run + 16, run + HK_PAGE, freed, freed + HK_PAGE, ss, ss + HK_SLAB_SIZE};
    for (size_t i = 0; i < HK_COUNT(wrong); i++)
        EXPECT(!hk_arena_give(wrong[i]));
    EXPECT(hk_arena_check());
}

static void answers_about_addresses(void **state)
{
    (void)state;
    unit_passes(ask, NULL);
}

/* The records of the first and the last page of a unit lie apart from the others. */
static void ask_at_edges(void *arg)
{
    (void)arg;
    const size_t unit = HK_SUPERSLAB_SIZE / HK_PAGE;
    bool zero;
    char *low = hk_arena_take(unit, HK_SUPERSLAB_SIZE, &zero), *high = hk_arena_take(unit, HK_SUPERSLAB_SIZE, &zero);
    EXPECT(low != NULL && high == low + HK_SUPERSLAB_SIZE);
    for (size_t length = 1; length < unit; length += 51) { /* a hole that ends with the unit */
        EXPECT(hk_arena_resize(low, unit - length, unit - length));
        for (size_t page = 1; page <= length; page++) {
            struct hk_run run = hk_arena_find(high - page * HK_PAGE);
            EXPECT(run.kind == HK_RUN_FREED && run.start == high - length * HK_PAGE && run.pages == length);
        }
        EXPECT(hk_arena_resize(low, unit, unit) && hk_arena_check());
    }
    EXPECT(hk_arena_give(low)); /* one that is the unit */
    for (size_t page = 0; page < unit; page++) {
        struct hk_run run = hk_arena_find(low + page * HK_PAGE);
        EXPECT(run.kind == HK_RUN_FREED && run.start == low && run.pages == unit);
    }
    EXPECT(hk_arena_find(high + HK_SUPERSLAB_SIZE - 1).start == high);
}

static void answers_at_the_edges_of_superslabs(void **state)
{
    (void)state;
    unit_passes(ask_at_edges, NULL);
}

static void resize(void *arg)
{
    (void)arg;
    bool zero;
    char *a = hk_arena_take(10, HK_PAGE, &zero), *b = hk_arena_take(10, HK_PAGE, &zero);
    EXPECT(b == a + 10 * HK_PAGE);
    EXPECT(!hk_arena_resize(a, 11, 11));
    EXPECT(hk_arena_resize(a, 10, 10));
    EXPECT(hk_arena_resize(a, 4, 4) && hk_arena_find(a).pages == 4);
    EXPECT(hk_arena_find(a + 4 * HK_PAGE).kind == HK_RUN_FREED);
    EXPECT(hk_arena_resize(a, 10, 10) && hk_arena_find(a).pages == 10);
    EXPECT(hk_arena_resize(b, 4000, 4000)); /* where new units are needed, too */
    memset(b, 1, 4000 * HK_PAGE);
    EXPECT(hk_arena_resize(b, 1, 1));
    EXPECT(hk_arena_dirty() == 3999 * HK_PAGE);
    EXPECT(hk_arena_resize(a, 1, 1) && !hk_arena_resize(a, 11, 11));
    EXPECT(hk_arena_live() == 2 * HK_PAGE);
    fake_os_fail_from(FAKE_MAP_AT, 1);
    EXPECT(!hk_arena_resize(b, 20000, 20000));
    EXPECT(hk_arena_find(b).pages == 1 && hk_arena_check());
    fake_os_recover();
    EXPECT(hk_arena_resize(b, 20000, 20000) && hk_arena_find(b).pages == 20000);
    /* Others are behind the last unit: new ones are had, and not there. */
    char *behind = hk_space_address(hk_space_units);
    EXPECT(mmap(behind, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == behind);
    EXPECT(!hk_arena_resize(b, 40000, 40000) && hk_arena_find(b).pages == 20000 && hk_arena_check());
}

static void runs_grow_and_shrink_where_they_lie(void **state)
{
    (void)state;
    unit_needs(lacks_exact_places());
    unit_passes(resize, NULL);
}

static void grow_far(void *arg)
{
    (void)arg;
    EXPECT(hk_arena_start());
    size_t least = hk_arena_mapped();
    EXPECT(least >= HK_UNIT_SIZE && least <= HK_UNIT_SIZE + 16 * 4096); /* a unit, and a page of each table */
    EXPECT(hk_arena_start() && hk_arena_mapped() == least);
    for (unsigned i = 0; i < 100; i++) {
        EXPECT(model_take(&model, 2048, HK_PAGE)); /* 800 MiB in the end */
        EXPECT(hk_arena_mapped() <= hk_arena_live() + hk_arena_live() / 8 + 4 * HK_MIB);
    }
    EXPECT(hk_arena_mapped() <= hk_arena_live() + 64 * HK_MIB);
    EXPECT(fake_os_count(FAKE_ANY) <= 130);
    model_check(&model);
    model_give_all(&model);
    EXPECT(hk_arena_check());
}

static void what_is_mapped_grows_with_what_lives(void **state)
{
    (void)state;
    unit_passes(grow_far, NULL);
}

static void obey_memory_limit(void *arg)
{
    (void)arg;
    bool zero;
    uint32_t clean;
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, 4 * HK_MIB));
    EXPECT(hk_arena_take_superslab(0, &clean) != NULL);
    char *a = hk_arena_take(256, HK_PAGE, &zero), *b = hk_arena_take(256, HK_PAGE, &zero);
    EXPECT(a != NULL && b != NULL);
    EXPECT(hk_arena_take(1, HK_PAGE, &zero) == NULL);
    EXPECT(hk_arena_take_superslab(0, &clean) == NULL && clean == 0);
    EXPECT(!hk_arena_charge(1));
    EXPECT(hk_arena_resize(b, 156, 156));
    EXPECT(!hk_arena_resize(b, 257, 257));
    EXPECT(hk_arena_charge(50 * HK_PAGE));
    EXPECT(hk_arena_take(51, HK_PAGE, &zero) == NULL);
    EXPECT(!hk_arena_resize(b, 207, 207) && hk_arena_resize(b, 206, 206));
    hk_arena_uncharge(50 * HK_PAGE);
    char *c = hk_arena_take(50, HK_PAGE, &zero);
    EXPECT(c != NULL && hk_arena_take(1, HK_PAGE, &zero) == NULL);
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, 0));
    EXPECT(hk_arena_take(1000, HK_PAGE, &zero) != NULL);
    EXPECT(hk_arena_check());
}

static void the_memory_limit_counts_live_and_charged_bytes(void **state)
{
    (void)state;
    unit_passes(obey_memory_limit, NULL);
}

/* ---- refusals ---- */

struct refusal {
    enum fake_call kind;
    unsigned n;
    bool lasting;
};

/* More than the first units have, so that there is something of every kind to refuse. */
static void work_refused(void *arg)
{
    const struct refusal *r = arg;
    char *run[7];
    bool zero;
    (r->lasting ? fake_os_fail_from : fake_os_fail_nth)(r->kind, r->n);
    for (unsigned i = 0; i < 7; i++)
        run[i] = hk_arena_take(900 * i + 1, HK_PAGE, &zero);
    model_take_superslab(&model);
    for (unsigned i = 0; i < 7; i++)
        EXPECT(run[i] == NULL || hk_arena_give(run[i]));
    bool happened = fake_os_failures() != 0;
    EXPECT(hk_arena_check());
    purge_runs(0, 0, 0);
    work(50, 100, true);
    fake_os_recover();
    purge_runs(0, 0, 0);
    work(50, 100, false);
    EXPECT(fake_os_misaligned() == 0);
    _exit(happened ? 0 : 3);
}

static void every_call_may_be_refused(void **state)
{
    (void)state;
    const enum fake_call kinds[] = {FAKE_ANY, FAKE_MAP_AT};
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

struct sums {
    size_t live, free, superslab, records;
};

static void add_run(void *ctx, void *start, size_t size, enum hk_run_kind kind)
{
    struct sums *s = ctx;
    EXPECT(start != NULL && size % HK_PAGE == 0 && size != 0);
    *(kind == HK_RUN_LIVE        ? &s->live
      : kind == HK_RUN_FREED     ? &s->free
      : kind == HK_RUN_SUPERSLAB ? &s->superslab
                                 : &s->records) += size;
}

static void visit_runs(void *arg)
{
    (void)arg;
    struct sums s = {0};
    work(500, 600, false);
    hk_arena_visit(add_run, &s);
    EXPECT(s.live + s.superslab == hk_arena_live());
    EXPECT(s.superslab % HK_SUPERSLAB_SIZE == 0);
    EXPECT(s.records > 0 && s.live + s.superslab + s.free + s.records <= hk_arena_mapped());
    EXPECT((s.live + s.superslab + s.free) % HK_SUPERSLAB_SIZE == 0);
}

static void a_visit_sees_every_run(void **state)
{
    (void)state;
    unit_passes(visit_runs, NULL);
}

#define THREADS 3

static void *churn(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    char *run[30] = {0};
    size_t pages[30] = {0};
    for (unsigned i = 0; i < 4000; i++) {
        unsigned at = (unsigned)unit_random(&seed, 30);
        bool zero;
        if (run[at] != NULL) {
            EXPECT(run[at][0] == (char)(uintptr_t)arg);
            EXPECT(hk_arena_find(run[at]).pages == pages[at]);
            EXPECT(hk_arena_give(run[at]));
            run[at] = NULL;
        } else {
            pages[at] = 1 + unit_random(&seed, 60);
            run[at] = hk_arena_take(pages[at], HK_PAGE, &zero);
            EXPECT(run[at] != NULL);
            EXPECT(!zero || (run[at][0] == 0 && run[at][pages[at] * HK_PAGE - 1] == 0));
            run[at][0] = run[at][pages[at] * HK_PAGE - 1] = (char)(uintptr_t)arg;
        }
        if (i % 200 == 0)
            purge_runs(0, 0, i * HK_KIB);
    }
    for (unsigned at = 0; at < 30; at++)
        EXPECT(run[at] == NULL || hk_arena_give(run[at]));
    return NULL;
}

static void churn_in_threads(void *arg)
{
    (void)arg;
    unit_in_threads(THREADS, churn);
    EXPECT(hk_arena_live() == 0 && hk_arena_check());
    EXPECT(hk_arena_lock()->word == 0);
}

static void any_thread_may_take_give_and_purge(void **state)
{
    (void)state;
    unit_passes(churn_in_threads, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_follow_the_model),
        cmocka_unit_test(larger_kernel_pages_change_nothing),
        cmocka_unit_test(units_are_added_for_every_length),
        cmocka_unit_test(every_length_and_alignment),
        cmocka_unit_test(what_is_known_to_be_zero_is_told),
        cmocka_unit_test(holes_are_used_before_virgin_memory),
        cmocka_unit_test(answers_about_addresses),
        cmocka_unit_test(answers_at_the_edges_of_superslabs),
        cmocka_unit_test(runs_grow_and_shrink_where_they_lie),
        cmocka_unit_test(what_is_mapped_grows_with_what_lives),
        cmocka_unit_test(the_memory_limit_counts_live_and_charged_bytes),
        cmocka_unit_test(every_call_may_be_refused),
        cmocka_unit_test(a_visit_sees_every_run),
        cmocka_unit_test(any_thread_may_take_give_and_purge),
    };
    return cmocka_run_group_tests_name("ss_arena", tests, NULL, NULL);
}
