/* SPDX-License-Identifier: MIT
 *
 * The large arrays: their whole room at once, refills straight from the active slab, options. Each case runs in a
 * child.
 */
#include "front_fixture.h"

#include "front/bin.h"

#include "base/options.h"

#include <pthread.h>

static void *blocks[2000];

/* The first miss gives a class all that its option says, and no later one more. */
static void all_at_once(void *arg)
{
    (void)arg;
    EXPECT(hk_option_store(HK_OPT_FRONT_BYTES, 16777216));
    for (unsigned cls = 1; cls <= HK_TINY_LAST; cls++) {
        unsigned entries = (unsigned)hk_opt((enum hk_option)(HK_OPT_TINY_UNIFIED_C0 + hk_class_group(cls)));
        const struct hk_cap *cap = &front_self()->own.room.cap[cls];
        for (unsigned i = 0; i < 1500; i++) {
            blocks[i] = front_take(hk_class_size(cls));
            EXPECT(cap->now == entries && cap->max == entries);
        }
        for (unsigned i = 0; i < 1500; i++) {
            front_free(blocks[i]);
            EXPECT(cap->now == entries);
        }
    }
    front_check();
}

static void attach_and_all_at_once(void *arg)
{
    hk_front_attach();
    all_at_once(arg);
}

static void a_class_has_its_room_at_once(void **state)
{
    (void)state;
    unit_passes(attach_and_all_at_once, NULL);
}

/* A refill of half the array is one batch: neighbours of a virgin slab, lowest first. */
static void carve(void *arg)
{
    (void)arg;
    unsigned cls = hk_class_of(64);
    char *first = front_take(64);
    struct hk_thread *thread = front_self();
    EXPECT(thread->metrics[cls].refills == 1 && thread->metrics[cls].refilled == 128);
    EXPECT(hk_bin_count(thread, cls) == 127 && thread->heap.refills == 1);
    for (unsigned i = 1; i < 128; i++)
        EXPECT((char *)front_take(64) == first + i * 64);
    EXPECT(thread->metrics[cls].refills == 1);
    EXPECT((char *)front_take(64) == first + 128 * 64 && thread->metrics[cls].refills == 2);
}

static void a_refill_carves_half_an_array(void **state)
{
    (void)state;
    unit_passes(carve, NULL);
}

static void flush_half(void *arg)
{
    (void)arg;
    unsigned cls = hk_class_of(64), i = 0;
    for (; i < 1000; i++)
        blocks[i] = front_take(64);
    struct hk_thread *thread = front_self();
    for (i = 0; hk_bin_count(thread, cls) < 256; i++)
        front_free(blocks[i]);
    front_free(blocks[i]);
    EXPECT(hk_bin_count(thread, cls) == 129);
    for (unsigned back = 0; back < 129; back++)
        EXPECT(front_malloc(64) == blocks[i - back]); /* last in, first out */
    front_check();
}

static void a_full_array_keeps_its_newest_half(void **state)
{
    (void)state;
    unit_passes(flush_half, NULL);
}

static void entries_by_option(void *arg)
{
    unsigned entries = *(const unsigned *)arg;
    hk_front_attach();
    for (unsigned group = 0; group < 8; group++)
        EXPECT(hk_option_store((enum hk_option)(HK_OPT_TINY_UNIFIED_C0 + group), entries));
    all_at_once(NULL);
    EXPECT(front_self()->own.slots_used <= HK_FRONT_SLOTS);
    for (unsigned cls = HK_TINY_LAST + 1; cls < HK_CLASS_COUNT; cls++)
        front_free(front_take(hk_class_size(cls)));
    EXPECT(front_self()->own.slots_used <= HK_FRONT_SLOTS);
    front_check();
}

static void entries_are_options(void **state)
{
    (void)state;
    unsigned entries[] = {2, 3, 100, 256};
    for (unsigned i = 0; i < HK_COUNT(entries); i++)
        unit_passes(entries_by_option, &entries[i]);
}

