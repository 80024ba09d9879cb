/* SPDX-License-Identifier: MIT
 *
 * Each rule about locks, broken in a child: it ends with the message. And what is allowed is: it does not.
 */
#include "unit.h"

#include "base/assert.h"
#include "base/fmt.h"
#include "os/lock.h"
#include "os/os.h"
#include "os/thread.h"

#include <sys/wait.h>

static struct hk_lock lock[HK_RANKS] = {
    [HK_RANK_FILE] = HK_LOCK_FREE(HK_RANK_FILE),         [HK_RANK_SWEEPING] = HK_LOCK_FREE(HK_RANK_SWEEPING),
    [HK_RANK_RECORDS] = HK_LOCK_FREE(HK_RANK_RECORDS),   [HK_RANK_HEAP] = HK_LOCK_FREE(HK_RANK_HEAP),
    [HK_RANK_ORPHANS] = HK_LOCK_FREE(HK_RANK_ORPHANS),   [HK_RANK_POOL] = HK_LOCK_FREE(HK_RANK_POOL),
    [HK_RANK_ARENA] = HK_LOCK_FREE(HK_RANK_ARENA),       [HK_RANK_HUGE] = HK_LOCK_FREE(HK_RANK_HUGE),
    [HK_RANK_MAKING] = HK_LOCK_FREE(HK_RANK_MAKING),     [HK_RANK_ARRAY] = HK_LOCK_FREE(HK_RANK_ARRAY),
    [HK_RANK_LEARNING] = HK_LOCK_FREE(HK_RANK_LEARNING), [HK_RANK_META] = HK_LOCK_FREE(HK_RANK_META),
};
static struct hk_lock other_heap = HK_LOCK_FREE(HK_RANK_HEAP);

/* ---- the order ---- */

struct pair {
    struct hk_lock *outer, *inner;
    bool threads, tries;
};

static void take_both(void *arg)
{
    const struct pair *pair = arg;
    if (pair->threads)
        unit_second_thread();
    hk_lock(pair->outer);
    if (!pair->tries)
        hk_lock(pair->inner);
    else
        EXPECT(hk_try_lock(pair->inner));
    hk_unlock(pair->outer); /* the order of these makes no difference */
    hk_unlock(pair->inner);
    EXPECT(hk_held_count() == 0);
}

static void expect_death(void (*body)(void *), void *arg, const char *message)
{
    struct unit_child child;
    unit_run(&child, body, arg);
    if (!WIFSIGNALED(child.status) || WTERMSIG(child.status) != SIGABRT || strstr(child.text, message) == NULL)
        fail_msg("status 0x%x and not \"%s\": %s", (unsigned)child.status, message, child.text);
}

static void expect_refused(struct hk_lock *outer, struct hk_lock *inner, const char *message)
{
    for (unsigned way = 0; way < 3; way++) { /* where nothing is written, too; and by who only tries */
        struct pair pair = {outer, inner, way != 0, way == 2};
        expect_death(take_both, &pair, message);
    }
}

static void the_outer_one_comes_first(void **state)
{
    (void)state;
    static const enum hk_rank order[] = {HK_RANK_FILE, HK_RANK_SWEEPING, HK_RANK_RECORDS, HK_RANK_HEAP, HK_RANK_ORPHANS,
                                         HK_RANK_POOL, HK_RANK_ARENA,    HK_RANK_HUGE,    HK_RANK_META};
    for (unsigned i = 0; i + 1 < HK_COUNT(order); i++) {
        for (unsigned way = 0; way < 3; way++) {
            struct pair pair = {&lock[order[i]], &lock[order[i + 1]], way != 0, way == 2};
            unit_passes(take_both, &pair);
        }
        expect_refused(&lock[order[i + 1]], &lock[order[i]], "");
    }
    expect_refused(&lock[HK_RANK_ARENA], &lock[HK_RANK_POOL], "takes the lock `pool` and holds `arena`");
    expect_refused(&lock[HK_RANK_META], &lock[HK_RANK_RECORDS], "takes the lock `records` and holds `meta`");
}

static void two_of_a_rank_are_one_too_many(void **state)
{
    (void)state;
    expect_refused(&lock[HK_RANK_HEAP], &other_heap, "takes the lock `heap` and holds `heap`");
    struct pair pair = {&lock[HK_RANK_POOL], &lock[HK_RANK_POOL], false, false}; /* one thread would not wait */
    expect_death(take_both, &pair, "takes the lock `pool` and holds `pool`");
}

