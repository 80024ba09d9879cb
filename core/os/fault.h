/* SPDX-License-Identifier: MIT
 *
 * fault: what the kernel tells a handler of SIGSEGV, and whose handler that is. Included by os/fault.c and
 * api/guard_fault.c only.
 *
 * Any thread, handlers too: raw system calls only. Knows base only.
 */
#ifndef HK_OS_FAULT_H
#define HK_OS_FAULT_H

#include "base/compiler.h"

/* The instruction that was stopped, by the third argument of a handler. */
uintptr_t hk_fault_pc(const void *context);

/* What it did: "wrote to" or "read", or where the processor does not say it "touched". */
const char *hk_fault_act(const void *context);

/* The address of the handler of a signal, or one of the constants that are none. */
uintptr_t hk_fault_handler(int signum);

/* Sends a signal to this thread, which gets it when a handler that it is in has returned. */
void hk_fault_send(int signum);

#endif
