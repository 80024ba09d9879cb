/* SPDX-License-Identifier: MIT
 *
 * Nodes by a raw system call: no library, no allocation, no file.
 */
#include "base/sys.h"
#include "os/numa_sys.h"

/* As many as any kernel is built for: one with more possible nodes than there is room for refuses. */
#define POSSIBLE_NODES 1024u

bool hk_numa_sys_ready(bool starting)
{
    return true;
}

uint64_t hk_numa_sys_allowed(void)
{
    uint64_t nodes[POSSIBLE_NODES / 64] = {0};
    /* The kernel takes the number of bits to be one less than it is told. */
    if (hk_sys5(SYS_get_mempolicy, 0, (long)nodes, POSSIBLE_NODES + 1, 0, HK_MPOL_F_MEMS_ALLOWED) != 0)
        return 0;
    return nodes[0];
}
