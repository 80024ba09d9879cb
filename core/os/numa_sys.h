/* SPDX-License-Identifier: MIT
 *
 * numa_sys: what numa.c asks of the system, in the system's numbers of nodes. Answered by raw system calls
 * (numa_sys.c; which nodes there are: numa_auto.c), by libnuma (which nodes there are: numa_libnuma.c), or in unit
 * tests by tests/support/fake_os.c.
 *
 * Any thread. Every call may fail. Knows base only. Included by os/numa*.c only.
 */
#ifndef HK_OS_NUMA_SYS_H
#define HK_OS_NUMA_SYS_H

#include "base/compiler.h"

/* Nodes from here on are not told apart. */
#define HK_NUMA_SYS_NODES 64u

/* May hk_numa_sys_allowed be called now? `starting`: in the library's constructor. Makes no system call. */
bool hk_numa_sys_ready(bool starting);

/* The nodes whose memory this process may use, a bit for each; 0: not known. May allocate with libnuma. */
uint64_t hk_numa_sys_allowed(void);

/* The calling thread has a policy of its own for where its memory lies (numactl); false where that is not known. */
bool hk_numa_sys_has_policy(void);

/* The node of the processor that runs this thread; false: not known. */
bool hk_numa_sys_current(unsigned *node);

/* A preferred node (never a bound one) for the pages of a mapping; false: refused. */
bool hk_numa_sys_prefer(void *ptr, size_t size, unsigned node);

#endif
