/* SPDX-License-Identifier: MIT
 *
 * Acquiring and releasing; purging: test_pool_purge.c. Each case has a pool of its own in a child.
 */
#include "pool_fixture.h"

#include "base/options.h"
#include "fake_os.h"
#include "os/os.h"
#include "pages/meta.h"
#include "pages/ss_arena.h"

#define MOST 400u

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
    if (!HK_EMPTY_REUSE)
        skip();
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
    if (!HK_EMPTY_REUSE)
        skip();
    unit_passes(lowest_first, NULL);
}

/* Of the SuperSlabs with EMPTY slabs the fourth is the fullest, of the first three the second. */
static void compare_superslabs(void *arg)
{
    enum { ALL = 70 }; /* more than a word has bits */
    static struct hk_slab *slab[ALL * HK_SLABS];
    unsigned limit = *(unsigned *)arg;
    EXPECT(hk_option_store(HK_OPT_SS_EMPTY_SCAN_LIMIT, limit));
    for (unsigned i = 0; i < HK_COUNT(slab); i++)
        slab[i] = acquire(SINGLE);
    const unsigned room[] = {9, 7, 8, 3, 8}, at[] = {0, 1, 2, 66, 69};
    for (unsigned i = 0; i < HK_COUNT(at); i++) {
        for (unsigned j = 0; j < room[i]; j++)
            release(slab[at[i] * HK_SLABS + j]);
    }
    unsigned chosen = at[limit == 1 ? 0 : limit < 4 ? 1 : 3];
    EXPECT(acquire(SINGLE) == slab[chosen * HK_SLABS]);
    EXPECT(acquire(SINGLE) == slab[chosen * HK_SLABS + 1]); /* fuller still */
    unsigned pair = class_of_span(2);
    char *base = hk_slab_base(acquire(pair));
    EXPECT(base >= slab[0]->base && hk_pool_stage_count(HK_STAGE_EMPTY, pair) == 1);
    for (unsigned left = 9 + 7 + 8 + 3 + 8 - 2 - 2; left > 0; left--)
        acquire(SINGLE);
    EXPECT(look().empty == 0 && look().unused == 0 && look().superslabs == ALL);
}

static void so_many_superslabs_are_compared(void **state)
{
    (void)state;
    if (!HK_EMPTY_REUSE)
        skip();
    for (unsigned limit = 1; limit <= 6; limit++)
        unit_passes(compare_superslabs, &limit);
    assert_false(hk_option_store(HK_OPT_SS_EMPTY_SCAN_LIMIT, 0));
}

/* In a heap of some size. Blocks of a Mid class then start where they did, and touch no page that was not touched
 * before. */
static void same_class_again(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 110; i++)
        acquire(SINGLE);
    for (unsigned n = 1; n <= HK_SPAN_MAX; n++) {
        unsigned cls = n == 1 ? HK_TINY_LAST + 8 : class_of_span(n);
        struct hk_slab *low = acquire(SINGLE), *a = acquire(cls), *b = acquire(cls), *c = acquire(cls);
        struct hk_slab *other = acquire(cls + 1);
        release(other);
        release(a);
        release(c);
        release(b);
        release(low);
        EXPECT(acquire(cls) == b && acquire(cls) == c && acquire(cls) == a); /* the latest first */
        EXPECT(hk_pool_stage_count(HK_STAGE_EMPTY, cls) == 3);
        release(b);
        EXPECT(purge_slabs(hk_os_now_ms(), 0, 0, HK_POOL_ALL) >= n * HK_SLAB_SIZE);
        struct hk_slab *fresh = acquire(cls); /* what was purged is not remembered */
        EXPECT(fresh->zero && hk_pool_stage_count(HK_STAGE_EMPTY, cls) == 3);
        EXPECT(hk_pool_check());
    }
}

static void a_mid_class_gets_its_own_slabs_again(void **state)
{
    (void)state;
    if (!HK_EMPTY_REUSE)
        skip();
    unit_passes(same_class_again, NULL);
}

