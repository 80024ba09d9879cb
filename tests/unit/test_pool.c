/* SPDX-License-Identifier: MIT
 *
 * Each case has a pool of its own in a child.
 */
#include "unit.h"

#include "base/options.h"
#include "box/pool.h"
#include "fake_os.h"
#include "os/os.h"
#include "superslab/meta.h"
#include "superslab/ss_arena.h"

#include <pthread.h>
#include <unistd.h>

#define OWNER ((struct hk_owner *)64)
#define SINGLE 10u /* a class of one slab */
#define MOST 400u

/* Classes whose spans have 1, 2, 3 and 4 slabs. */
static const unsigned class_of_span[] = {0, SINGLE, 53, 61, 67};

static struct hk_slab *acquire(unsigned cls)
{
    struct hk_slab *slab = hk_pool_acquire(cls, OWNER);
    EXPECT(slab != NULL);
    EXPECT(slab->cls == cls && slab->slabs == hk_class_slabs(cls) && slab->used == 0 && slab->head == 0);
    EXPECT(hk_slab_owner(slab) == OWNER);
    for (unsigned i = 0; i < slab->slabs; i++) {
        char *inside = hk_slab_base(slab) + i * HK_SLAB_SIZE + 99;
        EXPECT(hk_registry_code(inside) == hk_code_of_class(cls));
        EXPECT(hk_slab_of(inside) == slab);
    }
    EXPECT(!slab->zero || unit_is_zero(hk_slab_base(slab), slab->slabs * HK_SLAB_SIZE));
    memset(hk_slab_base(slab), 0xcc, slab->slabs * HK_SLAB_SIZE);
    slab->state = HK_SLAB_ACTIVE; /* as its heap does */
    return slab;
}

static void release(struct hk_slab *slab)
{
    char *base = hk_slab_base(slab);
    hk_slab_reset(slab);
    hk_pool_release(slab);
    EXPECT(hk_registry_code(base) == 0);
}

struct overview {
    unsigned superslabs, empty, unused, owned;
    char *lowest[HK_SPAN_MAX + 1]; /* [n]: the lowest run of n EMPTY slabs */
};

static void add_superslab(void *ctx, struct hk_superslab *ss)
{
    struct overview *o = ctx;
    o->superslabs++;
    o->empty += (unsigned)__builtin_popcount(ss->empty_mask);
    o->unused += (unsigned)__builtin_popcount(ss->unused_mask);
    o->owned += HK_SLABS - (unsigned)__builtin_popcount(ss->empty_mask | ss->unused_mask);
    for (unsigned n = 1; n <= HK_SPAN_MAX; n++) {
        unsigned at = hk_find_run32(ss->empty_mask, n);
        char *base = ss->base + at * HK_SLAB_SIZE;
        if (at < HK_SLABS && (o->lowest[n] == NULL || base < o->lowest[n]))
            o->lowest[n] = base;
    }
}

static struct overview look(void)
{
    struct overview o = {0};
    EXPECT(hk_pool_check());
    hk_pool_visit(add_superslab, &o);
    EXPECT(hk_pool_empty_bytes() == o.empty * HK_SLAB_SIZE);
    EXPECT(hk_arena_live() == o.superslabs * HK_SUPERSLAB_SIZE);
    return o;
}

static void expect_stages(unsigned cls, uint64_t empty, uint64_t unused, uint64_t new)
{
    EXPECT(hk_pool_stage_count(HK_STAGE_EMPTY, cls) == empty);
    EXPECT(hk_pool_stage_count(HK_STAGE_UNUSED, cls) == unused);
    EXPECT(hk_pool_stage_count(HK_STAGE_NEW, cls) == new);
}

static void stage_by_stage(void *arg)
{
    (void)arg;
    struct hk_slab *slab[40];
    for (unsigned i = 0; i < 33; i++) {
        slab[i] = acquire(SINGLE);
        EXPECT(slab[i]->zero);
        expect_stages(SINGLE, 0, i < 32 ? i : 31, i < 32 ? 1 : 2);
    }
    release(slab[5]);
    struct hk_slab *again = acquire(SINGLE + 1); /* any class */
    EXPECT(again == slab[5] && !again->zero);
    expect_stages(SINGLE + 1, 1, 0, 0);
    expect_stages(SINGLE, 0, 31, 2);
    expect_stages(0, 1, 31, 2);
    hk_pool_count_partial(SINGLE);
    hk_pool_count_partial(3);
    EXPECT(hk_pool_stage_count(HK_STAGE_PARTIAL, SINGLE) == 1);
    EXPECT(hk_pool_stage_count(HK_STAGE_PARTIAL, 0) == 2);
}

