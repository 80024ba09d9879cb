/* SPDX-License-Identifier: MIT
 *
 * standstill_regs: where a stopped thread's registers say what its stack and its thread-local memory are. Included by
 * os/standstill.c only.
 */
#ifndef HK_OS_STANDSTILL_REGS_H
#define HK_OS_STANDSTILL_REGS_H

#include "base/compiler.h"

#include <elf.h>
#include <sys/procfs.h>
#include <sys/user.h>

#if defined(__x86_64__)

typedef struct user_regs_struct hk_still_general;
typedef struct user_fpregs_struct hk_still_vector;
#define HK_STILL_SP(regs) ((uintptr_t)(regs).rsp)
#define HK_STILL_TP(regs) ((uintptr_t)(regs).fs_base)
#define HK_STILL_TP_NOTE 0 /* with the others */

#elif defined(__aarch64__)

typedef struct user_regs_struct hk_still_general;
typedef struct user_fpsimd_struct hk_still_vector;
#define HK_STILL_SP(regs) ((uintptr_t)(regs).sp)
#define HK_STILL_TP(regs) ((uintptr_t)0)
#define HK_STILL_TP_NOTE 0x401 /* NT_ARM_TLS */

#endif
#endif
