/* SPDX-License-Identifier: MIT
 *
 * The rings: first in first out through every wrap, how they grow, their options. Each case runs in a child.
 */
#include "front_fixture.h"

#include "front/bin.h"

#include "base/options.h"

static void *blocks[1000];

/* A queue beside the ring: each malloc gives what was freed longest ago, at every place of the ring and of a byte. */
static void reuse_oldest(void *arg)
{
    unsigned size = *(const unsigned *)arg, cls = hk_class_of(size);
    void *queue[HK_RING_SLOTS];
    uint64_t seed = 5, taken = 0, freed = 0;
    for (unsigned i = 0; i < 500; i++)
        blocks[i] = front_take(size);
    struct hk_thread *thread = front_self();
    hk_front_flush_all(thread);
    EXPECT(hk_bin_count(thread, cls) == 0);
    unsigned room = thread->own.room.cap[cls].now, out = 300, at;
    for (unsigned i = 0; i < 20000; i++) {
        EXPECT(hk_bin_count(thread, cls) == freed - taken);
        if (freed - taken < room && (freed == taken || unit_random(&seed, 2) == 0)) {
            at = (unsigned)unit_random(&seed, out);
            queue[freed++ % HK_RING_SLOTS] = blocks[at];
            front_free(blocks[at]);
            blocks[at] = blocks[--out];
        } else {
            blocks[out++] = front_malloc(size);
            EXPECT(blocks[out - 1] == queue[taken++ % HK_RING_SLOTS]);
        }
    }
    EXPECT(taken > 2 * 256 && thread->metrics[cls].flushes <= 1); /* of what the first ones left in it */
    front_check();
}

static void first_in_first_out(void **state)
{
    (void)state;
    unsigned sizes[] = {16, 64, 480, 1024, 3000};
    for (unsigned i = 0; i < HK_COUNT(sizes); i++)
        unit_passes(reuse_oldest, &sizes[i]);
}

/* What is on its way to the slabs is handed out by no malloc that comes meanwhile, in a handler. */
static void take_meanwhile(void *arg)
{
    (void)arg;
    void *lent[HK_BIN_LENT], *block;
    unsigned cls = hk_class_of(64), n = 8;
    for (unsigned i = 0; i < 16; i++)
        blocks[i] = front_take(64);
    struct hk_thread *thread = front_self();
    hk_front_flush_all(thread);
    for (unsigned i = 0; i < 16; i++)
        front_free(blocks[i]);
    EXPECT(hk_bin_count(thread, cls) >= n);
    void **oldest = hk_bin_oldest(thread, cls, &n, lent);
    while (hk_bin_pop(hk_front_bin(hk_front_self(), hk_code_of_class(cls)), &block)) {
        for (unsigned i = 0; i < n; i++)
            EXPECT(oldest[i] != block);
    }
}

static void a_flush_takes_out_first(void **state)
{
    (void)state;
    unit_passes(take_meanwhile, NULL);
}

/* A full ring gives its oldest half back, also where that half wraps. */
static void flush_half(void *arg)
{
    unsigned turn = *(const unsigned *)arg, cls = hk_class_of(64), i = 0;
    for (; i < 400; i++)
        blocks[i] = front_take(64);
    struct hk_thread *thread = front_self();
    hk_front_flush_all(thread);
    EXPECT(thread->own.room.cap[cls].now == HK_RING_MOST);
    front_free(blocks[399]);
    for (i = 0; i < turn; i++)
        front_free(front_malloc(64));
    EXPECT(front_malloc(64) == blocks[399]);
    for (i = 0; i < HK_RING_MOST; i++)
        front_free(blocks[i]);
    EXPECT(hk_bin_count(thread, cls) == HK_RING_MOST);
    front_free(blocks[i]);
    EXPECT(hk_bin_count(thread, cls) == HK_RING_MOST / 2 + 1);
    for (i = HK_RING_MOST - HK_RING_MOST / 2; i <= HK_RING_MOST; i++)
        EXPECT(front_malloc(64) == blocks[i]);
    EXPECT(hk_bin_count(thread, cls) == 0 && hk_heap_check(&thread->heap));
    front_check();
}

static void a_full_ring_keeps_its_newest_half(void **state)
{
    (void)state;
    unsigned turns[] = {0, 1, 63, 100, 127, 128, 200, 255, 256};
    for (unsigned i = 0; i < HK_COUNT(turns); i++)
        unit_passes(flush_half, &turns[i]);
}

/* The n blocks from `lowest` on, of which `p` is the first: in that order, or with -Dshuffle in any. Returns how many
 * came out of their turn. */
