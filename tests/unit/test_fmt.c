/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "base/fmt.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

static int file = -1; /* of the group: what is written can be read back */

static int open_file(void **state)
{
    (void)state;
    file = memfd_create("fmt", MFD_CLOEXEC);
    return file < 0;
}

static int close_file(void **state)
{
    (void)state;
    return close(file);
}

static void start(struct hk_fmt *f)
{
    assert_int_equal(ftruncate(file, 0), 0);
    assert_int_equal(lseek(file, 0, SEEK_SET), 0);
    hk_fmt_start(f, file);
}

static const char *finish(struct hk_fmt *f)
{
    static char text[65536];
    assert_true(hk_fmt_end(f));
    ssize_t n = pread(file, text, sizeof text - 1, 0);
    assert_true(n >= 0);
    text[n] = 0;
    return text;
}

/* The same text as printf makes of it. */
#define SAME(...)                                   \
    do {                                            \
        struct hk_fmt f_;                           \
        char want_[512];                            \
        snprintf(want_, sizeof want_, __VA_ARGS__); \
        start(&f_);                                 \
        hk_fmt(&f_, __VA_ARGS__);                   \
        assert_string_equal(finish(&f_), want_);    \
    } while (0)

static void plain_text_and_strings(void **state)
{
    (void)state;
    SAME("hello\n");
    SAME("%s", "");
    SAME("[%s] [%10s] [%-10s] [%2s]", "word", "word", "word", "longer");
    SAME("100%% %c%c", 'a', '%');
}

static void decimal_numbers(void **state)
{
    (void)state;
    const int values[] = {0, 1, -1, 9, 10, 42, -42, 12345, INT_MAX, INT_MIN};
    for (size_t i = 0; i < HK_COUNT(values); i++) {
        int v = values[i];
        SAME("%d [%8d] [%-8d]", v, v, v);
        SAME("%u [%12u] [%-12u] [%012u]", (unsigned)v, (unsigned)v, (unsigned)v, (unsigned)v);
    }
}

static void long_numbers(void **state)
{
    (void)state;
    const uint64_t values[] = {0, 1, 4294967295u, 4294967296u, INT64_MAX, (uint64_t)INT64_MIN, UINT64_MAX};
    for (size_t i = 0; i < HK_COUNT(values); i++) {
        uint64_t v = values[i];
        SAME("%zu %lu %llu", (size_t)v, (unsigned long)v, (unsigned long long)v);
        SAME("%ld %lld [%-24lld]", (long)v, (long long)v, (long long)v);
        SAME("%22zu|%-22lu|%022llu", (size_t)v, (unsigned long)v, (unsigned long long)v);
    }
}

static void hexadecimal_numbers(void **state)
{
    (void)state;
    SAME("%x %x %x", 0u, 0xdeadbeefu, UINT_MAX);
    SAME("[%8x] [%08x] [%-8x]", 0xabcu, 0xabcu, 0xabcu);
    SAME("%zx %lx %llx", (size_t)0x123456789abcdef, (unsigned long)15, (unsigned long long)UINT64_MAX);
    SAME("%p %p", (void *)0x7f12345678a0, (void *)1);
}

static void the_null_pointer_is_a_number(void **state)
{
    (void)state;
    struct hk_fmt f;
    start(&f);
    hk_fmt(&f, "%p", NULL);
    assert_string_equal(finish(&f), "0x0");
}

static void zeros_stand_behind_the_sign(void **state)
{
    (void)state;
    SAME("%05d|%020lld", -42, (long long)INT64_MIN + 1);
    SAME("%0100d|%0225u|%0120zx", -42, 42u, (size_t)42);
}

static void characters_have_a_width(void **state)
{
    (void)state;
    SAME("[%4c] [%-4c]", 'x', 'y');
}

static void long_text_comes_out_in_parts(void **state)
{
    (void)state;
    static char want[30000];
    struct hk_fmt f;
    size_t used = 0;
    start(&f);
    for (unsigned i = 0; i < 2000; i++) {
        used += (size_t)snprintf(want + used, sizeof want - used, "%u:%s;", i, "abcdef");
        hk_fmt(&f, "%u:%s;", i, "abcdef");
    }
    assert_true(used > 10 * sizeof f.buf);
    assert_string_equal(finish(&f), want);
}

