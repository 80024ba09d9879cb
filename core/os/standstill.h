/* SPDX-License-Identifier: MIT
 *
 * standstill: does something while all other threads of the process stand still, and knows their registers.
 *
 * A process made for the purpose, in the same memory, stops the threads as a debugger does (ptrace), does the work, and
 * lets them go; the caller waits for it. So whatever happens in the work, the caller goes on. What it does must not
 * need a thread that stands still: locks that another may hold. A thread whose system call does not begin anew by
 * itself sees that interrupted (EINTR), as by a debugger.
 *
 * One caller at a time; not in malloc. Makes system calls that sandboxes refuse, or end a process for. Knows os and
 * file; must not know what is done.
 */
#ifndef HK_OS_STANDSTILL_H
#define HK_OS_STANDSTILL_H

#include "base/compiler.h"

#define HK_STILL_STACK ((size_t)262144)
#define HK_STILL_WORDS 104u /* general and vector registers */

struct hk_still_thread {
    uintptr_t sp, tp;               /* the ends of its stack and of its thread-local memory, of which one grows down */
    uintptr_t word[HK_STILL_WORDS]; /* all registers; zeros behind them */
    int number;                     /* the kernel's */
    int signal;                     /* that is to be delivered when it goes on, or 0 */
};

/* What refused: for a message. */
enum hk_still_refusal {
    HK_STILL_DONE,
    HK_STILL_NO_MEMORY,
    HK_STILL_NO_TASKS,   /* /proc does not tell the threads */
    HK_STILL_NO_MAPS,    /* the system does not tell what is mapped, or can be read */
    HK_STILL_NO_PROCESS, /* no process for the work */
    HK_STILL_NO_TRACE,   /* ptrace was refused */
    HK_STILL_NO_STOP,    /* a thread did not stop in time */
    HK_STILL_DIED,       /* the process ended before the work was done */
};

struct hk_still {
    struct hk_still_thread *thread; /* the caller's first; a mapping of its own */
    size_t threads, mapped;
    uintptr_t stack; /* of the process that works, HK_STILL_STACK bytes */
    int error;       /* what the system said to who was refused: a number of errno, or 0 */
};

/* Runs work(ctx, still) once, or says why it was not, or not to its end. `still` is valid in the work alone; its error
 * afterwards, too. */
enum hk_still_refusal hk_stand_still(void (*work)(void *ctx, const struct hk_still *still), void *ctx,
                                     struct hk_still *still);

#endif
