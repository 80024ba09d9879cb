/* SPDX-License-Identifier: MIT */
#include "base/held.h"

#include "base/atomic.h"
#include "base/fmt.h"

#include <stdlib.h>

#define BIT(rank) (1u << (rank))
#define ORDERED(outermost, rank) (BIT(rank) - BIT(outermost)) /* from the outermost to that before `rank` */
#define IN_SWEEP (BIT(HK_RANK_FILE) | BIT(HK_RANK_SWEEPING))

/* The one table of the order: what may be held when a lock of the rank is taken by a thread that waits for it. */
static const uint32_t under[HK_RANKS] = {
    [HK_RANK_NONE] = 0,
    [HK_RANK_FILE] = 0,
    [HK_RANK_SWEEPING] = BIT(HK_RANK_FILE),
    [HK_RANK_OWN] = BIT(HK_RANK_FILE),
    [HK_RANK_OWNS] = BIT(HK_RANK_FILE) | BIT(HK_RANK_OWN),
    [HK_RANK_RECORDS] = ORDERED(HK_RANK_FILE, HK_RANK_RECORDS),
    [HK_RANK_HEAP] = ORDERED(HK_RANK_FILE, HK_RANK_HEAP),
    [HK_RANK_ORPHANS] = ORDERED(HK_RANK_FILE, HK_RANK_ORPHANS),
    [HK_RANK_POOL] = ORDERED(HK_RANK_FILE, HK_RANK_POOL),
    [HK_RANK_ARENA] = ORDERED(HK_RANK_FILE, HK_RANK_ARENA),
    [HK_RANK_HUGE] = ORDERED(HK_RANK_FILE, HK_RANK_HUGE),
    /* Fronts try these with no lock held; a sweep and the end of a thread wait for them. */
    [HK_RANK_MAKING] = IN_SWEEP,
    [HK_RANK_ARRAY] = IN_SWEEP,
    /* It is only tried. */
    [HK_RANK_LEARNING] = 0,
    /* Records are made inside. */
    [HK_RANK_PROFILE] = BIT(HK_RANK_FILE),
    [HK_RANK_META] = ORDERED(HK_RANK_FILE, HK_RANK_META) & ~(BIT(HK_RANK_ARRAY) | BIT(HK_RANK_LEARNING)),
};

static const char *const names[HK_RANKS] = {HK_RANK_NAMES};

enum how {
    WRITTEN, /* its word says so */
    ALONE,   /* nothing was written: there was one thread */
    FREED,   /* by a fork in a signal handler; it does not count any more */
};

/* In the order in which they were taken. A signal handler that interrupts this thread leaves its own part as it found
 * it, so the number is written last when one comes, and last when one goes. */
#define MOST 16u
static HK_TLS struct {
    const uint32_t *lock[MOST];
    uint8_t how[MOST];
    unsigned count;
    int large_allowed, reports_allowed;
    uint16_t taken[HK_RANKS]; /* how often so far; wraps */
} held;

void hk_held_forget(void)
{
    held.count = 0;
}

unsigned hk_held_count(void)
{
    return held.count;
}

unsigned hk_held_taken(enum hk_rank rank)
{
    return held.taken[rank];
}

static _Noreturn HK_SLOW_PATH void stop_with(const char *what, uint32_t rank, const char *then, const char *other)
{
    struct hk_fmt f;
    hk_held_forget();
    hk_fmt_start(&f, 2);
    hk_fmt(&f, "hakmem: internal error: this thread %s", what);
    if (rank != HK_RANK_NONE)
        hk_fmt(&f, " the lock `%s`", names[rank]);
    hk_fmt(&f, "%s", then);
    if (other != NULL)
        hk_fmt(&f, " `%s`", other);
    hk_fmt(&f, "\n");
    hk_fmt_end(&f);
    abort();
}

static const char *innermost_name(void)
{
    return held.count != 0 ? names[*held.lock[held.count - 1]] : NULL;
}

static void note_taken(const uint32_t *rank, enum how how)
{
    if (held.count == MOST)
        stop_with("takes", *rank, " with too many others, the last of them", innermost_name());
    held.lock[held.count] = rank;
    held.how[held.count] = (uint8_t)how;
    held.taken[*rank]++;
    hk_fence_signal();
    held.count++;
}

static void check_order(const uint32_t *rank)
{
    if (*rank == HK_RANK_NONE)
        stop_with("takes a lock without a rank", HK_RANK_NONE, "", NULL);
    for (unsigned i = 0; i < held.count; i++) {
        if (held.how[i] != FREED && (under[*rank] & BIT(*held.lock[i])) == 0)
            stop_with("takes", *rank, " and holds", names[*held.lock[i]]);
    }
}

void hk_held_take(const uint32_t *rank, bool alone)
{
    check_order(rank);
    note_taken(rank, alone ? ALONE : WRITTEN);
}

void hk_held_tried(const uint32_t *rank)
{
    check_order(rank);
    note_taken(rank, WRITTEN);
}

/* Where it is among those that are held, from the last on; held.count: it is not. */
static unsigned place_of(const uint32_t *rank)
{
    for (unsigned i = held.count; i-- > 0;) {
        if (held.lock[i] == rank)
            return i;
    }
    return held.count;
}

void hk_held_give(const uint32_t *rank, bool written, bool alone)
{
    unsigned at = place_of(rank);
    if (at == held.count)
        stop_with("gives back", *rank, held.count != 0 ? " without having it; it holds" : " and holds none",
                  innermost_name());
    if (held.how[at] == ALONE && !alone)
        stop_with("gives back", *rank, ", taken while the process had one thread; now it has two", NULL);
    if (held.how[at] != FREED && (held.how[at] == WRITTEN) != written)
        stop_with("gives back", *rank, ", whose word is not as it left it", NULL);
    for (; at + 1 < held.count; at++) {
        held.lock[at] = held.lock[at + 1];
        held.how[at] = held.how[at + 1];
    }
    hk_fence_signal();
    held.count--;
}

void hk_held_free_all(void)
{
    for (unsigned i = 0; i < held.count; i++)
        held.how[i] = FREED;
}

/* ---- what is not done under a lock ---- */

void hk_held_allow_large(int more)
{
    held.large_allowed += more;
}

void hk_held_allow_reports(int more)
{
    held.reports_allowed += more;
}

/* The innermost that counts, but for one of that rank; NULL: none is held. */
static const char *held_but(uint32_t rank)
{
    for (unsigned i = held.count; i-- > 0;) {
        if (held.how[i] != FREED && *held.lock[i] != rank)
            return names[*held.lock[i]];
    }
    return NULL;
}

void hk_held_expect_none(const char *act)
{
    const char *name = held_but(HK_RANK_FILE);
    if (name != NULL && held.reports_allowed == 0)
        stop_with(act, HK_RANK_NONE, " while it holds the lock", name);
}

void hk_held_expect_small(const char *call)
{
    const char *name = held_but(HK_RANK_NONE);
    if (name != NULL && held.large_allowed == 0)
        stop_with(call, HK_RANK_NONE, " of more than 64 KiB while it holds the lock", name);
}