static void those_outside_have_rules_of_their_own(void **state)
{
    (void)state;
    struct pair fine[] = {{&lock[HK_RANK_MAKING], &lock[HK_RANK_META], true, false},
                          {&lock[HK_RANK_SWEEPING], &lock[HK_RANK_ARRAY], true, false},
                          {&lock[HK_RANK_SWEEPING], &lock[HK_RANK_MAKING], true, true}};
    for (unsigned i = 0; i < HK_COUNT(fine); i++)
        unit_passes(take_both, &fine[i]);
    expect_refused(&lock[HK_RANK_HEAP], &lock[HK_RANK_ARRAY], "takes the lock `array` and holds `heap`");
    expect_refused(&lock[HK_RANK_ARRAY], &lock[HK_RANK_META], "takes the lock `meta` and holds `array`");
    expect_refused(&lock[HK_RANK_ARRAY], &lock[HK_RANK_HEAP], "takes the lock `heap` and holds `array`");
    expect_refused(&lock[HK_RANK_MAKING], &lock[HK_RANK_ARRAY], "takes the lock `array` and holds `making`");
    expect_refused(&lock[HK_RANK_META], &lock[HK_RANK_LEARNING], "takes the lock `learning` and holds `meta`");
    expect_refused(&lock[HK_RANK_LEARNING], &lock[HK_RANK_META], "takes the lock `meta` and holds `learning`");
}

/* ---- counts ---- */

static void take_some(void *arg)
{
    (void)arg;
    EXPECT(hk_held_taken(HK_RANK_HEAP) == 0);
    for (unsigned i = 0; i < 2; i++) {
        hk_lock(&lock[HK_RANK_HEAP]);
        EXPECT(hk_try_lock(&lock[HK_RANK_POOL]));
        EXPECT(!hk_try_lock(&lock[HK_RANK_POOL])); /* not taken */
        hk_unlock(&lock[HK_RANK_POOL]);
        hk_unlock(&lock[HK_RANK_HEAP]);
    }
    EXPECT(hk_held_taken(HK_RANK_HEAP) == 2 && hk_held_taken(HK_RANK_POOL) == 2 && hk_held_taken(HK_RANK_META) == 0);
}

static void what_is_taken_is_counted(void **state)
{
    (void)state;
    unit_passes(take_some, NULL);
}

/* ---- giving back ---- */

static void give_what_another_has(void *arg)
{
    (void)arg;
    unit_second_thread();
    lock[HK_RANK_POOL].word = 1;
    hk_lock(&lock[HK_RANK_HEAP]);
    hk_unlock(&lock[HK_RANK_POOL]);
}

static void give_without_any(void *arg)
{
    (void)arg;
    hk_unlock(&lock[HK_RANK_POOL]);
}

static void give_twice(void *arg)
{
    (void)arg;
    unit_second_thread();
    hk_lock(&lock[HK_RANK_POOL]);
    hk_unlock(&lock[HK_RANK_POOL]);
    hk_unlock(&lock[HK_RANK_POOL]);
}

static void give_what_was_written_over(void *arg)
{
    (void)arg;
    unit_second_thread();
    hk_lock(&lock[HK_RANK_POOL]);
    lock[HK_RANK_POOL].word = 0;
    hk_unlock(&lock[HK_RANK_POOL]);
}

static void who_has_not_gives_not(void **state)
{
    (void)state;
    expect_death(give_what_another_has, NULL, "gives back the lock `pool` without having it; it holds `heap`");
    expect_death(give_without_any, NULL, "gives back the lock `pool` and holds none");
    expect_death(give_twice, NULL, "gives back the lock `pool` and holds none");
    expect_death(give_what_was_written_over, NULL, "whose word is not as it left it");
}

static void a_thread_in_between(void *arg)
{
    (void)arg;
    hk_lock(&lock[HK_RANK_POOL]);
    unit_second_thread();
    hk_unlock(&lock[HK_RANK_POOL]);
}

static void no_thread_is_made_under_a_lock(void **state)
{
    (void)state;
    expect_death(a_thread_in_between, NULL, "the lock `pool`, taken while the process had one thread");
}

static void take_without_rank(void *arg)
{
    (void)arg;
    hk_lock(&lock[HK_RANK_NONE]);
}

static void every_lock_has_a_rank(void **state)
{
    (void)state;
    expect_death(take_without_rank, NULL, "takes a lock without a rank");
}

/* ---- what is not done under a lock ---- */

static void report(void *arg)
{
    struct hk_fmt f;
    hk_lock(arg);
    hk_fmt_start(&f, 2);
    hk_fmt(&f, "a line\n");
    hk_fmt_end(&f);
    hk_unlock(arg);
}

