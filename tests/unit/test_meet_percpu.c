/* SPDX-License-Identifier: MIT
 *
 * What becomes of a sequence where another thread comes before one of its instructions, on the same processor, with a
 * sequence of its own, or to empty the shelf (step.h). In a child.
 */
#include "front_fixture.h"

#include "front/percpu/shelf.h"
#include "step.h"

#include <stdio.h>

#define SIZE 64u
#define ROOM 20u
#define COUNT 10u /* blocks on the shelf before; behind them in `ready` those of this thread, then the other's */
#define MINE 3u

static void *ready[ROOM];
static struct hk_shelf *shelf;

/* Blocks that a call took, and how many of its own it put down. */
static struct hands {
    void *took[ROOM];
    unsigned count, put;
} mine, others;

static unsigned cls(void)
{
    return hk_class_of(SIZE);
}

static const struct hk_bin *bin(void)
{
    return &hk_front_mine()->bin[cls()];
}

static void prepare(void)
{
    if (shelf == NULL) {
        front_free(front_take(SIZE));
        hk_front_flush_all(front_self());
        shelf = hk_shelf_here(front_self());
        for (unsigned i = 0; i < ROOM; i++)
            EXPECT(hk_heap_take(hk_front_heap(front_self()), cls(), &ready[i], 1) == 1);
    }
    for (unsigned c = 1; c < HK_CLASS_COUNT; c++)
        hk_shelf_clear(shelf, c);
    hk_shelf_grow(shelf, cls(), ROOM);
    EXPECT(hk_section_push_many(bin()->table, bin()->at, ready, COUNT) == COUNT);
    memset(&mine, 0, sizeof mine);
    memset(&others, 0, sizeof others);
}

/* Each block is in one place, or is still one of those that nobody has put down. */
static void check(void)
{
    unsigned on_shelf = hk_shelf_count(shelf, cls());
    for (unsigned i = 0; i < ROOM; i++) {
        unsigned seen = 0;
        for (unsigned j = 0; j < ROOM; j++)
            seen += (j < mine.count && mine.took[j] == ready[i]) + (j < others.count && others.took[j] == ready[i]);
        for (unsigned j = 0; j < on_shelf; j++)
            seen += shelf->head[cls()].cur[-(int)j] == ready[i];
        bool put = i < COUNT + mine.put || (i >= COUNT + MINE && i < COUNT + MINE + others.put);
        EXPECT(seen == put);
    }
    front_check();
}

static void pop(struct hands *hands)
{
    hands->count = hk_section_pop(bin()->table, bin()->at, &hands->took[0]);
}

static void pop_some(struct hands *hands)
{
    hands->count = hk_section_pop_many(bin()->table, bin()->at, hands->took, 4);
}

static void push(struct hands *hands)
{
    hands->put = hk_section_push(bin()->table, bin()->at, ready[COUNT + (hands == &mine ? 0 : MINE)]);
}

static void push_some(struct hands *hands)
{
    hands->put = hk_section_push_many(bin()->table, bin()->at, ready + COUNT + (hands == &mine ? 0 : MINE), MINE);
}

static void empty(struct hands *hands)
{
    struct hk_thread *thread = front_self();
    unsigned at = hk_rseq_processor();
    EXPECT(hk_shelf_take_away(thread, at) && hk_shelf_settle());
    hands->count = hk_shelf_count(shelf, cls());
    memcpy(hands->took, shelf->head[cls()].cur + 1 - hands->count, hands->count * sizeof(void *));
    hk_shelf_clear(shelf, cls());
    hk_shelf_put_back(thread, at);
}

static void (*const calls[])(struct hands *) = {pop, pop_some, push, push_some, empty};
static unsigned my_call, other_call;

static void make_mine(void)
{
    calls[my_call](&mine);
}

static void make_other(void)
{
    if (hk_front_thread() == NULL)
        hk_shelf_give_bins(hk_front_attach());
    calls[other_call](&others);
}

/* An area that the kernel does not know: nothing begins anew. The thread stays on its processor. */
static _Thread_local struct hk_rseq steady __attribute__((tls_model("initial-exec")));

static void without_sequences(bool without)
{
    static ptrdiff_t offset;
    if (without) {
        steady.cpu_id = hk_rseq_processor();
        offset = hk_rseq_offset;
        hk_rseq_offset = (char *)&steady - (char *)__builtin_thread_pointer();
    } else {
        hk_rseq_offset = offset;
    }
}

static void meet_all(void *arg)
{
    const struct step_pair pair = {.prepare = prepare,
                                   .mine = make_mine,
                                   .other = make_other,
                                   .check = check,
                                   .without_sequences = without_sequences};
    (void)arg;
    for (my_call = 0; calls[my_call] != empty; my_call++)
        for (other_call = 0; other_call < HK_COUNT(calls); other_call++) {
            unsigned met = step_through(&pair);
            EXPECT(met >= 10); /* so many instructions each has */
        }
}

static void a_sequence_is_whole_or_nothing(void **state)
{
    (void)state;
    unit_passes(meet_all, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_sequence_is_whole_or_nothing)};
    front_free(front_take(SIZE));
    if (hk_front_processors() == 0) {
        puts("skipped: there are no restartable sequences here");
        return 77;
    }
    return cmocka_run_group_tests_name("meet_percpu", tests, NULL, NULL);
}
