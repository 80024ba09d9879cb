/* SPDX-License-Identifier: MIT
 *
 * shared_use: telemetry of what threads share: how often each kind of lock is taken and waited for, and for how long it
 * is held, and how often the words are written that belong to no lock. docs/scale.md says what follows from it.
 *
 * A lock has a struct hk_lock_use of its own, which its holder writes. The sums are kept apart for a few groups of
 * threads, so that counting makes no line that all threads write; they are added without order, and whoever reads them
 * while others work reads different moments. Knows held (the names of locks) and nobody else. Without
 * -Dtelemetry=enabled every call here is empty, and nothing of it is linked.
 */
#ifndef HK_BASE_SHARED_USE_H
#define HK_BASE_SHARED_USE_H

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/held.h"
#include "config.h"

/* What is counted as a lock: the locks by their rank, and one thing more. */
enum {
    HK_USE_STRANGERS = HK_RANKS, /* threads without a pass that go through the gate, one at a time by a door */
    HK_USES,
};

/* Words that every thread writes while it holds no lock that all threads share. */
enum hk_word {
    HK_WORD_WAITING, /* bytes in the arrays between fronts */
    HK_WORD_CHARGED, /* bytes of huge blocks, for the limit */
    HK_WORD_OS,      /* calls of the system, and the address space held: one line */
    HK_WORDS,
};

/* Of one lock; its holder's. Zeroed at first. Times are ticks of the processor's counter (hk_ticks). */
struct hk_lock_use {
    uint64_t since; /* when it was taken */
    uint64_t held;  /* for how long so far, in all */
    uint64_t uses;
};

/* The sums of one kind of lock. */
struct hk_lock_figures {
    uint64_t taken;         /* and given back */
    uint64_t waited;        /* found held; of one that was only tried, too */
    uint64_t held_ticks;    /* between taking and giving back */
    uint64_t held_99_ticks; /* the same without the longest 1 %: about, they are known by doublings */
    uint64_t
        busiest_ticks; /* held_ticks of that lock of the kind that was held longest; about, it is seldom looked at */
};

HK_SLOW_PATH void hk_telemetry_took(struct hk_lock_use *use, unsigned kind, bool waited);
HK_SLOW_PATH void hk_telemetry_gave(struct hk_lock_use *use, unsigned kind);
HK_SLOW_PATH void hk_telemetry_refused(unsigned kind);
HK_SLOW_PATH void hk_telemetry_wrote(enum hk_word word);

/* For reports. `kind` is below HK_USES; NULL: a kind that is not used. */
const char *hk_telemetry_lock_name(unsigned kind);
struct hk_lock_figures hk_telemetry_lock(unsigned kind);
const char *hk_telemetry_word_name(enum hk_word word);
uint64_t hk_telemetry_word(enum hk_word word);

/* A lock was taken, after it had been waited for or at once; it is about to be given back; or it was tried in vain. */
static HK_ALWAYS_INLINE void hk_use_took(struct hk_lock_use *use, unsigned kind, bool waited)
{
    if (HK_TELEMETRY)
        hk_telemetry_took(use, kind, waited);
}

static HK_ALWAYS_INLINE void hk_use_gave(struct hk_lock_use *use, unsigned kind)
{
    if (HK_TELEMETRY)
        hk_telemetry_gave(use, kind);
}

static HK_ALWAYS_INLINE void hk_use_refused(unsigned kind)
{
    if (HK_TELEMETRY)
        hk_telemetry_refused(kind);
}

/* A word was written by a thread that others may be writing it beside. */
static HK_ALWAYS_INLINE void hk_use_wrote(enum hk_word word)
{
    if (HK_TELEMETRY)
        hk_telemetry_wrote(word);
}

#endif
