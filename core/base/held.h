/* SPDX-License-Identifier: MIT
 *
 * held: which locks each thread holds, and whether it may take one more, wait for the system, or call the program now.
 * It is there with -Dcheck=fast and full; otherwise every call here is empty.
 *
 * Each thread has its own notes, so nobody synchronises. A lock (os/lock.h) says when it is taken and given back;
 * whoever calls what is not ours says so before. What breaks a rule ends the process with a message that names the
 * ranks. Knows fmt and assert; not what a lock is made of: a lock is known by the address of its rank.
 */
#ifndef HK_BASE_HELD_H
#define HK_BASE_HELD_H

#include "base/compiler.h"
#include "config.h"

/* Every lock that there is. docs/concurrency.md says what each guards; base/held.c which may be held when one is taken.
 */
enum hk_rank {
    HK_RANK_NONE, /* somebody forgot to say; taking such a lock breaks a rule */
    HK_RANK_FILE,
    HK_RANK_SWEEPING,
    HK_RANK_OWN,
    HK_RANK_OWNS,
    HK_RANK_RECORDS,
    HK_RANK_HEAP,
    HK_RANK_ORPHANS,
    HK_RANK_POOL,
    HK_RANK_ARENA,
    HK_RANK_HUGE,
    HK_RANK_MAKING,
    HK_RANK_ARRAY,
    HK_RANK_LEARNING,
    HK_RANK_PROFILE,
    HK_RANK_META,
    HK_RANKS,
};

/* Their names, as initializers of an array by rank. */
#define HK_RANK_NAMES                                                                                                  \
    [HK_RANK_NONE] = "a rank that nobody named", [HK_RANK_FILE] = "file of pictures", [HK_RANK_SWEEPING] = "sweeping", \
    [HK_RANK_OWN] = "heap of one's own", [HK_RANK_OWNS] = "heaps of one's own", [HK_RANK_RECORDS] = "records",         \
    [HK_RANK_HEAP] = "heap", [HK_RANK_ORPHANS] = "orphan heap", [HK_RANK_POOL] = "pool", [HK_RANK_ARENA] = "arena",    \
    [HK_RANK_HUGE] = "huge", [HK_RANK_MAKING] = "making", [HK_RANK_ARRAY] = "array", [HK_RANK_LEARNING] = "learning",  \
    [HK_RANK_PROFILE] = "profile", [HK_RANK_META] = "meta"

/* A lock is about to be taken, by a thread that will wait for it. `alone`: by the shortcut of a process of one thread,
 * which writes nothing. */
void hk_held_take(const uint32_t *rank, bool alone);

/* A lock was taken by a thread that only tried. The order is the same: what is taken inside is waited for. */
void hk_held_tried(const uint32_t *rank);

/* It is about to be given back. `written`: its word says that it is held; `alone`: the process has one thread. */
void hk_held_give(const uint32_t *rank, bool written, bool alone);

/* Lets a thread make large calls under a lock, or no longer; and the same for reports. */
void hk_held_allow_large(int more);
void hk_held_allow_reports(int more);
void hk_held_free_all(void);

HK_SLOW_PATH void hk_held_expect_none(const char *act);
HK_SLOW_PATH void hk_held_expect_small(const char *call);
unsigned hk_held_count(void);

/* How often this thread has taken locks of a rank; the lowest 16 bits. tests/walks counts by it. */
unsigned hk_held_taken(enum hk_rank rank);

/* This thread's locks are forgotten: it ends here, and prints why. */
void hk_held_forget(void);

/* Before the program's code is called, or what may call it, and before a report is written: then this thread holds no
 * lock. `act` completes "this thread ...". (The file of a picture is written under the lock that is for this alone.) */
static inline void hk_no_lock_held(const char *act)
{
    if (HK_CHECK_FAST)
        hk_held_expect_none(act);
}

/* Before a madvise, munmap or mremap: nobody who wants a lock waits for a long one. `call` is as `act`. */
#define HK_LARGE_CALL ((size_t)64 * 1024)

static inline void hk_large_call(const char *call, size_t size)
{
    if (HK_CHECK_FAST && size > HK_LARGE_CALL)
        hk_held_expect_small(call);
}

/* Around what is allowed to make such calls under a lock. Each says why. */
static inline void hk_large_calls_begin(void)
{
    if (HK_CHECK_FAST)
        hk_held_allow_large(1);
}

static inline void hk_large_calls_end(void)
{
    if (HK_CHECK_FAST)
        hk_held_allow_large(-1);
}

/* Around a report that may be that of a signal handler, and `really` is: what this thread holds then is held by
 * what it was at before, and the report takes none of it. */
static inline void hk_in_handler_begin(bool really)
{
    if (HK_CHECK_FAST && really)
        hk_held_allow_reports(1);
}

static inline void hk_in_handler_end(bool really)
{
    if (HK_CHECK_FAST && really)
        hk_held_allow_reports(-1);
}

/* In the child of a fork all locks become free. If this thread holds any, a signal handler forks which has interrupted
 * it; it will give them back all the same. */
static inline void hk_all_locks_free(void)
{
    if (HK_CHECK_FAST)
        hk_held_free_all();
}

#endif