/* Lengths around the buffer's, so that nothing is lost or doubled at its end. */
static void the_buffers_end_is_no_border(void **state)
{
    (void)state;
    static char want[2100];
    memset(want, 'x', sizeof want - 1);
    for (size_t n = 995; n <= 1005; n++) {
        struct hk_fmt f;
        start(&f);
        hk_fmt(&f, "%s", want + sizeof want - 1 - n);
        hk_fmt(&f, "%s", want + sizeof want - 1 - n);
        const char *text = finish(&f);
        assert_int_equal(strlen(text), 2 * n);
    }
}

static void a_failing_descriptor_is_told_at_the_end(void **state)
{
    (void)state;
    struct hk_fmt f;
    int fds[] = {-1, open("/dev/full", O_WRONLY), open("/dev/null", O_RDONLY)};
    for (size_t i = 0; i < HK_COUNT(fds); i++) {
        hk_fmt_start(&f, fds[i]);
        hk_fmt(&f, "short");
        assert_false(hk_fmt_end(&f));
        hk_fmt_start(&f, fds[i]);
        for (unsigned n = 0; n < 1000; n++)
            hk_fmt(&f, "%s", "many full buffers");
        assert_true(f.failed);
        assert_true(f.used <= sizeof f.buf);
        assert_false(hk_fmt_end(&f));
    }
    close(fds[1]);
    close(fds[2]);
}

static void text_after_a_failure_is_dropped(void **state)
{
    (void)state;
    struct hk_fmt f;
    hk_fmt_start(&f, -1);
    for (unsigned n = 0; n < 300; n++)
        hk_fmt(&f, "%10u", n);
    start(&f); /* only to empty the file */
    f.failed = true;
    hk_fmt(&f, "must not appear");
    assert_false(hk_fmt_end(&f));
    assert_int_equal(lseek(file, 0, SEEK_END), 0);
}

static void ignore(int signal_number)
{
    (void)signal_number;
}

static void *read_all(void *arg)
{
    int fd = *(int *)arg;
    char part[4096];
    size_t total = 0;
    ssize_t n;
    usleep(30000); /* the writer sleeps in write meanwhile, and is interrupted */
    while ((n = read(fd, part, sizeof part)) > 0)
        total += (size_t)n;
    return (void *)total;
}

static void an_interrupted_write_goes_on(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = ignore}, before;
    struct itimerval every = {{0, 5000}, {0, 5000}}, never = {{0, 0}, {0, 0}};
    int fds[2];
    pthread_t reader;
    void *total;
    struct hk_fmt f;
    sigset_t alarms;
    assert_int_equal(pipe(fds), 0);
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarms, NULL); /* inherited by the reader: the writer alone is interrupted */
    assert_int_equal(pthread_create(&reader, NULL, read_all, &fds[0]), 0);
    pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
    sigaction(SIGALRM, &action, &before);
    setitimer(ITIMER_REAL, &every, NULL);
    hk_fmt_start(&f, fds[1]);
    for (unsigned i = 0; i < 20000; i++)
        hk_fmt(&f, "%010u", i);
    bool ok = hk_fmt_end(&f);
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
    close(fds[1]);
    pthread_join(reader, &total);
    close(fds[0]);
    assert_true(ok);
    assert_int_equal((size_t)total, 200000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_and_strings),
        cmocka_unit_test(decimal_numbers),
        cmocka_unit_test(long_numbers),
        cmocka_unit_test(hexadecimal_numbers),
        cmocka_unit_test(the_null_pointer_is_a_number),
        cmocka_unit_test(zeros_stand_behind_the_sign),
        cmocka_unit_test(characters_have_a_width),
        cmocka_unit_test(long_text_comes_out_in_parts),
        cmocka_unit_test(the_buffers_end_is_no_border),
        cmocka_unit_test(a_failing_descriptor_is_told_at_the_end),
        cmocka_unit_test(text_after_a_failure_is_dropped),
        cmocka_unit_test(an_interrupted_write_goes_on),
    };
    return cmocka_run_group_tests_name("fmt", tests, open_file, close_file);
}
