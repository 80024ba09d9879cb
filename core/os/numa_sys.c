/* SPDX-License-Identifier: MIT
 *
 * What is asked alike wherever the nodes are known from. (libnuma's functions for it allocate.)
 */
#include "os/numa_sys.h"

#include "base/sys.h"
#include "os/os.h"
#include "os/vdso.h"

bool hk_numa_sys_has_policy(void)
{
    int mode = HK_MPOL_DEFAULT;
    return hk_sys5(SYS_get_mempolicy, (long)&mode, 0, 0, 0, 0) == 0 && mode != HK_MPOL_DEFAULT;
}

bool hk_numa_sys_current(unsigned *node)
{
    return hk_vdso_node(node);
}

bool hk_numa_sys_prefer(void *ptr, size_t size, unsigned node)
{
    uint64_t mask = (uint64_t)1 << node;
    hk_os_count_call();
    return hk_sys6(SYS_mbind, (long)ptr, (long)size, HK_MPOL_PREFERRED, (long)&mask, HK_NUMA_SYS_NODES + 1, 0) == 0;
}
