/* SPDX-License-Identifier: MIT
 *
 * The raw system calls, on this machine, whatever it has; and with all of them refused.
 */
#include "unit.h"

#include "os/numa.h"
#include "os/numa_sys.h"
#include "os/os.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/mempolicy.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void lists_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t nodes;
    } good[] = {{"0\n", 1}, {"0-1\n", 3}, {"0,2-3,7", 0x8d}, {"0-63\n", UINT64_MAX}, {"62-90,100\n", 3ull << 62}};
    static const char *const bad[] = {"", "\n", "a", "-1", "0-", "0-\n", "0,", "0;1", "0 1", "1-2-3"};
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(hk_numa_parse(good[i].text), good[i].nodes);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(hk_numa_parse(bad[i]), 0);
    assert_int_equal(hk_numa_parse("100\n"), 0); /* none that could be told apart */
}

static void this_machine_is_known(void **state)
{
    (void)state;
    char text[256] = "";
    FILE *file = fopen("/sys/devices/system/node/online", "r");
    if (file != NULL) {
        assert_non_null(fgets(text, sizeof text, file));
        fclose(file);
    }
    assert_int_equal(hk_numa_sys_online(), hk_numa_parse(text));
    unsigned node = 99;
    assert_true(hk_numa_sys_current(&node));
    assert_true(file == NULL || (hk_numa_sys_online() >> node & 1) != 0);
    assert_true(hk_numa_sys_ready(true) && hk_numa_sys_ready(false));
}

static void wish(void *arg)
{
    (void)arg;
    unsigned node;
    int mode = -1;
    char *p = hk_os_map(8 * 4096);
    EXPECT(p != NULL && hk_numa_sys_current(&node));
    if (syscall(SYS_get_mempolicy, &mode, NULL, 0, p, 2 /* MPOL_F_ADDR */) != 0 || mode != MPOL_DEFAULT)
        _exit(0); /* not here, or refused */
    uint64_t calls = hk_os_calls();
    EXPECT(hk_numa_sys_prefer(p, 8 * 4096, node));
    EXPECT(hk_os_calls() == calls + 1);
    EXPECT(syscall(SYS_get_mempolicy, &mode, NULL, 0, p, 2) == 0 && mode == MPOL_PREFERRED);
    EXPECT(!hk_numa_sys_prefer(p + 1, 4096, node));
    EXPECT(!hk_numa_sys_prefer(p, 4096, 63));
    /* A policy that the user chose stays. */
    uint64_t mask = (uint64_t)1 << node;
    char *q = hk_os_map(4096);
    EXPECT(syscall(SYS_set_mempolicy, MPOL_BIND, &mask, 65) == 0);
    EXPECT(hk_numa_sys_prefer(q, 4096, node));
    EXPECT(syscall(SYS_get_mempolicy, &mode, NULL, 0, q, 2) == 0 && mode == MPOL_DEFAULT); /* none of its own */
}

static void a_mapping_can_have_a_wish(void **state)
{
    (void)state;
    unit_passes(wish, NULL);
}

static void refuse_all(void *arg)
{
    (void)arg;
    static const long refused[] = {SYS_openat, SYS_getcpu, SYS_mbind, SYS_get_mempolicy};
    struct sock_filter filter[2 * 4 + 2];
    unsigned n = 0;
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (unsigned i = 0; i < 4; i++) {
        filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)refused[i], 0, 1);
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    }
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = (unsigned short)n, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(77);
    char *p = hk_os_map(4096);
    EXPECT(hk_numa_sys_online() == 0);
    EXPECT(!hk_numa_sys_prefer(p, 4096, 0));
    EXPECT(!hk_numa_start() && hk_numa_nodes() == 1 && hk_numa_node() == 0);
}

static void refused_calls_leave_one_node(void **state)
{
    (void)state;
    int status = unit_status(refuse_all, NULL);
    if (status == 77)
        skip();
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read),
        cmocka_unit_test(this_machine_is_known),
        cmocka_unit_test(a_mapping_can_have_a_wish),
        cmocka_unit_test(refused_calls_leave_one_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
