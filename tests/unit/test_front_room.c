/* SPDX-License-Identifier: MIT
 *
 * Fronts that use room.c: how much room bins get, and the thread's budget. Each case runs in a child.
 */
#include "front_fixture.h"

#include "front/bin.h"

#include "base/options.h"
#include "pages/ss_arena.h"

#define MOST 60000u

static void *blocks[40000];

/* ---- room ---- */

/* Each miss gets the room that the front asks for, and a refill is as large as it says. */
static void grow(void *arg)
{
    (void)arg;
    front_be_threaded();
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        size_t size = hk_class_size(cls);
        EXPECT(hk_option_store(HK_OPT_FRONT_BYTES, 16777216)); /* room for all */
        front_take(size);
        struct hk_thread *thread = front_self();
        const struct hk_cap *cap = &thread->own.room.cap[cls];
        const struct hk_front_metrics *moved = &thread->metrics[cls];
        EXPECT(moved->refills == 1 && cap->now > 0);
        for (unsigned i = 0; i < 800; i++) {
            struct hk_cap before = *cap;
            unsigned count = hk_bin_count(thread, cls);
            uint64_t refills = moved->refills, refilled = moved->refilled;
            front_take(size);
            EXPECT((moved->refills != refills) == (count == 0));
            EXPECT(cap->now == (count == 0 ? hk_max(before.now, hk_bin_wanted(&before, cls)) : before.now));
            if (count == 0) {
                EXPECT(moved->refilled - refilled <= hk_bin_batch(cap->now, cls));
                EXPECT(hk_bin_count(thread, cls) == moved->refilled - refilled - 1);
            }
        }
        EXPECT(cap->now == cap->max);
        front_check();
    }
}

/* A count that stopped would never again be one at which a full budget is asked for room. */
static void miss_for_long(void *arg)
{
    (void)arg;
    unsigned cls = front_first_of(1);
    front_take(hk_class_size(cls));
    struct hk_thread *thread = front_self();
    struct hk_cap *cap = &thread->own.room.cap[cls];
    uint64_t refills = thread->metrics[cls].refills;
    cap->misses = UINT16_MAX;
    for (unsigned i = 0; i < 1000 && thread->metrics[cls].refills == refills; i++)
        front_take(hk_class_size(cls));
    EXPECT(thread->metrics[cls].refills != refills && cap->misses == UINT16_MAX / 2);
}

static void a_miss_gets_the_room_that_it_asks_for(void **state)
{
    (void)state;
    unit_passes(grow, NULL);
    unit_passes(miss_for_long, NULL);
}

/* A flush of a full bin gives half of it. */
static void flush_half(void *arg)
{
    (void)arg;
    struct hk_thread *thread = hk_front_attach();
    for (unsigned group = 1; group <= 8; group += group < 7 ? 2 : 1) {
        unsigned cls = front_first_of(group), i = 0;
        const struct hk_cap *cap = &thread->own.room.cap[cls];
        const struct hk_front_metrics *moved = &thread->metrics[cls];
        EXPECT(hk_option_store(HK_OPT_FRONT_BYTES, 16777216));
        for (; i < 800; i++)
            blocks[i] = front_take(hk_class_size(cls));
        EXPECT(cap->now == cap->max && cap->now <= 600);
        while (hk_bin_count(thread, cls) < cap->now)
            front_free(blocks[--i]);
        uint64_t flushed = moved->flushed, flushes = moved->flushes;
        front_free(blocks[--i]);
        EXPECT(moved->flushes == flushes + 1 && moved->flushed - flushed == (cap->now + 1u) / 2);
        EXPECT(hk_bin_count(thread, cls) == cap->now / 2u + 1);
        front_check();
    }
}

static void a_full_bin_gives_half_back(void **state)
{
    (void)state;
    unit_passes(flush_half, NULL);
}

/* ---- the budget ---- */

/* A random program over all classes that holds at most so many blocks. */
static void run_program(uint64_t seed, unsigned steps, unsigned most, size_t largest)
{
    uint64_t state = seed;
    for (unsigned i = 0; i < steps; i++) {
        unsigned at = (unsigned)unit_random(&state, most);
        if (blocks[at] == NULL) {
            size_t size = unit_random(&state, unit_random(&state, 3) ? largest : 1025);
            blocks[at] = front_take(size);
        } else {
            front_free(blocks[at]);
            blocks[at] = NULL;
        }
        front_check_budget();
    }
}

static void free_all(unsigned most)
{
    for (unsigned i = 0; i < most; i++) {
        front_free(blocks[i]);
        blocks[i] = NULL;
        front_check_budget();
    }
}

