/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "base/assert.h"
#include "base/options.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK ((void *)0x7f12345678a0)
#define INSIDE ((void *)0x7f12345678b0)
#define SLAB ((void *)0x7f1234560000)

struct misuse {
    enum hk_misuse kind;
    const char *verb;
    const void *ptr, *block;
    size_t size;
    bool warn;
};

static void commit_misuse(void *arg)
{
    const struct misuse *m = arg;
    if (m->warn)
        EXPECT(hk_option_store(HK_OPT_MISUSE, 0));
    hk_misuse(m->kind, m->verb, m->ptr, m->block, m->size);
}

static void dies_with(struct misuse m, const char *line)
{
    struct unit_child child;
    m.warn = false;
    unit_run(&child, commit_misuse, &m);
    assert_string_equal(child.text, line);
    assert_true(WIFSIGNALED(child.status));
    assert_int_equal(WTERMSIG(child.status), SIGABRT);
}

/* One line and death; with warn the same line and life. */
static void says(struct misuse m, const char *line)
{
    struct unit_child child;
    dies_with(m, line);
    m.warn = true;
    unit_run(&child, commit_misuse, &m);
    assert_string_equal(child.text, line);
    assert_int_equal(child.status, 0);
}

static void double_free(void **state)
{
    (void)state;
    says((struct misuse){HK_MISUSE_DOUBLE_FREE, "free", BLOCK, NULL, 48},
         "hakmem: double free of 0x7f12345678a0 (48-byte block)\n");
    says((struct misuse){HK_MISUSE_DOUBLE_FREE, "free", BLOCK, NULL, 0}, "hakmem: double free of 0x7f12345678a0\n");
}

static void use_of_a_free_block(void **state)
{
    (void)state;
    says((struct misuse){HK_MISUSE_DOUBLE_FREE, "realloc", BLOCK, NULL, 48},
         "hakmem: realloc of the free block 0x7f12345678a0 (48-byte block)\n");
    says((struct misuse){HK_MISUSE_DOUBLE_FREE, "malloc_usable_size", BLOCK, NULL, 0},
         "hakmem: malloc_usable_size of the free block 0x7f12345678a0\n");
}

static void invalid_pointer(void **state)
{
    (void)state;
    says((struct misuse){HK_MISUSE_INVALID, "free", (void *)0x7ffd12345678, NULL, 0},
         "hakmem: free of an invalid pointer 0x7ffd12345678 (not a block of this allocator)\n");
    says((struct misuse){HK_MISUSE_INVALID, "realloc", (void *)8, NULL, 0},
         "hakmem: realloc of an invalid pointer 0x8 (not a block of this allocator)\n");
}

static void interior_pointer(void **state)
{
    (void)state;
    says((struct misuse){HK_MISUSE_INTERIOR, "free", INSIDE, BLOCK, 48},
         "hakmem: free of an interior pointer 0x7f12345678b0 (inside the 48-byte block at 0x7f12345678a0)\n");
    says((struct misuse){HK_MISUSE_INTERIOR, "malloc_usable_size", INSIDE, BLOCK, 1073741824},
         "hakmem: malloc_usable_size of an interior pointer 0x7f12345678b0 (inside the 1073741824-byte block at "
         "0x7f12345678a0)\n");
}

/* The list is lost, and blocks may be anywhere: going on is no choice. */
static void corrupted_list(void **state)
{
    (void)state;
    struct misuse m = {HK_MISUSE_CORRUPT, "malloc", SLAB, NULL, 48};
    dies_with(m, "hakmem: corrupted free list in the 48-byte slab at 0x7f1234560000 (write after free)\n");
}

static void note_and_report(void *arg)
{
    hk_corrupt_report(); /* nothing */
    hk_corrupt_note(SLAB, 48);
    hk_corrupt_note(BLOCK, 64); /* one is enough */
    if (arg != NULL)
        EXPECT(hk_option_store(HK_OPT_MISUSE, 0));
    hk_corrupt_report();
}

/* Found at one moment and reported at another; no word of HAKMEM_MISUSE spares the process. */
static void a_corrupted_list_is_reported_later(void **state)
{
    (void)state;
    for (uintptr_t warn = 0; warn < 2; warn++) {
        struct unit_child child;
        unit_run(&child, note_and_report, (void *)warn);
        assert_string_equal(child.text,
                            "hakmem: corrupted free list in the 48-byte slab at 0x7f1234560000 (write after free)\n");
        assert_true(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT);
    }
}

static void in_handler(int signum)
{
    (void)signum;
    hk_corrupt_report(); /* a handler that allocates gets here, and there is nothing left to say */
    _exit(42);
}

static void report_again(void *arg)
{
    signal(SIGABRT, in_handler);
    note_and_report(arg);
}

static void it_is_reported_once(void **state)
{
    (void)state;
    assert_int_equal(unit_status(report_again, NULL), 42);
}

static void fail_assertion(void *arg)
{
    (void)arg;
    hk_assert_failed("slab->used >= n", "box/heap.c", 42);
}

static void internal_error(void **state)
{
    (void)state;
    struct unit_child child;
    unit_run(&child, fail_assertion, NULL);
    assert_string_equal(child.text, "hakmem: internal error: slab->used >= n (box/heap.c:42)\n");
    assert_true(WIFSIGNALED(child.status));
    assert_int_equal(WTERMSIG(child.status), SIGABRT);
}

static unsigned evaluated;

static bool evaluate(bool value)
{
    evaluated++;
    return value;
}

static void assert_false_thing(void *expensive)
{
    if (expensive != NULL)
        HK_EXPENSIVE(evaluate(false));
    else
        HK_ASSERT(evaluate(false));
}

/* As the build says: not even evaluated, or fatal. */
static void assertions_follow_the_build(void **state)
{
    (void)state;
    struct unit_child child;
    evaluated = 0;
    HK_ASSERT(evaluate(true));
    HK_EXPENSIVE(evaluate(true));
    assert_int_equal(evaluated, HK_CHECK_FAST + HK_CHECK_FULL);
    unit_run(&child, assert_false_thing, NULL);
    assert_int_equal(child.status != 0, HK_CHECK_FAST);
    unit_run(&child, assert_false_thing, &evaluated);
    assert_int_equal(child.status != 0, HK_CHECK_FULL);
    assert_int_equal(child.length != 0, HK_CHECK_FULL);
}

static void free_twice_in_a_child(void *arg)
{
    (void)arg;
    hk_misuse_left_behind = true;
    hk_misuse(HK_MISUSE_DOUBLE_FREE, "free", NULL, NULL, 48);
    hk_misuse(HK_MISUSE_INVALID, "free", NULL, NULL, 0); /* ends it */
}

static void what_threads_left_half_freed_is_no_misuse(void **state)
{
    (void)state;
    struct unit_child child;
    unit_run(&child, free_twice_in_a_child, NULL);
    assert_true(WIFSIGNALED(child.status));
    assert_null(strstr(child.text, "double free"));
    assert_non_null(strstr(child.text, "invalid pointer"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_threads_left_half_freed_is_no_misuse),
        cmocka_unit_test(double_free),
        cmocka_unit_test(use_of_a_free_block),
        cmocka_unit_test(invalid_pointer),
        cmocka_unit_test(interior_pointer),
        cmocka_unit_test(corrupted_list),
        cmocka_unit_test(a_corrupted_list_is_reported_later),
        cmocka_unit_test(it_is_reported_once),
        cmocka_unit_test(internal_error),
        cmocka_unit_test(assertions_follow_the_build),
    };
    return cmocka_run_group_tests_name("assert", tests, NULL, NULL);
}
