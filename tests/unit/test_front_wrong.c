/* SPDX-License-Identifier: MIT
 *
 * Pointers that are no live blocks. Each case runs in a child.
 */
#include "front_fixture.h"

#include "base/options.h"
#include "fake_os.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct wrong {
    size_t size;
    long offset;
    bool freed;
    const char *verb, *text;
};

static char *blocks[3];

static void take_blocks(const struct wrong *w)
{
    for (unsigned i = 0; i < 3; i++) {
        blocks[i] = front_take(w->size);
        memset(blocks[i], 1, hk_min(w->size, 4096));
    }
}

/* The block in the middle is used wrongly. */
static void use_block(const struct wrong *w)
{
    char *p = blocks[1];
    if (w->freed)
        front_free(p);
    if (w->verb[0] == 'f')
        front_free(p + w->offset);
    else if (w->verb[0] == 'r')
        hk_resize(p + w->offset, 10);
    else
        (void)hk_block_find(p + w->offset, w->verb);
}

static void use_wrongly(void *arg)
{
    const struct wrong *w = arg;
    take_blocks(w);
    fprintf(stderr, "%zx %zx ", (size_t)(blocks[1] + w->offset), (size_t)blocks[1]);
    fflush(stderr);
    use_block(w);
}

/* 1: the pointer, 2: the block */
static const struct wrong cases[] = {
    {64, 0, true, "free", "double free of 0x%1$zx (64-byte block)\n"},
    {5000, 0, true, "free", "double free of 0x%1$zx (5440-byte block)\n"},
    {22000, 0, true, "free", "double free of 0x%1$zx (26176-byte block)\n"},
    {262144, 0, true, "free", "double free of 0x%1$zx\n"},
    {64, 0, true, "realloc", "realloc of the free block 0x%1$zx (64-byte block)\n"},
    {64, 1, false, "free", "free of an interior pointer 0x%1$zx (inside the 64-byte block at 0x%2$zx)\n"},
    {64, 16, false, "free", "free of an interior pointer 0x%1$zx (inside the 64-byte block at 0x%2$zx)\n"},
    {4096, 8, false, "free", "free of an interior pointer 0x%1$zx (inside the 4096-byte block at 0x%2$zx)\n"},
    {22000, 64, false, "free", "free of an interior pointer 0x%1$zx (inside the 26176-byte block at 0x%2$zx)\n"},
    {262144, 16, false, "free", "free of an interior pointer 0x%1$zx (inside the 262144-byte block at 0x%2$zx)\n"},
    {262144, 8192, false, "realloc",
     "realloc of an interior pointer 0x%1$zx (inside the 262144-byte block at 0x%2$zx)\n"},
    {67108864, 4096, false, "free",
     "free of an interior pointer 0x%1$zx (inside the 67108864-byte block at 0x%2$zx)\n"},
    {64, 16, false, "malloc_usable_size",
     "malloc_usable_size of an interior pointer 0x%1$zx (inside the 64-byte block at 0x%2$zx)\n"},
};

static void wrong_pointers_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < HK_COUNT(cases); i++) {
        struct wrong w = cases[i];
        struct unit_child child;
        char want[300], *end;
        unit_run(&child, use_wrongly, &w);
        assert_true(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT);
        size_t pointer = strtoull(child.text, &end, 16), block = strtoull(end, &end, 16);
        snprintf(want, sizeof want, w.text, pointer, block);
        assert_int_equal(strncmp(end + 1, "hakmem: ", 8), 0);
        assert_string_equal(end + 1 + 8, want);
    }
}

static void report_and_abort(void *arg)
{
    take_blocks(arg);
    front_watch_reports();
    use_block(arg);
}

static void report_and_go_on(void *arg)
{
    EXPECT(hk_option_store(HK_OPT_MISUSE, 0));
    report_and_abort(arg);
    EXPECT(front_reports() == 1);
    _exit(3);
}

static void a_report_holds_no_lock(void **state)
{
    (void)state;
    for (size_t i = 0; i < HK_COUNT(cases); i++) {
        struct wrong w = cases[i];
        assert_int_equal(unit_status(report_and_abort, &w), FRONT_REPORTED);
        assert_int_equal(unit_status(report_and_go_on, &w), 3);
    }
}

static void go_on_after_warning(void *arg)
{
    (void)arg;
    char on_stack[16] = {0};
    char *p = front_take(100);
    EXPECT(hk_option_store(HK_OPT_MISUSE, 0));
    front_free(on_stack);
    front_free(p + 16);
    EXPECT(hk_block_find(on_stack, "malloc_usable_size").size == 0);
    errno = 0;
    EXPECT(hk_resize(p + 16, 10) == NULL && errno == EINVAL);
    front_free(p);
    front_free(p);
    unsigned found = 0; /* not twice in the bin, nor in the slab */
    for (unsigned i = 0; i < 1000; i++)
        found += front_take(100) == p;
    EXPECT(found == 1);
}

static void with_warn_the_program_goes_on(void **state)
{
    (void)state;
    struct unit_child child;
    unit_run(&child, go_on_after_warning, NULL);
    assert_int_equal(child.status, 0);
    unsigned lines = 0;
    for (const char *at = child.text; (at = strstr(at, "hakmem: ")) != NULL; at++)
        lines++;
    assert_int_equal(lines, 5);
}

/* ---- in a signal handler that interrupts a slow path ---- */

static unsigned interruptions;
static char *in_run, *in_huge;

static void ask_for_wrong_sizes(int number)
{
    char on_stack[16] = {0};
    EXPECT(hk_block_find(on_stack, "malloc_usable_size").size == 0);
    EXPECT(hk_block_find(in_run + 16, "malloc_usable_size").size == 0);
    EXPECT(hk_block_find(in_huge + 4096, "malloc_usable_size").size == 0);
    interruptions += number != 0;
}

static void interrupt_slow_path(void)
{
    if (hk_front_thread() != NULL && hk_front_thread()->pass.state == HK_PASS_INSIDE)
        raise(SIGUSR1);
}

static void misuse_in_handler(void *arg)
{
    (void)arg;
    unit_second_thread();
    EXPECT(hk_option_store(HK_OPT_MISUSE, 0));
    in_run = front_take(100000);
    in_huge = front_take(64 * HK_MIB);
    EXPECT(signal(SIGUSR1, ask_for_wrong_sizes) != SIG_ERR);
    fake_os_during_calls(interrupt_slow_path);
    static const size_t sizes[] = {300000, 3 * HK_MIB, 100, 40 * HK_MIB, 20000};
    for (unsigned i = 0; i < 100; i++) {
        void *p[10];
        for (unsigned n = 0; n < HK_COUNT(p); n++)
            memset(p[n] = front_take(sizes[i % HK_COUNT(sizes)]), 1, 100);
        for (unsigned n = 0; n < HK_COUNT(p); n++)
            front_free(p[n]);
        hk_trim(0);
    }
    EXPECT(interruptions > 100);
}

static void a_handler_that_interrupts_a_slow_path_does_not_hang(void **state)
{
    (void)state;
    unit_passes(misuse_in_handler, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_pointers_are_named),
        cmocka_unit_test(a_report_holds_no_lock),
        cmocka_unit_test(with_warn_the_program_goes_on),
        cmocka_unit_test(a_handler_that_interrupts_a_slow_path_does_not_hang),
    };
    return cmocka_run_group_tests_name("front_wrong", tests, NULL, NULL);
}
