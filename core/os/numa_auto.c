/* SPDX-License-Identifier: MIT
 *
 * Nodes by raw system calls: no library, no allocation, no stdio.
 */
#include "os/numa_sys.h"
#include "os/os.h"

#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

bool hk_numa_sys_ready(bool starting)
{
    (void)starting;
    return true;
}

static bool parse_number(const char **text, unsigned *n)
{
    const char *s = *text;
    for (*n = 0; *s >= '0' && *s <= '9' && *n < 100000; s++)
        *n = *n * 10 + (unsigned)(*s - '0');
    bool any = s != *text;
    *text = s;
    return any;
}

uint64_t hk_numa_parse(const char *text)
{
    uint64_t nodes = 0;
    for (unsigned first, last;; text++) {
        if (!parse_number(&text, &first))
            return 0;
        last = first;
        if (*text == '-') {
            text++;
            if (!parse_number(&text, &last))
                return 0;
        }
        for (; first <= last && first < HK_NUMA_SYS_NODES; first++)
            nodes |= (uint64_t)1 << first;
        if (*text == 0 || *text == '\n')
            return nodes;
        if (*text != ',')
            return 0;
    }
}

uint64_t hk_numa_sys_online(void)
{
    char text[256];
    long fd = syscall(SYS_openat, AT_FDCWD, "/sys/devices/system/node/online", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    long n = syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    text[n > 0 ? n : 0] = 0;
    return hk_numa_parse(text);
}

/* glibc asks the kernel's page of functions in the process: 20 ns, where a system call takes 100. */
bool hk_numa_sys_current(unsigned *node)
{
    unsigned cpu;
#if defined(__GLIBC__)
    return getcpu(&cpu, node) == 0;
#else
    return syscall(SYS_getcpu, &cpu, node, NULL) == 0;
#endif
}

bool hk_numa_sys_prefer(void *ptr, size_t size, unsigned node)
{
    int mode = MPOL_DEFAULT;
    uint64_t mask = (uint64_t)1 << node;
    if (syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0) == 0 && mode != MPOL_DEFAULT)
        return true;
    hk_os_count_call();
    return syscall(SYS_mbind, ptr, size, MPOL_PREFERRED, &mask, HK_NUMA_SYS_NODES + 1, 0) == 0;
}
