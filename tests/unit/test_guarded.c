/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "base/bits.h"
#include "base/options.h"
#include "box/guarded.h"
#include "fake_os.h"
#include "os/os.h"

#include <unistd.h>

enum { SLOTS = 16, PAGE = 4096, THREADS = 8 };

static void start(void)
{
    hk_unwind_start();
    EXPECT(hk_guarded_start(SLOTS));
}

static void *take(size_t size)
{
    void *block = hk_guarded_take(size, NULL);
    EXPECT(block != NULL);
    return block;
}

static void give(void *block)
{
    EXPECT(hk_guarded_claim(block) && hk_guarded_damage(block) == NULL);
    hk_guarded_hide(block);
}

/* Does the processor stop who touches it? */
static bool is_hidden(const void *ptr)
{
    int ends[2];
    bool hidden = pipe(ends) == 0 && write(ends[1], ptr, 1) != 1;
    close(ends[0]);
    close(ends[1]);
    return hidden;
}

static void nothing_before_the_start(void *arg)
{
    struct hk_guarded_block found;
    struct hk_guarded_sums sums = hk_guarded_count();
    EXPECT(!hk_guarded_has(arg) && !hk_guarded_has(NULL) && hk_guarded_take(16, NULL) == NULL);
    EXPECT(hk_guarded_bytes(arg) == 0 && !hk_guarded_claim(arg) && !hk_guarded_find((uintptr_t)arg, &found));
    EXPECT(sums.slots == 0 && sums.taken == 0 && hk_guarded_most() == 0);
    start();
    EXPECT(hk_guarded_start(2 * SLOTS) && hk_guarded_count().slots == SLOTS);
    EXPECT(hk_guarded_most() == PAGE && !hk_guarded_has(arg));
}

static void each_size_lies_at_an_edge(void *arg)
{
    unsigned left = 0;
    (void)arg;
    start();
    for (size_t size = 1; size <= PAGE; size += size < 100 ? 1 : 61) {
        char *block = take(size);
        size_t into = (uintptr_t)block % PAGE;
        EXPECT(hk_guarded_has(block) && hk_guarded_bytes(block) == size && hk_guarded_tag(block) == 0);
        EXPECT(into % 16 == 0 && (into == 0 || into + size > PAGE - 16));
        EXPECT(size >= PAGE - 15 || into == 0 || hk_guarded_bytes(block + 16) == 0);
        EXPECT((uintptr_t)block % (size & -size) == 0 || size % 16 != 0);
        left += into == 0 && size < PAGE - 15;
        memset(block, 0xff, size);
        EXPECT(is_hidden(block - into - 1) && is_hidden(block - into + PAGE) && !is_hidden(block));
        give(block);
        EXPECT(is_hidden(block) && hk_guarded_bytes(block) == 0);
    }
    EXPECT(left > 10 && left < 80);
    EXPECT(hk_guarded_count().live_blocks == 0 && hk_guarded_count().live_bytes == 0);
}

static void what_is_written_beside_is_seen(void *arg)
{
    (void)arg;
    start();
    for (unsigned i = 0; i < 4 * SLOTS; i++) {
        char *block = take(100), *page = (char *)hk_align_down((uintptr_t)block, PAGE);
        char *at = i % 2 == 0 && block > page ? block - 1 - i : block + 100;
        char before = *at;
        EXPECT(hk_guarded_claim(block) && hk_guarded_damage(block) == NULL);
        *at = 0;
        EXPECT(hk_guarded_damage(block) == at);
        *at = before;
        EXPECT(hk_guarded_damage(block) == NULL);
        block[0] = block[99] = 0;
        EXPECT(hk_guarded_damage(block) == NULL);
        hk_guarded_hide(block);
    }
}

/* A freed slot waits while half of the others are used. */
static void slots_wait(void *arg)
{
    uintptr_t freed[4 * SLOTS];
    (void)arg;
    start();
    for (unsigned i = 0; i < HK_COUNT(freed); i++) {
        void *block = take(32);
        freed[i] = hk_align_down((uintptr_t)block, PAGE);
        for (unsigned j = i - hk_min(i, SLOTS / 2 - 1); j < i; j++)
            EXPECT(freed[j] != freed[i]);
        give(block);
    }
}