static void each_stage_has_its_counter(void **state)
{
    (void)state;
    unit_passes(stage_by_stage, NULL);
}

static void lowest_first(void *arg)
{
    (void)arg;
    struct hk_slab *slab[80];
    for (unsigned i = 0; i < 80; i++)
        slab[i] = acquire(SINGLE);
    const unsigned order[] = {77, 12, 40, 3, 35, 13, 50};
    for (unsigned i = 0; i < HK_COUNT(order); i++)
        release(slab[order[i]]);
    for (unsigned i = 0; i < HK_COUNT(order); i++) {
        char *lowest = look().lowest[1];
        EXPECT(lowest != NULL && hk_slab_base(acquire(2)) == lowest);
    }
    EXPECT(look().empty == 0);
    expect_stages(2, HK_COUNT(order), 0, 0);
    acquire(2);
    expect_stages(2, HK_COUNT(order), 1, 0); /* 80 slabs are two and a half SuperSlabs */
}

static void empty_slabs_come_first_and_the_lowest_of_them(void **state)
{
    (void)state;
    unit_passes(lowest_first, NULL);
}

/* Blocks of a Mid class then start where they did, and touch no page that was not touched before. */
static void same_class_again(void *arg)
{
    (void)arg;
    for (unsigned n = 1; n <= HK_SPAN_MAX; n++) {
        unsigned cls = n == 1 ? 40 : class_of_span[n];
        struct hk_slab *low = acquire(SINGLE), *a = acquire(cls), *b = acquire(cls), *c = acquire(cls);
        struct hk_slab *other = acquire(n == 1 ? 41 : class_of_span[n] + 1);
        release(other);
        release(a);
        release(c);
        release(b);
        release(low);
        EXPECT(acquire(cls) == b && acquire(cls) == c && acquire(cls) == a); /* the latest first */
        EXPECT(acquire(SINGLE) == low);
        EXPECT(hk_pool_purge(hk_os_now_ms(), 0, 0) > 0);
        struct hk_slab *fresh = acquire(cls);
        EXPECT(fresh->zero || hk_pool_stage_count(HK_STAGE_EMPTY, cls) > 3);
        EXPECT(hk_pool_check());
    }
}

static void a_mid_class_gets_its_own_slabs_again(void **state)
{
    (void)state;
    unit_passes(same_class_again, NULL);
}

static void without_reuse(void *arg)
{
    (void)arg;
    EXPECT(hk_option_store(HK_OPT_SS_EMPTY_REUSE, 0));
    struct hk_slab *first = acquire(SINGLE), *second = acquire(SINGLE);
    release(first);
    struct hk_slab *third = acquire(SINGLE);
    EXPECT(third != first && third->zero);
    expect_stages(SINGLE, 0, 2, 1);
    EXPECT(hk_pool_check() && second->state == HK_SLAB_ACTIVE);
}

static void reuse_can_be_switched_off(void **state)
{
    (void)state;
    unit_passes(without_reuse, NULL);
}

/* A run of EMPTY slabs long enough; else one of UNUSED; else both mixed, and then nothing is known about its contents. */
static void spans(void *arg)
{
    (void)arg;
    struct hk_slab *slab[32];
    for (unsigned i = 0; i < 32; i++)
        slab[i] = acquire(SINGLE);
    release(slab[2]);
    release(slab[4]);
    release(slab[5]);
    release(slab[8]);
    release(slab[9]);
    release(slab[10]);
    EXPECT(acquire(class_of_span[3]) == slab[8]);
    EXPECT(acquire(class_of_span[2]) == slab[4]);
    EXPECT(acquire(class_of_span[1]) == slab[2]);
    expect_stages(class_of_span[3], 1, 0, 0);
    expect_stages(class_of_span[2], 1, 0, 0);
    acquire(class_of_span[4]);
    expect_stages(class_of_span[4], 0, 0, 1);

    release(slab[20]);
    release(slab[22]);
    EXPECT(hk_pool_purge(hk_os_now_ms(), 0, 0) == 2 * HK_SLAB_SIZE);
    release(slab[21]);
    struct hk_slab *mixed = acquire(class_of_span[3]);
    if (mixed == slab[20]) {
        EXPECT(!mixed->zero);
    } else {
        EXPECT(mixed->zero);
        expect_stages(class_of_span[3], 1, 1, 0);
    }
    EXPECT(hk_pool_check());
}

