/* SPDX-License-Identifier: MIT
 *
 * Fronts that use room.c: how much room bins get, the thread's budget, draining. Each case runs in a child.
 */
#include "front_fixture.h"

#include "base/options.h"
#include "box/purge.h"

#include <signal.h>
#include <sys/wait.h>

#define MOST 60000u

static void *blocks[MOST];

/* What a list behind the bins holds has a bound of its own. */
static size_t held_in_bins(void)
{
    size_t held = 0;
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++)
        held += hk_bin_count(front_self(), cls) * hk_class_size(cls);
    return held;
}

/* ---- room ---- */

/* Each miss gets the room that the front asks for, and a refill is as large as it says. */
static void grow(void *arg)
{
    (void)arg;
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        size_t size = hk_class_size(cls);
        EXPECT(hk_option_store(HK_OPT_FRONT_BYTES, 16777216)); /* room for all */
        front_take(size);
        struct hk_thread *thread = front_self();
        const struct hk_cap *cap = &thread->own.room.cap[cls];
        const struct hk_front_metrics *moved = &thread->metrics[cls];
        EXPECT(moved->refills == 1 && cap->now > 0);
        for (unsigned i = 0; i < 600; i++) {
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

static void a_miss_gets_the_room_that_it_asks_for(void **state)
{
    (void)state;
    unit_passes(grow, NULL);
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
        for (; i < 600; i++)
            blocks[i] = front_take(hk_class_size(cls));
        EXPECT(cap->now == cap->max && cap->now <= 300);
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

/* ---- classes that an option leaves without a bin ---- */

static void turn_off(void *arg)
{
    unsigned group = *(const unsigned *)arg;
    front_turn_off(group);
    struct hk_thread *thread = hk_front_attach();
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        bool off = hk_class_group(cls) == group;
        size_t size = hk_class_size(cls);
        unsigned n = (unsigned)hk_min(400, 4 * HK_MIB / size);
        for (unsigned round = 0; round < 2; round++) {
            for (unsigned i = 0; i < n; i++)
                memset(blocks[i] = front_take(size), (int)i, size);
            for (unsigned i = 0; i < n; i++) {
                EXPECT(((char *)blocks[i])[0] == (char)i && ((char *)blocks[i])[size - 1] == (char)i);
                front_free(blocks[i]);
                EXPECT(!off || hk_bin_count(thread, cls) == 0);
            }
        }
        EXPECT(hk_bin_is_set_up(thread, cls) == !off);
        EXPECT(hk_front_is_bypassed(thread, cls) || !off);
        EXPECT((thread->metrics[cls].refills == 0) == off && (thread->metrics[cls].flushes == 0 || !off));
    }
    front_check();
    EXPECT(hk_heap_check(&thread->heap));
    hk_front_flush_all(thread);
    hk_heap_sweep();
    EXPECT(front_owned_slabs() == 0);
}

static void free_twice_when_off(void *arg)
{
    unsigned group = *(const unsigned *)arg;
    front_turn_off(group);
    void *p = front_take(hk_class_size(front_first_of(group)));
    front_free(p);
    front_free(p);
}

static void a_group_can_be_off(void **state)
{
    (void)state;
    unsigned groups[] = {0, 1, 3, 5, 7};
    for (unsigned i = 0; i < HK_COUNT(groups); i++) {
        struct unit_child child;
        unit_passes(turn_off, &groups[i]);
        unit_run(&child, free_twice_when_off, &groups[i]);
        assert_true(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT);
        assert_non_null(strstr(child.text, "double free"));
    }
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
    EXPECT(held_in_bins() <= 2 * hk_front_limit(front_self()));
    hk_front_flush_all(front_self());
    EXPECT(front_held() == 0);
    hk_heap_sweep();
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

/* A large heap has a large front; a heap that shrinks has a small one again. */
static void shrink_heap(void *arg)
{
    (void)arg;
    unsigned n = 0;
    size_t size = 1;
    uint64_t seed = 13;
    for (; n < 6000; n++) {
        size = 1025 + unit_random(&seed, HK_MID_MAX - 1024);
        blocks[n] = front_take(size);
        if (unit_random(&seed, 3) == 0) {
            unsigned at = (unsigned)unit_random(&seed, n + 1);
            front_free(blocks[at]);
            blocks[at] = front_take(size);
        }
    }
    EXPECT(hk_front_limit(front_self()) > 4 * HK_MIB);
    front_check_budget();
    free_all(n);
    EXPECT(held_in_bins() <= hk_front_limit(front_self()) / 4 * 5); /* looked at every few flushes */
}

static void the_budget_shrinks_with_the_heap(void **state)
{
    (void)state;
    unit_passes(shrink_heap, NULL);
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
        EXPECT(held_in_bins() <= 2 * hk_front_limit(front_self()));
    }
    EXPECT(held_in_bins() <= hk_front_limit(front_self()) / 4 * 5); /* looked at every few flushes */
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
    hk_heap_sweep();
    EXPECT(front_owned_slabs() == 0);
}

static void classes_without_room_go_straight_to_their_slabs(void **state)
{
    (void)state;
    unit_passes(bypass, NULL);
}

/* ---- draining ---- */

static void shuffle(unsigned n)
{
    uint64_t seed = 99;
    for (unsigned i = n; i > 1; i--) {
        unsigned j = (unsigned)unit_random(&seed, i);
        void *p = blocks[i - 1];
        blocks[i - 1] = blocks[j];
        blocks[j] = p;
    }
}

static void free_scattered(void *arg)
{
    (void)arg;
    uint64_t seed = 21;
    for (unsigned i = 0; i < MOST; i++)
        blocks[i] = front_take(16 + unit_random(&seed, 1009));
    shuffle(MOST);
    for (unsigned i = 0; i < MOST; i++) {
        front_free(blocks[i]);
        if (i % 1000 == 0)
            front_check();
    }
    struct hk_thread *thread = front_self();
    EXPECT(thread->own.room.draining);
    unsigned held = 0;
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        EXPECT(!hk_bin_is_set_up(thread, cls) || thread->own.room.cap[cls].now <= 6);
        held += hk_bin_count(thread, cls);
    }
    /* A block left in a bin may pin its slab, and each class has one to start from. */
    EXPECT(thread->heap.slabs <= held + HK_TINY_LAST);
    hk_purge_now(0);
    EXPECT(thread->heap.slabs <= held);
    for (unsigned i = 0; i < 100; i++)
        front_take(64);
    EXPECT(!thread->own.room.draining); /* it allocates again */
    EXPECT(thread->own.room.cap[hk_class_of(64)].now > 6);
    front_check();
}

static void a_thread_that_frees_at_random_keeps_next_to_nothing(void **state)
{
    (void)state;
    unit_passes(free_scattered, NULL);
}

static void free_in_order(void *arg)
{
    (void)arg;
    unsigned cls = hk_class_of(128);
    for (unsigned i = 0; i < MOST; i++)
        blocks[i] = front_take(128);
    for (unsigned i = 0; i < MOST; i++)
        front_free(blocks[i]);
    const struct hk_room *room = &front_self()->own.room;
    EXPECT(!room->draining && room->cap[cls].now == room->cap[cls].max);
    front_check();
}

static void blocks_freed_in_order_are_no_drain(void **state)
{
    (void)state;
    unit_passes(free_in_order, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_miss_gets_the_room_that_it_asks_for),
        cmocka_unit_test(a_full_bin_gives_half_back),
        cmocka_unit_test(a_group_can_be_off),
        cmocka_unit_test(caps_stay_within_twice_the_budget),
        cmocka_unit_test(every_class_may_be_in_use_at_once),
        cmocka_unit_test(the_budget_shrinks_with_the_heap),
        cmocka_unit_test(what_is_held_is_bounded),
        cmocka_unit_test(classes_without_room_go_straight_to_their_slabs),
        cmocka_unit_test(a_thread_that_frees_at_random_keeps_next_to_nothing),
        cmocka_unit_test(blocks_freed_in_order_are_no_drain),
    };
    return cmocka_run_group_tests_name("front_room", tests, NULL, NULL);
}