/* One entry is room for less than two blocks: they go straight to their slabs, or to the TLS SLL. */
static void one_entry(void *arg)
{
    (void)arg;
    EXPECT(hk_option_store(HK_OPT_TINY_UNIFIED_C0, 1));
    for (unsigned i = 0; i < 1000; i++)
        blocks[i] = front_take(32);
    for (unsigned i = 0; i < 1000; i++) {
        front_free(blocks[i]);
        EXPECT(front_held_in_bins() == 0 && (HK_TLS_SLL || front_held() == 0));
    }
    front_check();
}

static void one_entry_is_none(void **state)
{
    (void)state;
    unit_passes(one_entry, NULL);
}

static void miss(size_t size, unsigned times)
{
    const struct hk_front_metrics *moved = &front_self()->metrics[hk_class_of(size)];
    for (uint64_t end = moved->refills + times; moved->refills < end;)
        front_take(size);
}

/* A class that comes when others have the budget takes what is left, and then theirs, if it misses more than they. */
static void share(void *arg)
{
    (void)arg;
    unsigned first = front_first_of(7), busy = hk_class_of(128);
    EXPECT(hk_option_store(HK_OPT_FRONT_BYTES, 4096));
    front_borrow(blocks, 64, hk_class_size(first));
    hk_front_attach();
    const struct hk_cap *cap = front_self()->own.room.cap;
    miss(128, 1);
    EXPECT(cap[busy].now == 2 * 4096 / hk_class_size(busy)); /* it wanted 256 */
    for (unsigned i = 0; i < 64; i++)
        front_free(blocks[i]);
    unsigned rest = cap[busy].now, others = cap[first].now;
    EXPECT(others > 0);
    front_check_budget();
    for (unsigned round = 0; round < 1000; round++) {
        for (unsigned i = 0; i < 300; i++)
            blocks[i] = front_take(128);
        for (unsigned i = 0; i < 300; i++)
            front_free(blocks[i]);
        front_check_budget();
    }
    EXPECT(cap[busy].now > 2 * rest); /* all that there is */
    EXPECT(front_self()->own.room.bytes + 128 > 2 * hk_front_limit(front_self()));
    EXPECT(cap[first].now < others);
}

static void the_budget_is_shared(void **state)
{
    (void)state;
    unit_passes(share, NULL);
}

/* A thread's options are those of its time, in a record that had others too. */
static void *use(void *arg)
{
    unsigned most = *(const unsigned *)arg;
    for (unsigned i = 0; i < 1000; i++)
        blocks[i] = front_take(64);
    for (unsigned i = 0; i < 1000; i++)
        front_free(blocks[i]);
    EXPECT(front_self()->own.room.cap[hk_class_of(64)].now == most);
    front_check();
    return NULL;
}

static void change_options(void *arg)
{
    (void)arg;
    const unsigned entries[] = {100, 256, 20, 0, 64};
    front_free(front_take(5000)); /* this thread has a record of its own */
    for (unsigned i = 0; i < HK_COUNT(entries); i++) {
        pthread_t thread;
        EXPECT(hk_option_store(HK_OPT_TINY_UNIFIED_C0, entries[i]));
        EXPECT(pthread_create(&thread, NULL, use, (void *)&entries[i]) == 0);
        EXPECT(pthread_join(thread, NULL) == 0);
    }
}

static void records_take_new_options(void **state)
{
    (void)state;
    unit_passes(change_options, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_class_has_its_room_at_once),
        cmocka_unit_test(a_refill_carves_half_an_array),
        cmocka_unit_test(a_full_array_keeps_its_newest_half),
        cmocka_unit_test(entries_are_options),
        cmocka_unit_test(one_entry_is_none),
        cmocka_unit_test(the_budget_is_shared),
        cmocka_unit_test(records_take_new_options),
    };
    return cmocka_run_group_tests_name("front_unified", tests, NULL, NULL);
}
