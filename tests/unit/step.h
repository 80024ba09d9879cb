/* SPDX-License-Identifier: MIT
 *
 * step: what happens when another thread comes between two instructions. A call is made once instruction by instruction
 * (the processor's trap flag), and then again and again with a breakpoint at each of those in turn, at which another
 * thread makes another call: to its end, or until it waits for the first one. So every place where two calls can meet
 * is met, on one processor too. x86-64 only. Uses EXPECT: for children.
 */
#ifndef HK_TEST_STEP_H
#define HK_TEST_STEP_H

#include "unit.h"

struct step_pair {
    void (*prepare)(void);
    void (*mine)(void);
    void (*other)(void);
    void (*check)(void); /* both have ended */
};

/* Returns how many times the other call was made. */
unsigned step_through(const struct step_pair *pair);

#endif