static void spans_of_up_to_four_slabs(void **state)
{
    (void)state;
    unit_passes(spans, NULL);
}

static void mixed_span(void *arg)
{
    (void)arg;
    struct hk_slab *slab[32];
    for (unsigned i = 0; i < 32; i++)
        slab[i] = acquire(SINGLE);
    release(slab[30]);
    EXPECT(hk_pool_purge(hk_os_now_ms(), 0, 0) == HK_SLAB_SIZE);
    release(slab[31]);
    struct hk_slab *pair = acquire(class_of_span[2]); /* UNUSED and EMPTY beside each other */
    EXPECT(pair == slab[30] && !pair->zero);
    expect_stages(class_of_span[2], 0, 1, 0);
    EXPECT(look().superslabs == 1 && hk_pool_empty_bytes() == 0);
}

static void a_span_may_mix_empty_and_unused(void **state)
{
    (void)state;
    unit_passes(mixed_span, NULL);
}

static void random_spans(void *arg)
{
    (void)arg;
    static struct hk_slab *held[MOST];
    uint64_t seed = 31;
    unsigned count = 0, slabs = 0;
    for (unsigned step = 0; step < 3000; step++) {
        /* Waves: the pool fills and drains. */
        if (count < MOST && unit_random(&seed, 100) < (step / 500 % 2 ? 35 : 65)) {
            unsigned n = 1 + (unsigned)unit_random(&seed, 4), cls = class_of_span[n];
            struct overview before = look();
            uint64_t reused = hk_pool_stage_count(HK_STAGE_EMPTY, 0);
            struct hk_slab *slab = acquire(cls);
            EXPECT(hk_pool_stage_count(HK_STAGE_EMPTY, 0) - reused == (before.lowest[n] != NULL));
            EXPECT(n > 1 || before.lowest[n] == NULL || hk_slab_base(slab) == before.lowest[n]);
            for (unsigned i = 0; i < count; i++)
                EXPECT(held[i] + held[i]->slabs <= slab || slab + n <= held[i]);
            held[count++] = slab;
            slabs += n;
        } else if (count > 0) {
            unsigned at = (unsigned)unit_random(&seed, count);
            slabs -= held[at]->slabs;
            release(held[at]);
            held[at] = held[--count];
        }
        if (step % 10 == 0) {
            fake_os_travel(20);
            hk_pool_purge(hk_os_now_ms(), 300, 4 * HK_SLAB_SIZE);
        }
        EXPECT(look().owned == slabs);
    }
    while (count > 0)
        release(held[--count]);
    EXPECT(look().superslabs == 1);
    EXPECT(fake_os_misaligned() == 0);
}

static void spans_follow_the_model(void **state)
{
    (void)state;
    unit_passes(random_spans, NULL);
}

static void idle_superslabs(void *arg)
{
    (void)arg;
    struct hk_slab *slab[160];
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 160; i++)
            slab[i] = acquire(SINGLE);
        EXPECT(look().superslabs == 5);
        for (unsigned i = 0; i < 160; i++)
            release(slab[i]);
        EXPECT(look().superslabs == 1); /* one stays for who comes next */
        EXPECT(hk_registry_superslab(hk_slab_base(slab[0])) == NULL ||
               hk_registry_superslab(hk_slab_base(slab[159])) == NULL);
    }
    size_t meta = hk_meta_used();
    hk_pool_trim();
    EXPECT(look().superslabs == 0 && hk_pool_empty_bytes() == 0);
    EXPECT(hk_registry_superslab(hk_slab_base(slab[0])) == NULL);
    EXPECT(hk_arena_live() == 0 && hk_arena_check());
    acquire(SINGLE);
    EXPECT(hk_meta_used() == meta); /* records are used again */
    hk_pool_trim();
    EXPECT(look().superslabs == 1); /* not one with an owned slab */
}

static void idle_superslabs_go_back(void **state)
{
    (void)state;
    unit_passes(idle_superslabs, NULL);
}