static unsigned take_batch(char *lowest, char *p, unsigned n)
{
    bool came[HK_RING_SLOTS] = {false};
    unsigned moved = 0;
    for (unsigned i = 0; i < n; i++, p = i < n ? front_take(64) : NULL) {
        size_t place = (size_t)(p - lowest) / 64;
        EXPECT(p >= lowest && place < n && !came[place] && (HK_SHUFFLE || place == i));
        came[place] = true;
        moved += place != i;
    }
    return moved;
}

/* From 8 on by half at each miss; half of it is filled, from the lowest addresses. */
static void grow(void *arg)
{
    (void)arg;
    const unsigned caps[] = {8, 12, 18, 27, 41, 62, 93, 140, 210, 255, 255};
    char *next = NULL;
    unsigned moved = 0;
    for (unsigned i = 0; i < HK_COUNT(caps); i++) {
        unsigned cls = hk_class_of(64);
        char *p = front_take(64);
        struct hk_thread *thread = front_self();
        EXPECT(thread->own.room.cap[cls].now == caps[i]);
        EXPECT(thread->metrics[cls].refills == i + 1 && hk_bin_count(thread, cls) == caps[i] / 2 - 1);
        next = next != NULL ? next : hk_slab_base(hk_slab_of(p));
        moved += take_batch(next, p, caps[i] / 2);
        next += caps[i] / 2 * 64;
        EXPECT(hk_bin_count(thread, cls) == 0);
        front_check();
    }
    EXPECT(!HK_SHUFFLE || moved > 32);
}

static void rings_grow_by_half_where_they_miss(void **state)
{
    (void)state;
    unit_passes(grow, NULL);
}

/* A slab that has fewer blocks than the refill asks for. */
static void refill_less(void *arg)
{
    (void)arg;
    unsigned cls = hk_class_of(1024), capacity = hk_class_capacity(cls);
    uint64_t less = 0;
    for (unsigned i = 0; i < 3 * capacity; i++) {
        blocks[i] = front_take(1024);
        const struct hk_front_metrics *moved = &front_self()->metrics[cls];
        uint64_t batch = hk_bin_batch(front_self()->own.room.cap[cls].now, cls);
        less += hk_bin_count(front_self(), cls) == 0 && moved->refilled % batch != 0;
        for (unsigned j = 0; j < i; j++)
            EXPECT(blocks[j] != blocks[i]);
        front_check();
    }
    EXPECT(less > 0);
}

static void a_refill_may_get_less(void **state)
{
    (void)state;
    unit_passes(refill_less, NULL);
}

static void entries_by_option(void *arg)
{
    unsigned entries = *(const unsigned *)arg;
    EXPECT(hk_option_store(HK_OPT_FRONT_BYTES, 16777216));
    for (unsigned group = 0; group < 8; group++)
        EXPECT(hk_option_store((enum hk_option)(HK_OPT_TINY_HOT_RING_C0 + group), entries));
    for (unsigned cls = 1; cls <= HK_TINY_LAST; cls++) {
        unsigned largest = 0;
        for (unsigned i = 0; i < 500; i++)
            blocks[i] = front_take(hk_class_size(cls));
        for (unsigned i = 0; i < 500; i++) {
            front_free(blocks[i]);
            largest = (unsigned)hk_max(largest, hk_bin_count(front_self(), cls));
        }
        EXPECT(front_self()->own.room.cap[cls].now == entries);
        EXPECT(largest == entries);
    }
    front_check();
}

static void entries_are_options(void **state)
{
    (void)state;
    unsigned entries[] = {2, 3, 33, 64, 128, 255};
    for (unsigned i = 0; i < HK_COUNT(entries); i++)
        unit_passes(entries_by_option, &entries[i]);
}

/* One entry is room for less than two blocks: they go straight to their slabs, or to the TLS SLL. */
static void one_entry(void *arg)
{
    (void)arg;
    EXPECT(hk_option_store(HK_OPT_TINY_HOT_RING_C0, 1));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_in_first_out),
        cmocka_unit_test(a_flush_takes_out_first),
        cmocka_unit_test(a_full_ring_keeps_its_newest_half),
        cmocka_unit_test(rings_grow_by_half_where_they_miss),
        cmocka_unit_test(a_refill_may_get_less),
        cmocka_unit_test(entries_are_options),
        cmocka_unit_test(one_entry_is_none),
    };
    return cmocka_run_group_tests_name("front_ring", tests, NULL, NULL);
}