static void keep_to_budget(void *arg)
{
    EXPECT(hk_option_store(HK_OPT_FRONT_BYTES, (int64_t)(uintptr_t)arg));
    front_free(front_take(1));
    run_program(3, 6000, 300, HK_MID_MAX + 1);
    run_program(5, 6000, 20, HK_MID_MAX + 1);
    run_program(7, 6000, 1000, 5000);
    free_all(1000);
    EXPECT(front_held_in_bins() <= 2 * hk_front_limit(front_self()));
    hk_front_flush_all(front_self());
    EXPECT(front_held() == 0);
    EXPECT(front_owned_slabs() == 0);
}

static void caps_stay_within_twice_the_budget(void **state)
{
    (void)state;
    const uintptr_t budgets[] = {4096, 16384, 131072, 1048576};
    for (unsigned i = 0; i < HK_COUNT(budgets); i++)
        unit_passes(keep_to_budget, (void *)budgets[i]);
}

/* One block of each class, more than the budget has room for: the last ones get no bin. */
static void one_of_each(void *arg)
{
    EXPECT(hk_option_store(HK_OPT_FRONT_BYTES, (int64_t)(uintptr_t)arg));
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
            blocks[cls] = front_take(hk_class_size(cls));
            front_check_budget();
        }
        for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
            front_free(blocks[cls]);
            front_check_budget();
        }
    }
}

static void every_class_may_be_in_use_at_once(void **state)
{
    (void)state;
    unit_passes(one_of_each, (void *)4096);
    unit_passes(one_of_each, (void *)131072);
}

/* A thread that only frees does not gather more than its budget. */
static void hold_little(void *arg)
{
    (void)arg;
    unsigned n = 0;
    for (unsigned cls = 1; cls <= HK_TINY_LAST; cls++) {
        for (unsigned i = 0; i < 600; i++)
            blocks[n++] = front_take(hk_class_size(cls));
    }
    while (n > 0) {
        front_free(blocks[--n]);
        EXPECT(front_held_in_bins() <= 2 * hk_front_limit(front_self()));
    }
    EXPECT(front_held_in_bins() <= hk_front_limit(front_self()) / 4 * 5); /* looked at every few flushes */
}

static void what_is_held_is_bounded(void **state)
{
    (void)state;
    unit_passes(hold_little, NULL);
}

static void bypass(void *arg)
{
    (void)arg;
    EXPECT(hk_option_store(HK_OPT_FRONT_BYTES, 4096));
    for (unsigned i = 0; i < 200; i++) {
        blocks[i] = front_take(30000);
        memset(blocks[i], (int)i, 30000);
    }
    struct hk_thread *thread = front_self();
    unsigned cls = hk_class_of(30000);
    for (unsigned i = 0; i < 200; i++)
        EXPECT(*(char *)blocks[i] == (char)i);
    for (unsigned i = 0; i < 200; i += 2)
        front_free(blocks[i]);
    for (unsigned i = 0; i < 200; i += 2)
        blocks[i] = front_take(30000);
    for (unsigned i = 0; i < 200; i++) {
        for (unsigned j = 0; j < i; j += 17)
            EXPECT(blocks[j] != blocks[i]);
    }
    for (unsigned i = 0; i < 200; i++)
        front_free(blocks[i]);
    EXPECT(hk_heap_check(&thread->heap) && hk_bin_count(thread, cls) <= thread->own.room.cap[cls].now);
    hk_front_flush_all(thread);
    EXPECT(front_owned_slabs() == 0);
}

static void classes_without_room_go_straight_to_their_slabs(void **state)
{
    (void)state;
    unit_passes(bypass, NULL);
}

/* Where memory was refused once, what a front holds may be all that there is for another thread. */
static void hold_where_scarce(void *arg)
{
    (void)arg;
    enum { HELD = 4000 }; /* 4 MB, more than a front holds */
    for (unsigned i = 0; i < HELD; i++)
        blocks[i] = front_take(1000);
    EXPECT(hk_front_limit(front_self()) >= (size_t)hk_opt(HK_OPT_FRONT_BYTES));
    hk_store_relaxed(&hk_arena_scarce, true); /* nobody else is here */
    EXPECT(hk_front_limit(front_self()) == (size_t)hk_opt(HK_OPT_FRONT_BYTES) / 16);
    for (unsigned i = 0; i < HELD; i++)
        front_free(blocks[i]);
    EXPECT(front_held_in_bins() <= 2 * hk_front_limit(front_self()));
    front_check();
}

static void a_front_holds_little_where_memory_is_scarce(void **state)
{
    (void)state;
    unit_passes(hold_where_scarce, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_miss_gets_the_room_that_it_asks_for),
        cmocka_unit_test(a_full_bin_gives_half_back),
        cmocka_unit_test(caps_stay_within_twice_the_budget),
        cmocka_unit_test(every_class_may_be_in_use_at_once),
        cmocka_unit_test(what_is_held_is_bounded),
        cmocka_unit_test(a_front_holds_little_where_memory_is_scarce),
        cmocka_unit_test(classes_without_room_go_straight_to_their_slabs),
    };
    return cmocka_run_group_tests_name("front_room", tests, NULL, NULL);
}