/* What was EMPTY is dirty for the arena, and what was never used is not; both are known when it comes back. */
static void superslab_comes_back(void *arg)
{
    (void)arg;
    struct hk_slab *slab[3];
    for (unsigned i = 0; i < 3; i++)
        slab[i] = acquire(SINGLE);
    for (unsigned i = 0; i < 3; i++)
        release(slab[i]);
    hk_pool_trim();
    EXPECT(hk_arena_dirty() == 3 * HK_SLAB_SIZE);
    struct hk_slab *again = acquire(SINGLE);
    EXPECT(again == slab[0] && !again->zero);
    EXPECT(look().empty == 2 && look().unused == 29);
    expect_stages(SINGLE, 0, 2, 2);
}

static void a_superslab_remembers_what_is_zero(void **state)
{
    (void)state;
    unit_passes(superslab_comes_back, NULL);
}

static size_t purge(uint32_t delay_ms, size_t keep)
{
    size_t before = hk_pool_empty_bytes(), given = hk_pool_purge(hk_os_now_ms(), delay_ms, keep);
    EXPECT(look().empty * HK_SLAB_SIZE == before - given);
    return given;
}

static void purge_in_time(void *arg)
{
    (void)arg;
    struct hk_slab *slab[20];
    for (unsigned i = 0; i < 20; i++)
        slab[i] = acquire(SINGLE);
    for (unsigned i = 0; i < 5; i++)
        release(slab[i]);
    fake_os_travel(300);
    release(slab[7]);
    release(slab[8]);
    EXPECT(purge(500, 0) == 0);
    fake_os_travel(200);
    EXPECT(purge(500, 0) == 5 * HK_SLAB_SIZE);
    EXPECT(fake_os_purges() == 1); /* neighbours in one call */
    for (unsigned i = 0; i < 20; i++)
        EXPECT(fake_os_was_purged(hk_slab_base(slab[i])) == (i < 5));
    EXPECT(look().unused == 12 + 5);
    fake_os_travel(300);
    EXPECT(purge(500, 0) == 2 * HK_SLAB_SIZE);
    EXPECT(purge(0, 0) == 0);
    struct hk_slab *clean = acquire(SINGLE); /* UNUSED again: known to be zero, which acquire verifies */
    EXPECT(clean->zero);
    expect_stages(SINGLE, 0, 20, 1);
}

static void slabs_are_purged_when_they_were_empty_long_enough(void **state)
{
    (void)state;
    unit_passes(purge_in_time, NULL);
}

static void keep_some(void *arg)
{
    (void)arg;
    struct hk_slab *slab[96];
    for (unsigned i = 0; i < 96; i++)
        slab[i] = acquire(SINGLE);
    for (unsigned i = 0; i < 96; i += 3)
        release(slab[i]);
    EXPECT(purge(0, 32 * HK_SLAB_SIZE) == 0);
    EXPECT(purge(0, 20 * HK_SLAB_SIZE) >= 12 * HK_SLAB_SIZE);
    size_t left = hk_pool_empty_bytes();
    EXPECT(left > 0 && left <= 20 * HK_SLAB_SIZE);
    EXPECT(purge(0, left) == 0);
    EXPECT(purge(0, 0) == left);
}

static void what_is_kept_stays(void **state)
{
    (void)state;
    unit_passes(keep_some, NULL);
}

static void be_refused(void *arg)
{
    (void)arg;
    struct hk_slab *slab[12];
    for (unsigned i = 0; i < 12; i++)
        slab[i] = acquire(SINGLE);
    for (unsigned i = 0; i < 12; i += 2)
        release(slab[i]);
    fake_os_travel(500);
    fake_os_fail_nth(FAKE_PURGE, 3);
    EXPECT(purge(500, 0) == 5 * HK_SLAB_SIZE);
    EXPECT(!fake_os_was_purged(hk_slab_base(slab[4])));
    uint64_t asked = fake_os_count(FAKE_PURGE);
    EXPECT(purge(500, 0) == 0 && fake_os_count(FAKE_PURGE) == asked); /* not asked again and again */
    EXPECT(acquire(SINGLE) == slab[4] && !slab[4]->zero); /* EMPTY still, and not taken for zero */
    release(slab[4]);
    fake_os_travel(500);
    fake_os_fail_from(FAKE_PURGE, 1);
    EXPECT(purge(500, 0) == 0);
    fake_os_recover();
    fake_os_travel(500);
    EXPECT(purge(500, 0) == HK_SLAB_SIZE);
}

