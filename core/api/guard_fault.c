/* SPDX-License-Identifier: MIT
 *
 * The handler of SIGSEGV. What is a wrong use of a guarded block is told, and then what had the signal before has it
 * again: the instruction is stopped once more, and the program ends as it would without us, or its handler decides.
 * All else goes on to who had the signal before at once.
 *
 * A program that takes the signal later takes it from us. That is noticed when the next guarded block is made, and ours
 * stands before it again. It may know ours as the one before it, and so call it again, for the same fault: then the one
 * before all of them is asked.
 */
#include "api/guard.h"

#include "base/fmt.h"
#include "os/fault.h"
#include "os/thread.h"

#include <errno.h>
#include <signal.h>

#define TAKEN_MOST 8u /* who takes it more often keeps it */

/* Who had the signal before us, one after the other; written before `takes`. */
static struct sigaction before[TAKEN_MOST];
static _Atomic unsigned takes;
static _Atomic uint32_t taking;    /* somebody is at it; nobody waits */
static _Atomic uint32_t reporting; /* the same, and others wait for a while */

/* The fault that is being handed on: what the kernel says of it, and the frame of our handler. */
static _Atomic uintptr_t handed_info, handed_frame;

/* ---- what is said ---- */

static void put_line(const struct hk_guarded_block *block, uintptr_t at, const void *context)
{
    struct hk_fmt f;
    const char *what = "overflow", *where = "behind";
    size_t distance = at - block->start - block->size;
    if (at < block->start) {
        where = "before";
        distance = block->start - at;
    } else if (at < block->start + block->size) {
        where = "into";
        distance = at - block->start;
    }
    if (block->state != HK_GUARDED_LIVE)
        what = "use after free";
    hk_fmt_start(&f, 2);
    hk_fmt(&f, "hakmem: %s: somebody %s %p, %zu bytes %s the %zu-byte block at %p\n", what, hk_fault_act(context),
           (const void *)at, distance, where, block->size, (const void *)block->start);
    hk_fmt_end(&f);
}

/* Without the frames of the handler. The instruction itself is given as a return address is: one byte behind. */
static void cut_to_fault(struct hk_guarded_stack *stack, uintptr_t pc)
{
    unsigned first = 0;
    while (first < stack->depth && stack->pc[first] != pc)
        first++;
    if (first == stack->depth) /* the stack could not be followed so far */
        stack->depth = 1;
    else
        stack->depth -= first;
    for (unsigned i = 1; i < stack->depth; i++)
        stack->pc[i] = stack->pc[first + i];
    stack->pc[0] = pc + 1;
}

static HK_NOINLINE void report_fault(uintptr_t at, const void *context)
{
    struct hk_guarded_block block;
    struct hk_guarded_stack now;
    uint32_t nobody = 0;
    if (!hk_cas_acquire(&reporting, &nobody, 1)) {
        for (unsigned i = 0; i < 250 && hk_load_acquire(&reporting) != 0; i++) /* pairs with the release below */
            hk_thread_sleep(&reporting, 1, 20);
        return;
    }
    if (hk_guarded_find(at, &block)) {
        hk_guarded_look(&now, NULL);
        cut_to_fault(&now, hk_fault_pc(context));
        put_line(&block, at, context);
        hk_guard_write(&block, &now);
    }
    hk_store_release(&reporting, 0); /* pairs with the load above */
}

/* ---- handing on ---- */

static void take_default(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(SIGSEGV, &action, NULL);
}

static void hand_on(const struct sigaction *to, int signum, siginfo_t *info, void *context)
{
    bool is_fault = info->si_code > 0;
    if ((to->sa_flags & SA_SIGINFO) == 0 && to->sa_handler == SIG_IGN && !is_fault)
        return;
    if ((to->sa_flags & SA_SIGINFO) == 0 && (to->sa_handler == SIG_DFL || to->sa_handler == SIG_IGN)) {
        take_default();
        if (!is_fault)
            hk_fault_send(signum);
        return; /* the instruction is stopped again */
    }
    if ((to->sa_flags & (int)SA_RESETHAND) != 0)
        take_default();
    if ((to->sa_flags & SA_SIGINFO) != 0)
        to->sa_sigaction(signum, info, context);
    else
        to->sa_handler(signum);
}

static void on_fault(int signum, siginfo_t *info, void *context)
{
    int saved = errno;
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0), at = (uintptr_t)info->si_addr;
    unsigned last = hk_load_acquire(&takes) - 1; /* pairs with hk_guard_catch */
    bool again = hk_load_relaxed(&handed_info) == (uintptr_t)info && frame < hk_load_relaxed(&handed_frame);
    if (!again && info->si_code > 0 && hk_guarded_has((const void *)at)) {
        report_fault(at, context);
        sigaction(SIGSEGV, &before[last], NULL);
    } else {
        hk_store_relaxed(&handed_info, (uintptr_t)info);
        hk_store_relaxed(&handed_frame, frame);
        hand_on(&before[again ? 0 : last], signum, info, context);
        hk_store_relaxed(&handed_info, 0);
    }
    errno = saved;
}

/* ---- taking ---- */

/* As who had it before wants to be called, or, where nobody had, on the stack that there is for handlers. */
static bool take_signal(unsigned n)
{
    struct sigaction ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    if (sigaction(SIGSEGV, NULL, &before[n]) != 0)
        return false;
    bool had =
        (before[n].sa_flags & SA_SIGINFO) != 0 || (before[n].sa_handler != SIG_DFL && before[n].sa_handler != SIG_IGN);
    if (had) {
        ours.sa_mask = before[n].sa_mask;
        ours.sa_flags = SA_SIGINFO | (before[n].sa_flags & (SA_ONSTACK | SA_RESTART | (int)SA_NODEFER));
    }
    hk_store_release(&takes, n + 1); /* pairs with on_fault */
    return sigaction(SIGSEGV, &ours, NULL) == 0;
}

void hk_guard_catch(void)
{
    uint32_t nobody = 0;
    unsigned n = hk_load_relaxed(&takes);
    if (hk_fault_handler(SIGSEGV) == (uintptr_t)on_fault || n == TAKEN_MOST || !hk_cas_acquire(&taking, &nobody, 1))
        return;
    if (hk_load_relaxed(&takes) == n)
        take_signal(n);
    hk_store_release(&taking, 0); /* pairs with the compare-and-swap */
}

void hk_guard_let_go(void)
{
    unsigned n = hk_load_relaxed(&takes);
    if (n != 0 && hk_fault_handler(SIGSEGV) == (uintptr_t)on_fault)
        sigaction(SIGSEGV, &before[n - 1], NULL);
}
