/* SPDX-License-Identifier: MIT */
#include "os/numa.h"

#include "base/bits.h"
#include "base/options.h"
#include "os/numa_sys.h"

static unsigned home; /* the system's number of node 0; written before hk_numa_pending */

/* The system's number of a node, and the other way round; written before hk_numa_count. */
static uint8_t system_of[HK_NUMA_NODES];
static uint8_t node_of[HK_NUMA_SYS_NODES];

static bool chosen; /* the user chose a policy: no wishes. Written before hk_numa_count */

_Atomic unsigned hk_numa_count = 1;
_Atomic bool hk_numa_pending;

/* Home first, so that what was allocated before nodes were known lies where node 0 is. */
static unsigned number_nodes(uint64_t nodes)
{
    unsigned count = 1;
    system_of[0] = (uint8_t)home;
    for (nodes &= ~((uint64_t)1 << home); nodes != 0 && count < HK_NUMA_NODES; nodes &= nodes - 1) {
        node_of[hk_lowest(nodes)] = (uint8_t)count;
        system_of[count++] = (uint8_t)hk_lowest(nodes);
    }
    return count;
}

static bool learn_nodes(bool starting)
{
    /* Not pending before the answer is there: asking may come back here through malloc. */
    bool pending = true;
    if (!hk_numa_sys_ready(starting) || !hk_cas_acquire(&hk_numa_pending, &pending, false)) /* with hk_numa_start */
        return false;
    uint64_t nodes = hk_numa_sys_allowed();
    if ((nodes >> home & 1) == 0)
        return false;
    unsigned count = number_nodes(nodes);
    chosen = count > 1 && hk_numa_sys_has_policy();
    hk_store_release(&hk_numa_count, count); /* pairs with the acquire in hk_numa_nodes */
    return count > 1;
}

bool hk_numa_start(void)
{
    if (hk_opt(HK_OPT_NUMA) == 0 || !hk_numa_sys_current(&home) || home >= HK_NUMA_SYS_NODES)
        return false;
    hk_store_release(&hk_numa_pending, true); /* pairs with the acquire in learn_nodes */
    return learn_nodes(true);
}

bool hk_numa_learn_slow(void)
{
    return learn_nodes(false);
}

unsigned hk_numa_current(void)
{
    unsigned node;
    if (hk_opt(HK_OPT_NUMA) == 0 || !hk_numa_sys_current(&node) || node >= HK_NUMA_SYS_NODES)
        return 0;
    return node_of[node];
}

void hk_numa_prefer(void *ptr, size_t size, unsigned node)
{
    if (hk_numa_nodes() > 1 && !chosen && hk_opt(HK_OPT_NUMA) != 0)
        hk_numa_sys_prefer(ptr, size, system_of[node]); /* refused: first touch decides, as without us */
}
