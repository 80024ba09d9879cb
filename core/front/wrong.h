/* SPDX-License-Identifier: MIT
 *
 * wrong: the messages about a pointer that is no live block of ours. `verb` is the entry that it was given to.
 *
 * Any thread that holds no lock of ours and is outside the gate: a handler of SIGABRT may allocate. A signal handler
 * that interrupted its thread inside is turned away there, and says less: an invalid pointer where others know a block.
 */
#ifndef HK_FRONT_WRONG_H
#define HK_FRONT_WRONG_H

#include "base/assert.h"
#include "base/atomic.h"

struct hk_slab;

/* What is above us, and writes where this thread is, and who had asked for a block that is used wrongly:
 * hk_front_profile_begin sets it. Relaxed: a constant. */
struct hk_stack;
typedef void hk_wrong_teller(const struct hk_stack *asked_by);
extern HK_HIDDEN hk_wrong_teller *_Atomic hk_wrong_tell;

/* hk_misuse of front/ANY.c and front/hardened/ANY.c: of a block that a profile has recorded, that is said, too. */
HK_NOINLINE void hk_wrong_say(enum hk_misuse kind, const char *verb, const void *ptr, const void *block, size_t size);

/* Not HK_SLOW_PATH: what is cold lies in the first part of the library, where every program's code is. */

/* Its code is 0, and the page heap has no such live block. */
HK_NOINLINE void hk_wrong_unknown(const void *ptr, const char *verb);

/* No live block of the heap of one's own that it was given to starts there. */
HK_NOINLINE void hk_wrong_in_heap(const void *ptr, const char *verb);

/* It lies in that slab, and no block starts there or a free one does. */
HK_NOINLINE void hk_wrong_in_slab(const void *ptr, const struct hk_slab *slab, const char *verb);

#endif
