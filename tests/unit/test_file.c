/* SPDX-License-Identifier: MIT
 *
 * Files for reports, and numbers out of files.
 */
#include "unit.h"

#include "base/fmt.h"
#include "os/file.h"
#include "os/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Entries at the ends of what is read at once, and ones that begin or end as another does. */
static void entries_are_found_whole(void **state)
{
    (void)state;
    char path[64], entry[32];
    snprintf(path, sizeof path, "/tmp/hk-entries-%d", (int)getpid());
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (unsigned i = 0; i < 3000; i++) {
        fprintf(file, "NAME_%u=%u", i * 7, i);
        fputc(0, file);
    }
    fprintf(file, "LAST=1"); /* without an end */
    fclose(file);
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(entry, sizeof entry, "NAME_%u=%u", i * 7, i);
        assert_true(hk_environ_has(path, entry));
        entry[strlen(entry) - 1] = 0;
        assert_int_equal(hk_environ_has(path, entry), false);
        assert_false(hk_environ_has(path, entry + 1));
    }
    assert_false(hk_environ_has(path, "LAST=1"));
    assert_false(hk_environ_has(path, "NAME_"));
    unlink(path);
    assert_false(hk_environ_has(path, "NAME_0=0"));
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    char path[64], text[16];
    struct hk_fmt f;
    snprintf(path, sizeof path, "/tmp/hk-file-%d", (int)getpid());
    errno = 77;
    int fd = hk_file_create(path);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    hk_fmt_start(&f, fd);
    hk_fmt(&f, "twenty letters, all told");
    assert_true(hk_fmt_end(&f));
    hk_file_close(fd);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    errno = 77;
    assert_true(hk_file_text(path, text, sizeof text));
    assert_string_equal(text, "twenty letters,");
    hk_file_close(hk_file_create(path)); /* anew: empty */
    assert_false(hk_file_text(path, text, sizeof text));
    unlink(path);
    assert_false(hk_file_text(path, text, sizeof text));
    assert_true(hk_file_create("/no/such/folder/file") < 0);
    assert_int_equal(errno, 77);
}

static void a_copy_has_a_high_number(void **state)
{
    (void)state;
    int fd = hk_file_copy(2, 100);
    assert_true(fd >= 100);
    hk_file_close(fd);
    assert_true(hk_file_copy(-1, 100) < 0);
}

static void numbers_are_read(void **state)
{
    (void)state;
    assert_int_equal(hk_file_number("0\n"), 0);
    assert_int_equal(hk_file_number("123 456"), 123);
    assert_int_equal(hk_file_number(""), 0);
    assert_int_equal(hk_file_number("18446744073709551615"), SIZE_MAX);
    assert_int_equal(hk_file_number("18446744073709551616"), SIZE_MAX);
    assert_int_equal(hk_file_number("99999999999999999999999"), SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_copy_has_a_high_number),
        cmocka_unit_test(numbers_are_read),
        cmocka_unit_test(entries_are_found_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
