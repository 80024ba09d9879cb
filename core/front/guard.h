/* SPDX-License-Identifier: MIT
 *
 * guard: which blocks become guarded ones (box/guarded.h), and what is said of a wrong use of one. Included by
 * front/ANY.c, front/hardened/ANY.c, api/guard.h and api/guard_ANY.c only.
 *
 * While it is off this costs nothing on the fast paths, and next to nothing while it is on: every few milliseconds a
 * thread of ours takes the codes out of the table of one of the program's threads, so that its next mallocs take the
 * slow path; some of these get a guarded block, calls that seldom ask first, and the last one puts the codes back.
 * Without that thread some slow paths look whether it is time. Blocks up to a page are chosen, aligned ones of a class
 * too; none of a heap of one's own.
 *
 * Beginning and ending: one thread at a time. Everything else: any thread. Must not know how a report is written.
 */
#ifndef HK_FRONT_GUARD_H
#define HK_FRONT_GUARD_H

#include "base/assert.h"
#include "box/guarded.h"
#include "front/front.h"

/* ---- choosing ---- */

/* Of a thread, beside its table, `guard` is how many more mallocs are looked at, and in its upper bits how many of them
 * may get a guarded block. 0: its table is whole. Written by the thread, but where it is 0 by ours, which holds the
 * lock of its heap. */
#define HK_GUARD_BLOCK 4096u /* one block */
#define HK_GUARD_LOOKS 2048u /* less than that: so many mallocs at most */
#define HK_GUARD_TOGETHER 8u /* so many blocks at once: to wake a thread costs as much as one */

/* A call that has asked often is chosen once in 2^this. A thread that comes back at once may be looked at longer, so
 * that what seldom asks is seen; one that hardly allocates is not waited for. Relaxed: a measure. */
#define HK_GUARD_OFTEN 3u
#define HK_GUARD_RARELY 8u
extern HK_HIDDEN _Atomic uint32_t hk_guard_rarely;

/* Microseconds that guarded blocks took so far, of all threads. */
extern HK_HIDDEN _Atomic uint64_t hk_guard_spent;

/* Is it on? Relaxed: a call sooner or later. */
extern HK_HIDDEN _Atomic bool hk_guard_on;

/* A malloc in a slow path, while a profile is made or this is on. `first` is where the program's call returns to. */
void *hk_watched_malloc(size_t size, const void *first);

/* ---- the thread that chooses the moments (guard_thread.c) ---- */

/* Is there one? Else slow paths choose. */
bool hk_guard_has_thread(void);

/* False: refused. No lock is held. */
bool hk_guard_start_thread(void);
void hk_guard_stop_thread(void);

/* A thread's codes are back: there is something to do again. */
void hk_guard_wake_thread(void);

/* One that takes the codes of sizes above HK_TINY_MAX away, for one block; 0: none does, else HK_GUARD_WANTED, or
 * while that is put back HK_GUARD_HEARD. */
#define HK_GUARD_WANTED 1u
#define HK_GUARD_HEARD 2u
extern HK_HIDDEN _Atomic uint32_t hk_guard_mid;

/* ---- freeing ---- */

/* A block of the box guarded; keeps errno. Outside the gate. */
void hk_front_free_guarded(void *ptr);

/* What is said of a pointer into a slot where no live block starts, or, with -Dtail, one whose end is wrong. */
void hk_front_wrong_guarded(const void *ptr, const char *verb);

/* ---- by whoever asks; not in a handler ---- */

/* What is above us, and called now and then. */
struct hk_guard_above {
    /* Writes who had the block, and where this thread is now, behind a line that says what is wrong. */
    void (*tell)(const struct hk_guarded_block *block, const struct hk_guarded_stack *now);
    /* A guarded block is about to be made: would a fault be noticed? */
    void (*look_after)(void);
};

/* False: no memory for the slots. Again does no harm. Without our thread slow paths choose, until there is one. */
bool hk_front_guard_begin(const struct hk_guard_above *above);

/* No block is chosen any more; those that live stay guarded. */
void hk_front_guard_end(void);

/* In the child of a fork. `may_start`: threads. */
void hk_front_guard_fork_child(bool may_start);

#endif