/* All become live, the second half slowly, and no more; and all come back. */
static void slots_run_out(void *arg)
{
    void *live[SLOTS];
    unsigned n = 0, wishes = 0;
    (void)arg;
    start();
    for (; n < SLOTS && wishes < 100000; wishes++) {
        void *block = hk_guarded_take(48, NULL);
        EXPECT(block != NULL || n > SLOTS / 2);
        if (block != NULL)
            live[n++] = block;
    }
    EXPECT(n == SLOTS && wishes > 5 * SLOTS);
    for (unsigned i = 0; i < 1000; i++)
        EXPECT(hk_guarded_take(48, NULL) == NULL);
    EXPECT(hk_guarded_count().live_blocks == SLOTS && hk_guarded_count().live_bytes == 48 * SLOTS);
    for (unsigned i = 0; i < SLOTS; i++)
        give(live[i]);
    for (unsigned i = 0; i < 4 * SLOTS; i++)
        give(take(48));
    EXPECT(hk_guarded_count().taken == 5 * SLOTS && hk_guarded_count().refused == 0);
}

static bool is_named(const struct hk_guarded_stack *stack)
{
    return stack->depth > 0 && stack->thread != 0 && stack->name[0] != 0;
}

static void an_address_tells_its_block(void *arg)
{
    struct hk_guarded_block found;
    (void)arg;
    start();
    char *block = take(200), *page = (char *)hk_align_down((uintptr_t)block, PAGE);
    EXPECT(hk_guarded_find((uintptr_t)block + 5, &found) && found.state == HK_GUARDED_LIVE);
    EXPECT(found.start == (uintptr_t)block && found.size == 200 && is_named(&found.taken) && found.freed.depth == 0);
    EXPECT(hk_guarded_find((uintptr_t)page - 1, &found) && found.start == (uintptr_t)block);
    EXPECT(hk_guarded_find((uintptr_t)page + PAGE, &found) && found.start == (uintptr_t)block);
    EXPECT(hk_guarded_find((uintptr_t)page + 2 * PAGE - 1, &found) &&
           found.start == (uintptr_t)block); /* no other was used */
    EXPECT(!hk_guarded_find((uintptr_t)page + 4 * PAGE, &found));
    EXPECT(!hk_guarded_find((uintptr_t)page + (2 * SLOTS + 1) * PAGE, &found));
    EXPECT(hk_guarded_claim(block) && !hk_guarded_claim(block));
    EXPECT(hk_guarded_find((uintptr_t)block, &found) && found.state == HK_GUARDED_GOING);
    hk_guarded_hide(block);
    EXPECT(hk_guarded_find((uintptr_t)block, &found) && found.state == HK_GUARDED_FREED && is_named(&found.freed));
    EXPECT(!hk_guarded_claim(block) && hk_guarded_bytes(block) == 0);
}

/* Each call that can be refused is; nothing is lost but a slot whose page cannot be hidden. */
static void refusals_do_no_harm(void *arg)
{
    (void)arg;
    fake_os_fail_nth(FAKE_RESERVE_HIDDEN, 1);
    EXPECT(!hk_guarded_start(SLOTS));
    fake_os_fail_nth(FAKE_MAP, 1);
    size_t held = hk_os_held();
    EXPECT(!hk_guarded_start(SLOTS) && hk_os_held() == held);
    start();
    for (unsigned i = 1; i <= 3 * SLOTS; i++) {
        fake_os_fail_nth(FAKE_COMMIT, 1);
        EXPECT(hk_guarded_take(64, NULL) == NULL && hk_guarded_count().refused == i);
        give(take(64));
    }
    fake_os_fail_nth(FAKE_PURGE, 1);
    give(take(64));
    fake_os_fail_nth(FAKE_HIDE, 1);
    void *lost = take(64);
    give(lost);
    EXPECT(hk_guarded_count().live_blocks == 0 && !hk_guarded_claim(lost));
    for (unsigned i = 0; i < 4 * SLOTS; i++) {
        void *block = take(64);
        EXPECT(hk_align_down((uintptr_t)block, PAGE) != hk_align_down((uintptr_t)lost, PAGE));
        give(block);
    }
}

static void a_limit_holds(void *arg)
{
    (void)arg;
    start();
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, 3 * PAGE));
    void *one = take(64), *two = take(64), *three = take(64);
    EXPECT(hk_guarded_take(64, NULL) == NULL && hk_guarded_count().refused == 1);
    give(two);
    two = take(64);
    EXPECT(hk_guarded_take(64, NULL) == NULL);
    give(one);
    give(two);
    give(three);
}