static void misuse(void *arg)
{
    hk_lock(arg);
    hk_misuse(HK_MISUSE_INVALID, "free", &lock, NULL, 0);
}

static void *never_runs(void *arg)
{
    return arg;
}

static void start(void *arg)
{
    hk_lock(arg);
    hk_thread_start(never_runs);
}

static void watch(void *arg)
{
    hk_lock(arg);
    hk_thread_watch(arg);
}

static void fail_within(void *arg)
{
    hk_lock(arg);
    hk_assert_failed("a thing", __FILE__, __LINE__);
}

static void nobody_is_called_under_a_lock(void **state)
{
    (void)state;
    expect_death(report, &lock[HK_RANK_ARENA], "writes a report while it holds the lock `arena`");
    expect_death(misuse, &lock[HK_RANK_HEAP], "reports a misuse while it holds the lock `heap`");
    expect_death(start, &lock[HK_RANK_META], "starts a thread while it holds the lock `meta`");
    expect_death(watch, &lock[HK_RANK_HUGE], "lets libc allocate while it holds the lock `huge`");
    expect_death(fail_within, &lock[HK_RANK_HUGE], "internal error: a thing");
    unit_passes(report, &lock[HK_RANK_FILE]); /* it is for this alone */
}

#define LARGE (HK_LARGE_CALL + 4096)

static void purge(void *arg)
{
    char *p = hk_os_map(LARGE);
    EXPECT(p != NULL && hk_os_purge(p, LARGE));
    hk_lock(&lock[HK_RANK_POOL]);
    EXPECT(hk_os_purge(p, arg != NULL ? LARGE : HK_LARGE_CALL));
    hk_unlock(&lock[HK_RANK_POOL]);
}

static void unmap(void *arg)
{
    char *p = hk_os_map(LARGE);
    hk_lock(&lock[HK_RANK_HEAP]);
    EXPECT(hk_os_unmap(p, arg != NULL ? LARGE : HK_LARGE_CALL));
    hk_unlock(&lock[HK_RANK_HEAP]);
}

static void move(void *arg)
{
    char *p = hk_os_map(4096);
    hk_lock(&lock[HK_RANK_HUGE]);
    EXPECT(hk_os_remap(p, 4096, arg != NULL ? LARGE : HK_LARGE_CALL) != NULL);
    hk_unlock(&lock[HK_RANK_HUGE]);
}

static void grow(void *arg)
{
    hk_large_calls_begin();
    unmap(arg);
    hk_large_calls_end();
    purge(arg);
}

static void nobody_waits_for_large_calls(void **state)
{
    (void)state;
    unit_passes(purge, NULL);
    unit_passes(unmap, NULL);
    unit_passes(move, NULL);
    expect_death(purge, &lock, "advises on a range of more than 64 KiB while it holds the lock `pool`");
    expect_death(unmap, &lock, "unmaps a range of more than 64 KiB while it holds the lock `heap`");
    expect_death(move, &lock, "moves or resizes a mapping of more than 64 KiB while it holds the lock `huge`");
    expect_death(grow, &lock, "advises on a range"); /* what is allowed is so no longer than it says */
}

/* ---- fork in a signal handler ---- */

static void child_of_a_handler(void *arg)
{
    (void)arg;
    unit_second_thread();
    hk_lock(&lock[HK_RANK_META]);
    hk_all_locks_free(); /* the child */
    hk_lock_reset(&lock[HK_RANK_META]);
    hk_lock(&lock[HK_RANK_RECORDS]);
    hk_unlock(&lock[HK_RANK_RECORDS]);
    hk_no_lock_held("does anything");
    hk_unlock(&lock[HK_RANK_META]); /* what was interrupted goes on */
    EXPECT(hk_held_count() == 0);
}

static void a_childs_locks_count_no_more(void **state)
{
    (void)state;
    unit_passes(child_of_a_handler, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_outer_one_comes_first),
        cmocka_unit_test(two_of_a_rank_are_one_too_many),
        cmocka_unit_test(those_outside_have_rules_of_their_own),
        cmocka_unit_test(what_is_taken_is_counted),
        cmocka_unit_test(who_has_not_gives_not),
        cmocka_unit_test(no_thread_is_made_under_a_lock),
        cmocka_unit_test(every_lock_has_a_rank),
        cmocka_unit_test(nobody_is_called_under_a_lock),
        cmocka_unit_test(nobody_waits_for_large_calls),
        cmocka_unit_test(a_childs_locks_count_no_more),
    };
    return cmocka_run_group_tests_name("held", tests, NULL, NULL);
}
