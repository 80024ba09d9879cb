/* SPDX-License-Identifier: MIT
 *
 * System calls by our own instruction: every argument arrives, errors come back as numbers, errno stays.
 */
#include "unit.h"

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static void results_and_errors_come_back(void **state)
{
    (void)state;
    errno = 77;
    assert_int_equal(hk_sys0(SYS_getpid), getpid());
    assert_int_equal(hk_sys1(SYS_close, -1), -EBADF);
    assert_int_equal(hk_sys2(SYS_munmap, 1, 4096), -EINVAL);
    assert_true(hk_sys_failed(-EBADF) && hk_sys_failed(-4095));
    assert_false(hk_sys_failed(0) || hk_sys_failed(1) || hk_sys_failed(-4096) || hk_sys_failed(INTPTR_MIN));
    assert_int_equal(errno, 77);
}

/* Calls whose last argument decides what they do. */
static void every_argument_arrives(void **state)
{
    (void)state;
    int fds[2];
    char text[8] = {0};
    assert_int_equal(hk_sys2(SYS_pipe2, (long)fds, O_CLOEXEC), 0);
    assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(hk_sys3(SYS_write, fds[1], (long)"abcdef", 3), 3);
    assert_int_equal(hk_sys3(SYS_read, fds[0], (long)text, 8), 3);
    assert_string_equal(text, "abc");

    const long page = sysconf(_SC_PAGESIZE);
    int file = memfd_create("sys", 0);
    assert_int_equal(ftruncate(file, 2 * page), 0);
    assert_int_equal(hk_sys4(SYS_pwrite64, file, (long)"second", 6, page), 6);
    char *p = (char *)hk_sys6(SYS_mmap, 0, page, PROT_READ, MAP_SHARED, file, page);
    assert_false(hk_sys_failed((long)p));
    assert_string_equal(p, "second");
    char *moved = (char *)hk_sys6(SYS_mmap, 0, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_equal((char *)hk_sys5(SYS_mremap, (long)p, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, (long)moved),
                     moved);
    assert_string_equal(moved, "second");
    assert_int_equal(hk_sys2(SYS_munmap, (long)moved, page), 0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(hk_sys1(SYS_close, fds[i]), 0);
    close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_and_errors_come_back),
        cmocka_unit_test(every_argument_arrives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
