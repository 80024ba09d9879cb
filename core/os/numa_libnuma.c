/* SPDX-License-Identifier: MIT
 *
 * Nodes by libnuma. It allocates, and knows nothing before its own constructor has run (in a static program that may be
 * after ours): so it is asked later, by hk_numa_learn, and then only for what it learned in that constructor, and for
 * the nodes that this process may use.
 */
#include "os/numa_sys.h"

#include <numa.h>

bool hk_numa_sys_ready(bool starting)
{
    return !starting && numa_all_nodes_ptr != NULL;
}

/* A machine with one node is told without a system call. */
uint64_t hk_numa_sys_allowed(void)
{
    uint64_t nodes = 0;
    if (numa_max_node() <= 0 || numa_available() < 0)
        return 0;
    struct bitmask *allowed = numa_get_mems_allowed();
    for (unsigned node = 0; node < HK_NUMA_SYS_NODES && (int)node <= numa_max_node(); node++)
        nodes |= (uint64_t)(numa_bitmask_isbitset(allowed, node) != 0) << node;
    numa_bitmask_free(allowed);
    return nodes;
}
