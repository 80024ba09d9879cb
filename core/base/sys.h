/* SPDX-License-Identifier: MIT
 *
 * sys: system calls by one instruction of ours. The C library's wrappers may be replaced by any library in the process,
 * set errno, and some are cancellation points; these are seen by nobody but the kernel.
 *
 * hk_sys<N>(number, ...) takes N arguments and returns what the kernel does: a result, or -errno. Any thread, any time.
 * Knows nobody. Included by base/ANY.c and os/ANY.c only; what the rest needs has a name there (os/os.h, os/file.h).
 */
#ifndef HK_BASE_SYS_H
#define HK_BASE_SYS_H

#include "base/compiler.h"

#include <sys/syscall.h>

#if defined(__x86_64__) && defined(__LP64__)
#include "base/sys_x86_64.h"
#elif defined(__aarch64__) && defined(__LP64__)
#include "base/sys_aarch64.h"
#else
#error "system calls are known for x86-64 and aarch64 only"
#endif

/* The kernel's numbers that have names in its own headers (<linux/...>) alone, which need not be there: C libraries do
 * not bring them. */
#define HK_FUTEX_WAIT_PRIVATE 128
#define HK_FUTEX_WAKE_PRIVATE 129
#define HK_MPOL_DEFAULT 0
#define HK_MPOL_PREFERRED 1
#define HK_MPOL_F_MEMS_ALLOWED 4
#define HK_MEMBARRIER_PRIVATE_EXPEDITED_RSEQ 128
#define HK_MEMBARRIER_REGISTER_PRIVATE_EXPEDITED_RSEQ 256

/* The kernel keeps the last page of numbers for errors. */
static inline bool hk_sys_failed(long result)
{
    return (unsigned long)result > -4096ul;
}

#endif
