/* SPDX-License-Identifier: MIT */
#include "os/fault.h"

#include "base/sys.h"

#include <signal.h>
#include <ucontext.h>

#if defined(__x86_64__)

#define WRITES 2u /* a bit of the error code of a page fault */

uintptr_t hk_fault_pc(const void *context)
{
    const ucontext_t *c = context;
    return (uintptr_t)c->uc_mcontext.gregs[REG_RIP];
}

const char *hk_fault_act(const void *context)
{
    const ucontext_t *c = context;
    return ((unsigned long)c->uc_mcontext.gregs[REG_ERR] & WRITES) != 0 ? "wrote to" : "read";
}

#else

uintptr_t hk_fault_pc(const void *context)
{
    const ucontext_t *c = context;
    return (uintptr_t)c->uc_mcontext.pc;
}

const char *hk_fault_act(const void *context)
{
    return "touched";
}

#endif

/* Of the C library's structure the kernel's has the first word, and not more than this. */
uintptr_t hk_fault_handler(int signum)
{
    uintptr_t action[8] = {0};
    hk_sys4(SYS_rt_sigaction, signum, 0, (long)action, 8);
    return action[0];
}

void hk_fault_send(int signum)
{
    hk_sys3(SYS_tgkill, hk_sys0(SYS_getpid), hk_sys0(SYS_gettid), signum);
}
