/* SPDX-License-Identifier: MIT
 *
 * unwind_registers: the registers that a walk up the stack follows, with DWARF's numbers for them, and how it begins.
 * Included by os/unwind_cfi.h only.
 */
#ifndef HK_OS_UNWIND_REGISTERS_H
#define HK_OS_UNWIND_REGISTERS_H

#include "base/compiler.h"

enum { HK_REG_SP, HK_REG_FP, HK_REG_BASE, HK_REG_LINK, HK_REGS };

#if defined(__x86_64__)

#define HK_DWARF_SP 7u
#define HK_DWARF_FP 6u
#define HK_DWARF_BASE 3u  /* rbx */
#define HK_DWARF_LINK 16u /* the return address: no register */

/* Here and now. */
static HK_ALWAYS_INLINE void hk_registers_read(uintptr_t *pc, uintptr_t *reg)
{
    __asm__ volatile("leaq 0(%%rip), %0\n\tmovq %%rsp, %1\n\tmovq %%rbp, %2\n\tmovq %%rbx, %3"
                     : "=&r"(*pc), "=m"(reg[HK_REG_SP]), "=m"(reg[HK_REG_FP]), "=m"(reg[HK_REG_BASE]));
    reg[HK_REG_LINK] = 0;
}

static inline uintptr_t hk_code_address(uintptr_t pc)
{
    return pc;
}

#elif defined(__aarch64__)

#define HK_DWARF_SP 31u
#define HK_DWARF_FP 29u
#define HK_DWARF_BASE 19u
#define HK_DWARF_LINK 30u

static HK_ALWAYS_INLINE void hk_registers_read(uintptr_t *pc, uintptr_t *reg)
{
    uintptr_t sp, fp, base, link;
    __asm__ volatile("adr %0, .\n\tmov %1, sp\n\tmov %2, x29\n\tmov %3, x19\n\tmov %4, x30"
                     : "=&r"(*pc), "=&r"(sp), "=&r"(fp), "=&r"(base), "=&r"(link));
    reg[HK_REG_SP] = sp;
    reg[HK_REG_FP] = fp;
    reg[HK_REG_BASE] = base;
    reg[HK_REG_LINK] = link;
}

/* Return addresses may be signed: XPACLRI, which processors without signatures do not hear. */
static inline uintptr_t hk_code_address(uintptr_t pc)
{
    register uintptr_t link __asm__("x30") = pc;
    __asm__("hint #7" : "+r"(link));
    return link;
}

#endif
#endif
