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
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The nodes of a line such as "Mems_allowed_list:\t0-1,3". */
static uint64_t nodes_of(const char *list)
{
    uint64_t nodes = 0;
    for (char *end; *list >= '0' && *list <= '9'; list = *end == ',' ? end + 1 : end) {
        unsigned long first = strtoul(list, &end, 10), last = *end == '-' ? strtoul(end + 1, &end, 10) : first;
        for (; first <= last && first < HK_NUMA_SYS_NODES; first++)
            nodes |= (uint64_t)1 << first;
    }
    return nodes;
}

static void this_machine_is_known(void **state)
{
    (void)state;
    static const char key[] = "Mems_allowed_list:\t";
    char line[4096];
    uint64_t allowed = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, key, sizeof key - 1) == 0)
            allowed = nodes_of(line + sizeof key - 1);
    }
    if (file != NULL)
        fclose(file);
    if (allowed == 0 || syscall(SYS_get_mempolicy, NULL, NULL, 0, NULL, 0) != 0)
        skip(); /* a kernel without nodes, or the call is refused */
    assert_int_equal(hk_numa_sys_allowed(), allowed);
    unsigned node = 99;
    assert_true(hk_numa_sys_current(&node));
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
    EXPECT(!hk_numa_sys_has_policy());
    EXPECT(hk_numa_sys_prefer(p, 8 * 4096, node));
    EXPECT(hk_os_calls() == calls + 1);
    EXPECT(syscall(SYS_get_mempolicy, &mode, NULL, 0, p, 2) == 0 && mode == MPOL_PREFERRED);
    EXPECT(!hk_numa_sys_prefer(p + 1, 4096, node));
    EXPECT(!hk_numa_sys_prefer(p, 4096, 63));
    uint64_t mask = (uint64_t)1 << node;
    EXPECT(syscall(SYS_set_mempolicy, MPOL_BIND, &mask, 65) == 0);
    EXPECT(hk_numa_sys_has_policy());
}

static void a_mapping_can_have_a_wish(void **state)
{
    (void)state;
    unit_passes(wish, NULL);
}

static void refuse_all(void *arg)
{
    (void)arg;
    static const long refused[] = {SYS_getcpu, SYS_mbind, SYS_get_mempolicy};
    struct sock_filter filter[2 * 3 + 2];
    unsigned n = 0;
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (unsigned i = 0; i < 3; i++) {
        filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)refused[i], 0, 1);
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    }
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = (unsigned short)n, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(77);
    char *p = hk_os_map(4096);
    EXPECT(hk_numa_sys_allowed() == 0 && !hk_numa_sys_has_policy());
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
        cmocka_unit_test(this_machine_is_known),
        cmocka_unit_test(a_mapping_can_have_a_wish),
        cmocka_unit_test(refused_calls_leave_one_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
