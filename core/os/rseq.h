/* SPDX-License-Identifier: MIT
 *
 * rseq: restartable sequences: a few instructions that the kernel begins anew where their thread was preempted, moved
 * to another processor, or interrupted by a signal in the middle. What they change belongs to the processor that they
 * run on, and needs neither a lock nor an atomic operation.
 *
 * The kernel (4.18 and later) wants an area for each thread, and the C library has registered one (glibc 2.35 and
 * later). That one is used; none is registered here. Where it is missing, an area of ours stands in that the kernel
 * knows nothing of: its processor is 0, and nothing is begun anew.
 *
 * Any thread. What is learned is learned once, by hk_rseq_start. Knows base only.
 */
#ifndef HK_OS_RSEQ_H
#define HK_OS_RSEQ_H

#include "base/atomic.h"
#include "base/compiler.h"

/* The area: the beginning of the kernel's struct rseq. */
struct hk_rseq {
    uint32_t cpu_id_start;
    uint32_t cpu_id;  /* the processor; above INT32_MAX: the kernel does not know this thread's area */
    uint64_t section; /* the descriptor of the sequence that is under way */
};

/* From a thread's pointer to its area. */
extern HK_HIDDEN ptrdiff_t hk_rseq_offset;

/* Learns where the areas are. Returns one more than the highest number that a processor can have; 0: there are no
 * sequences, and each thread's area is ours. By one thread; again it finds the same. */
unsigned hk_rseq_start(void);

static inline struct hk_rseq *hk_rseq_area(void)
{
    return (struct hk_rseq *)(void *)((char *)__builtin_thread_pointer() + hk_rseq_offset);
}

/* The processor that this thread runs on, or did a moment ago. */
static inline uint32_t hk_rseq_processor(void)
{
    return hk_peek(&hk_rseq_area()->cpu_id);
}

/* When it returns, no thread is in a sequence that it had begun before the call; and what threads did before is seen by
 * this one. False: refused, or Linux before 5.10. */
bool hk_rseq_restart(void);

#endif
