/* SPDX-License-Identifier: MIT
 *
 * guard: when blocks are guarded (front/guard.h), and what is written about a wrong use of one, or of a block that a
 * profile has recorded. Included by api/lifecycle.c, api/profile_when.c, api/leaks_when.c and api/guard_ANY.c only.
 *
 * start and finish run at the start and the end of the process, the child's in a fork. Everything that is said of a
 * fault goes to stderr.
 */
#ifndef HK_API_GUARD_H
#define HK_API_GUARD_H

#include "front/guard.h"

void hk_guard_start(void);
void hk_guard_finish(void);
void hk_guard_fork_child(bool may_start);

/* ---- guard_report.c ---- */

/* Who had the block, with the names of functions: where this thread is, who freed it, who asked for it. Reads files;
 * allocates nothing, and works in a handler. */
void hk_guard_write(const struct hk_guarded_block *block, const struct hk_guarded_stack *now);

/* Of a block that a profile has recorded: where this thread is, and who asked for it. As above. */
void hk_guard_write_asked(const struct hk_stack *asked_by);

/* ---- guard_fault.c ---- */

/* From now on SIGSEGV comes to us, and goes on to who had it; again where somebody else took it meanwhile. */
void hk_guard_catch(void);

/* Who had it has it again, where it is still ours. */
void hk_guard_let_go(void);

#endif
