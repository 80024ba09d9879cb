/* SPDX-License-Identifier: MIT
 *
 * step: what happens when another thread, or a signal handler, comes between two instructions. A call is made once
 * instruction by instruction (the processor's trap flag), and then again and again with a breakpoint at each of those
 * in turn, at which another thread makes another call: to its end, or until it waits for the first one. So every place
 * where two calls can meet is met, on one processor too. x86-64 only. Uses EXPECT: for children.
 */
#ifndef HK_TEST_STEP_H
#define HK_TEST_STEP_H

#include "unit.h"

struct step_pair {
    void (*prepare)(void);
    void (*mine)(void);
    void (*other)(void);
    void (*check)(void); /* both have ended */
    bool in_handler;     /* the other call is made by a signal handler of the thread that makes the first one */
    void (*late)(void);  /* not NULL: `mine` is called in a new thread each time, and this in a destructor after that of
                            the box, which has its key already; all is stepped through, to the end of the thread */
    /* NULL; or the first call has restartable sequences, which would begin anew after each step for ever: makes it one
     * without (true), in which the instructions are looked up, and with them again. Then other calls are made at
     * breakpoints only, and a sequence begins anew behind each of them. */
    void (*without_sequences)(bool without);
};

/* Returns how many times the other call was made. */
unsigned step_through(const struct step_pair *pair);

/* The same, each time in a fork of this process, and at most so many: for what a process does once. */
unsigned step_through_forks(const struct step_pair *pair, unsigned most);

#endif
