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

/* The stack pointer behind a frame pointer and a return address, whose caller's frame pointer is `next`: they are the
 * first that a function puts onto the stack. */
static inline uintptr_t hk_stack_of_caller(uintptr_t fp, uintptr_t next)
{
    return fp + 2 * sizeof next;
}

/* What a handler of a signal returns to, mov $15, %rax and syscall; and where the kernel left the registers, from the
 * stack pointer on that is found there: rsp, rbp, rbx, rip, and where to go on. */
#define HK_SIGNAL_CODE "\x48\xc7\xc0\x0f\0\0\0\x0f\x05"
#define HK_SIGNAL_REGISTERS 160, 120, 128, 168, 168

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

/* They lie below what else the function has there, so that nothing tells where that ends. But its caller's frame
 * pointer is where its stack pointer is, or is what its frame is found by. */
static inline uintptr_t hk_stack_of_caller(uintptr_t fp, uintptr_t next)
{
    return next > fp ? next : fp + 2 * sizeof next;
}

/* mov x8, #139 and svc #0: the kernel's own code, of which it tells nothing; then sp, x29, x19, x30 and pc. */
#define HK_SIGNAL_CODE "\x68\x11\x80\xd2\x01\0\0\xd4"
#define HK_SIGNAL_REGISTERS 560, 544, 464, 552, 568

#endif
#endif