/* What is EMPTY comes back as UNUSED, after its purge, and not before. */
static void without_reuse(void *arg)
{
    (void)arg;
    struct hk_slab *slab[HK_SLABS];
    EXPECT(hk_option_store(HK_OPT_SS_EMPTY_REUSE, 0));
    for (unsigned i = 0; i < HK_SLABS; i++)
        slab[i] = acquire(SINGLE);
    expect_stages(SINGLE, 0, 31, 1);
    release(slab[7]);
    release(slab[8]);
    struct hk_slab *next = acquire(SINGLE);
    EXPECT(hk_slab_superslab(next) != hk_slab_superslab(slab[0]) && next->zero);
    expect_stages(SINGLE, 0, 31, 2);
    EXPECT(purge_slabs(hk_os_now_ms(), 0, 0, HK_POOL_ALL) == 2 * HK_SLAB_SIZE);
    struct hk_slab *pair = acquire(class_of_span(2));
    EXPECT(pair == (class_of_span(2) <= HK_TINY_LAST ? slab[7] : pair) && pair->zero);
    expect_stages(class_of_span(2), 0, 1, 0);
    release(pair);
    for (unsigned i = 0; i < 31; i++)
        EXPECT(acquire(SINGLE) != pair);
    EXPECT(look().empty == 2);
}

/* While EMPTY slabs are in the pool: the sets know of them. */
static void switch_reuse(void *arg)
{
    (void)arg;
    struct hk_slab *slab[HK_SLABS];
    for (unsigned i = 0; i < HK_SLABS; i++)
        slab[i] = acquire(SINGLE);
    release(slab[3]);
    EXPECT(hk_option_store(HK_OPT_SS_EMPTY_REUSE, 0));
    EXPECT(acquire(SINGLE) != slab[3]);
    EXPECT(hk_option_store(HK_OPT_SS_EMPTY_REUSE, 1));
    EXPECT((acquire(SINGLE) == slab[3]) == HK_EMPTY_REUSE);
    EXPECT(hk_pool_check());
}

static void reuse_can_be_switched_off(void **state)
{
    (void)state;
    unit_passes(without_reuse, NULL);
    unit_passes(switch_reuse, NULL);
}

/* Neighbours that are EMPTY make a span, whatever they were before. */
static void spans(void *arg)
{
    (void)arg;
    struct hk_slab *slab[HK_SLABS];
    for (unsigned i = 0; i < HK_SLABS; i++)
        slab[i] = acquire(SINGLE);
    char *base = hk_slab_superslab(slab[0])->base;
    for (unsigned n = HK_SPAN_MAX; n > 0; n--) {
        for (unsigned i = 0; i + 1 < n; i++)
            release(slab[2 * i]); /* single ones do not make a span of n */
        for (unsigned i = 0; i < n; i++)
            release(slab[20 + i]);
        uint64_t reused = hk_pool_stage_count(HK_STAGE_EMPTY, 0);
        struct hk_slab *span = acquire(class_of_span(n));
        EXPECT(hk_slab_base(span) == base + 20 * HK_SLAB_SIZE);
        EXPECT(hk_pool_stage_count(HK_STAGE_EMPTY, 0) == reused + 1);
        for (unsigned i = 0; i + 1 < n; i++)
            EXPECT(acquire(SINGLE) == slab[2 * i]);
        release(span);
        for (unsigned i = 0; i < n; i++)
            EXPECT(acquire(SINGLE) == slab[20 + i]);
        EXPECT(look().superslabs == 1);
    }
    acquire(class_of_span(HK_SPAN_MAX));
    EXPECT(look().superslabs == 2);
}

static void a_span_is_made_of_neighbours(void **state)
{
    (void)state;
    if (!HK_EMPTY_REUSE)
        skip();
    unit_passes(spans, NULL);
}

/* UNUSED and EMPTY beside each other: taken rather than a new SuperSlab, and nothing is known about its contents. */
static void mixed_span(void *arg)
{
    (void)arg;
    struct hk_slab *slab[HK_SLABS];
    for (unsigned i = 0; i < HK_SLABS; i++)
        slab[i] = acquire(SINGLE);
    release(slab[30]);
    EXPECT(purge_slabs(hk_os_now_ms(), 0, 0, HK_POOL_ALL) == HK_SLAB_SIZE);
    release(slab[31]);
    struct hk_slab *pair = acquire(class_of_span(2));
    EXPECT(pair == slab[30] && !pair->zero);
    expect_stages(class_of_span(2), 0, 1, 0);
    EXPECT(look().superslabs == 1 && hk_pool_empty_bytes() == 0);
}

