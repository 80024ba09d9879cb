/* SPDX-License-Identifier: MIT
 *
 * state: a process that begins anew. libFuzzer runs many inputs in one process; what one of them leaves behind in the
 * boxes must not decide what the next one finds, or a failure could not be repeated from its input alone. Where the
 * variables of the boxes lie in sections of their own (state_section.h) they are put back to what they were, this
 * thread's front is made a zeroed one, and all that the fake system has mapped is unmapped. Elsewhere nothing happens:
 * each input has a process of its own (support/replay.c).
 *
 * Not put back: what the C library knows (that there was a second thread), addresses that the kernel chooses.
 */
#ifndef HK_FUZZ_STATE_H
#define HK_FUZZ_STATE_H

/* Once, before the first input, and before any box was used. */
void state_keep(void);

/* Before each input. */
void state_restore(void);

#endif
