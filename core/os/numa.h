/* SPDX-License-Identifier: MIT
 *
 * numa: near which memory the calling thread runs, and a wish where the pages of a mapping should lie.
 *
 * Nodes are numbered anew: 0 is the one on which the process started, the others follow in the system's order, at most
 * HK_NUMA_NODES. A thread on a node that has no number counts as one on node 0. On a machine with one node, where the
 * question is refused, with HAKMEM_NUMA=0, and before hk_numa_start, there is one node: then nothing here makes a
 * system call, and hk_numa_node is a load and a branch.
 *
 * Any thread, without locks: what is learned is written once, before hk_numa_count is. Where the answers come from is
 * the build's choice (os/numa_sys.h). With -Dnuma=disabled there is one node at compile time. Knows base only.
 */
#ifndef HK_OS_NUMA_H
#define HK_OS_NUMA_H

#include "base/atomic.h"
#include "base/compiler.h"
#include "config.h"

#if HK_NUMA

#define HK_NUMA_NODES 32u

extern HK_HIDDEN _Atomic unsigned hk_numa_count; /* 1 until more are known, then constant */
extern HK_HIDDEN _Atomic bool hk_numa_pending;   /* started, and nodes are not known yet */

/* Once, when options have been read. True: more than one node is known from now on; mappings made before have no wish.
 */
bool hk_numa_start(void);

HK_SLOW_PATH bool hk_numa_learn_slow(void);

/* Where the system's answer was not to be had at the start (libnuma's) it is asked for here. True as above, for one
 * caller. May allocate: the caller holds no lock, and its thread's front is whole. */
static inline bool hk_numa_learn(void)
{
    return HK_NUMA_LATE && HK_UNLIKELY(hk_load_relaxed(&hk_numa_pending)) &&
           hk_numa_learn_slow(); /* which looks again */
}

/* The node of the processor that runs the calling thread now. By hk_numa_node only. */
HK_NOINLINE unsigned hk_numa_current(void);

/* Asks that pages of a mapping be taken from a node while it has some: a wish that may be ignored. Once per mapping,
 * not for parts of it. Nothing happens where there is one node, or where the user chose a policy (numactl) before the
 * nodes were learned. */
void hk_numa_prefer(void *ptr, size_t size, unsigned node);

static inline unsigned hk_numa_nodes(void)
{
    return hk_load_acquire(&hk_numa_count); /* pairs with the release in learn_nodes */
}

static inline unsigned hk_numa_node(void)
{
    return HK_UNLIKELY(hk_numa_nodes() > 1) ? hk_numa_current() : 0;
}

#else

#define HK_NUMA_NODES 1u

static inline bool hk_numa_start(void)
{
    return false;
}

static inline bool hk_numa_learn(void)
{
    return false;
}

static inline void hk_numa_prefer(void *ptr, size_t size, unsigned node)
{
}

static inline unsigned hk_numa_nodes(void)
{
    return 1;
}

static inline unsigned hk_numa_node(void)
{
    return 0;
}

#endif

#endif
