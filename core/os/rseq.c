/* SPDX-License-Identifier: MIT */
#include "os/rseq.h"

#include "base/sys.h"

/* The C library's; not there where it is older. */
extern const ptrdiff_t __rseq_offset HK_WEAK;
extern const unsigned int __rseq_size HK_WEAK;

ptrdiff_t hk_rseq_offset;

static HK_TLS struct hk_rseq stand_in;

/* The most processors that the kernel is built for. */
#define PROCESSORS_MOST 8192u

/* The kernel copies its set whole: so many bits as there can be processors, rounded up. */
static unsigned count_processors(void)
{
    unsigned long set[PROCESSORS_MOST / 8 / sizeof(unsigned long)];
    long bytes = hk_sys3(SYS_sched_getaffinity, 0, sizeof set, (long)set);
    return hk_sys_failed(bytes) ? 0 : (unsigned)bytes * 8;
}

static unsigned learn(void)
{
    /* Without a test of the address a compiler reads what is not there; with the size the other is there. */
    if (&__rseq_size == NULL || __rseq_size == 0)
        return 0;
    return count_processors();
}

unsigned hk_rseq_start(void)
{
    unsigned processors = learn();
    hk_rseq_offset = processors != 0 ? __rseq_offset : (char *)&stand_in - (char *)__builtin_thread_pointer();
    return processors;
}

static bool ask(int command)
{
    return hk_sys3(SYS_membarrier, command, 0, 0) == 0;
}

/* A process must say once that it will ask; most never do. */
bool hk_rseq_restart(void)
{
    return ask(HK_MEMBARRIER_PRIVATE_EXPEDITED_RSEQ) ||
           (ask(HK_MEMBARRIER_REGISTER_PRIVATE_EXPEDITED_RSEQ) && ask(HK_MEMBARRIER_PRIVATE_EXPEDITED_RSEQ));
}