static void a_span_may_mix_empty_and_unused(void **state)
{
    (void)state;
    if (!HK_EMPTY_REUSE)
        skip();
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
            unsigned n = 1 + (unsigned)unit_random(&seed, HK_SPAN_MAX), cls = class_of_span(n);
            struct overview before = look();
            uint64_t reused = hk_pool_stage_count(HK_STAGE_EMPTY, 0);
            struct hk_slab *slab = acquire(cls);
            EXPECT(hk_pool_stage_count(HK_STAGE_EMPTY, 0) - reused == (HK_EMPTY_REUSE && before.lowest[n] != NULL));
            EXPECT(!HK_EMPTY_REUSE || n > 1 || before.lowest[n] == NULL || hk_slab_base(slab) == before.lowest[n]);
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
            purge_slabs(hk_os_now_ms(), 300, 4 * HK_SLAB_SIZE, HK_POOL_ALL);
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
        EXPECT(look().superslabs == 5 || (!HK_EMPTY_REUSE && round > 0)); /* then what is EMPTY is of no use */
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

/* The one that stays may be half untouched, while those that went back are resident: they are used first. */
static void touched_before_untouched(void *arg)
{
    (void)arg;
    struct hk_slab *first[HK_SLABS], *second[10];
    for (unsigned i = 0; i < HK_SLABS; i++)
        first[i] = acquire(SINGLE);
    for (unsigned i = 0; i < HK_COUNT(second); i++)
        second[i] = acquire(SINGLE);
    for (unsigned i = 0; i < HK_COUNT(second); i++)
        release(second[i]);
    for (unsigned i = 0; i < HK_SLABS; i++)
        release(first[i]);
    EXPECT(look().superslabs == 1 && look().unused == HK_SLABS - HK_COUNT(second));
    uint64_t unused = hk_pool_stage_count(HK_STAGE_UNUSED, SINGLE);
    for (unsigned i = 0; i < HK_SLABS + HK_COUNT(second); i++)
        EXPECT(!acquire(SINGLE)->zero);
    EXPECT(hk_pool_stage_count(HK_STAGE_UNUSED, SINGLE) == unused);
    EXPECT(acquire(SINGLE)->zero); /* nothing resident is left */
    EXPECT(hk_pool_stage_count(HK_STAGE_UNUSED, SINGLE) == unused + 1 && look().superslabs == 2);
}

static void a_resident_superslab_comes_before_untouched_slabs(void **state)
{
    (void)state;
    if (!HK_SS_ARENA || !HK_EMPTY_REUSE)
        skip(); /* it is unmapped, or of no use before its purge */
    unit_passes(touched_before_untouched, NULL);
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
    EXPECT(HK_EMPTY_REUSE ? again == slab[0] && !again->zero : again != slab[0] && again->zero);
    EXPECT(look().empty == 2 + !HK_EMPTY_REUSE && look().unused == 28 + HK_EMPTY_REUSE);
    expect_stages(SINGLE, 0, 2, 2);
}

static void a_superslab_remembers_what_is_zero(void **state)
{
    (void)state;
    if (!HK_SS_ARENA)
        skip(); /* it is unmapped */
    unit_passes(superslab_comes_back, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_stage_has_its_counter),
        cmocka_unit_test(empty_slabs_come_first_and_the_lowest_of_them),
        cmocka_unit_test(so_many_superslabs_are_compared),
        cmocka_unit_test(a_mid_class_gets_its_own_slabs_again),
        cmocka_unit_test(reuse_can_be_switched_off),
        cmocka_unit_test(a_span_is_made_of_neighbours),
        cmocka_unit_test(a_span_may_mix_empty_and_unused),
        cmocka_unit_test(spans_follow_the_model),
        cmocka_unit_test(idle_superslabs_go_back),
        cmocka_unit_test(a_resident_superslab_comes_before_untouched_slabs),
        cmocka_unit_test(a_superslab_remembers_what_is_zero),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