static unsigned visited;
static size_t visited_bytes;

static void visit_block(void *ctx, void *start_of, size_t size, uintptr_t tag)
{
    EXPECT(ctx == &visited && hk_guarded_bytes(start_of) == size && tag == (uintptr_t)start_of);
    visited++;
}

static void visit_mapping(void *ctx, void *start_of, size_t size)
{
    EXPECT(ctx == &visited && (uintptr_t)start_of % PAGE == 0);
    visited_bytes += size;
}

static void blocks_are_visited(void *arg)
{
    (void)arg;
    hk_guarded_visit(visit_mapping, &visited);
    EXPECT(visited_bytes == 0);
    start();
    void *gone = take(16);
    for (unsigned i = 0; i < 3; i++) {
        void *block = take(16);
        hk_guarded_mark(block, (uintptr_t)block);
        EXPECT(hk_guarded_tag(block) == (uintptr_t)block);
    }
    give(gone);
    hk_guarded_visit_blocks(visit_block, &visited);
    hk_guarded_visit(visit_mapping, &visited);
    EXPECT(visited == 3 && visited_bytes > (2 * SLOTS + 1) * PAGE);
}

/* Who takes a block has it alone, and of two frees one wins. */
static _Atomic(void *) handed;
static _Atomic unsigned claims, handed_out;

static void *take_and_give(void *arg)
{
    for (unsigned i = 0; i < 300; i++) {
        uintptr_t *block = hk_guarded_take(64, NULL);
        if (block == NULL)
            continue;
        for (unsigned j = 0; j < 8; j++)
            block[j] = (uintptr_t)arg;
        for (unsigned j = 0; j < 8; j++)
            EXPECT(block[j] == (uintptr_t)arg);
        void *other = atomic_exchange(&handed, block);
        handed_out++;
        if (other != NULL && hk_guarded_claim(other)) {
            claims++;
            hk_guarded_hide(other);
        }
    }
    return arg;
}

static void threads_take_and_give(void *arg)
{
    (void)arg;
    start();
    unit_in_threads(THREADS, take_and_give);
    void *last = atomic_exchange(&handed, NULL);
    EXPECT(last != NULL && hk_guarded_claim(last) && claims + 1 == handed_out && handed_out > 50);
    hk_guarded_hide(last);
    EXPECT(hk_guarded_count().live_blocks == 0);
}

static char elsewhere[64];

static void there_is_nothing_before_the_start(void **state)
{
    (void)state;
    unit_passes(nothing_before_the_start, elsewhere);
}

static void a_block_lies_at_an_edge(void **state)
{
    (void)state;
    unit_passes(each_size_lies_at_an_edge, elsewhere);
}

static void damage_is_seen(void **state)
{
    (void)state;
    unit_passes(what_is_written_beside_is_seen, elsewhere);
}

static void freed_slots_wait(void **state)
{
    (void)state;
    unit_passes(slots_wait, elsewhere);
}

static void there_are_no_more_than_slots(void **state)
{
    (void)state;
    unit_passes(slots_run_out, elsewhere);
}

static void addresses_tell_blocks(void **state)
{
    (void)state;
    unit_passes(an_address_tells_its_block, elsewhere);
}

static void refusals_are_survived(void **state)
{
    (void)state;
    unit_passes(refusals_do_no_harm, elsewhere);
}

static void the_limit_counts_pages(void **state)
{
    (void)state;
    unit_passes(a_limit_holds, elsewhere);
}

static void leaks_see_blocks(void **state)
{
    (void)state;
    unit_passes(blocks_are_visited, elsewhere);
}

static void threads_need_no_lock(void **state)
{
    (void)state;
    unit_passes(threads_take_and_give, elsewhere);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_nothing_before_the_start),
        cmocka_unit_test(a_block_lies_at_an_edge),
        cmocka_unit_test(damage_is_seen),
        cmocka_unit_test(freed_slots_wait),
        cmocka_unit_test(there_are_no_more_than_slots),
        cmocka_unit_test(addresses_tell_blocks),
        cmocka_unit_test(refusals_are_survived),
        cmocka_unit_test(the_limit_counts_pages),
        cmocka_unit_test(leaks_see_blocks),
        cmocka_unit_test(threads_need_no_lock),
    };
    return cmocka_run_group_tests_name("guarded", tests, NULL, NULL);
}