static void a_refused_purge_leaves_slabs_empty(void **state)
{
    (void)state;
    unit_passes(be_refused, NULL);
}

/* ---- no memory ---- */

struct refusal {
    unsigned n;
    bool lasting;
};

static void acquire_refused(void *arg)
{
    const struct refusal *r = arg;
    struct hk_slab *slab[100];
    (r->lasting ? fake_os_fail_from : fake_os_fail_nth)(FAKE_ANY, r->n);
    for (unsigned i = 0; i < 100; i++) {
        slab[i] = hk_pool_acquire(class_of_span[1 + i % 4], OWNER);
        if (slab[i] != NULL)
            slab[i]->state = HK_SLAB_ACTIVE;
        look();
    }
    bool happened = fake_os_failures() != 0;
    for (unsigned i = 0; i < 100; i += 2) {
        if (slab[i] != NULL)
            release(slab[i]);
    }
    look();
    fake_os_recover();
    for (unsigned i = 0; i < 100; i++)
        acquire(class_of_span[1 + i % 4]);
    look();
    _exit(happened ? 0 : 3);
}

static void every_call_may_be_refused(void **state)
{
    (void)state;
    for (unsigned lasting = 0; lasting < 2; lasting++) {
        unsigned n = 0;
        int status;
        do {
            struct refusal r = {++n, lasting};
            status = unit_status(acquire_refused, &r);
        } while (status == 0 && n < 100);
        assert_int_equal(status, 3);
        assert_true(n > 5);
    }
}

/* ---- threads ---- */

#define THREADS 4

static void *churn(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    struct hk_slab *held[20] = {0};
    for (unsigned i = 0; i < 1500; i++) {
        unsigned at = (unsigned)unit_random(&seed, 20);
        if (held[at] == NULL) {
            held[at] = hk_pool_acquire(class_of_span[1 + unit_random(&seed, 4)], (struct hk_owner *)arg);
            EXPECT(held[at] != NULL && hk_slab_owner(held[at]) == (struct hk_owner *)arg);
            held[at]->state = HK_SLAB_ACTIVE;
            EXPECT(!held[at]->zero || *(uintptr_t *)(void *)hk_slab_base(held[at]) == 0);
            *(uintptr_t *)(void *)hk_slab_base(held[at]) = (uintptr_t)arg;
        } else {
            EXPECT(*(uintptr_t *)(void *)hk_slab_base(held[at]) == (uintptr_t)arg);
            EXPECT(hk_slab_owner(held[at]) == (struct hk_owner *)arg);
            hk_slab_reset(held[at]);
            hk_pool_release(held[at]);
            held[at] = NULL;
        }
        if (i % 100 == 0)
            hk_pool_purge(hk_os_now_ms(), 0, HK_MIB);
        if (i % 300 == 0)
            hk_pool_trim();
    }
    for (unsigned at = 0; at < 20; at++) {
        if (held[at] != NULL)
            hk_pool_release(held[at]);
    }
    return NULL;
}

static void churn_in_threads(void *arg)
{
    (void)arg;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        EXPECT(pthread_create(&threads[i], NULL, churn, (void *)((i + 1) * 64)) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    EXPECT(look().owned == 0);
    hk_pool_trim();
    EXPECT(hk_arena_live() == 0 && hk_arena_check());
    EXPECT(hk_pool_lock()->word == 0);
}

static void any_thread_may_acquire_release_and_purge(void **state)
{
    (void)state;
    unit_passes(churn_in_threads, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_stage_has_its_counter),
        cmocka_unit_test(empty_slabs_come_first_and_the_lowest_of_them),
        cmocka_unit_test(a_mid_class_gets_its_own_slabs_again),
        cmocka_unit_test(reuse_can_be_switched_off),
        cmocka_unit_test(spans_of_up_to_four_slabs),
        cmocka_unit_test(a_span_may_mix_empty_and_unused),
        cmocka_unit_test(spans_follow_the_model),
        cmocka_unit_test(idle_superslabs_go_back),
        cmocka_unit_test(a_superslab_remembers_what_is_zero),
        cmocka_unit_test(slabs_are_purged_when_they_were_empty_long_enough),
        cmocka_unit_test(what_is_kept_stays),
        cmocka_unit_test(a_refused_purge_leaves_slabs_empty),
        cmocka_unit_test(every_call_may_be_refused),
        cmocka_unit_test(any_thread_may_acquire_release_and_purge),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
