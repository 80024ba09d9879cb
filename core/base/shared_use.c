/* SPDX-License-Identifier: MIT
 *
 * In a library of its own, with base/telemetry.c: without -Dtelemetry=enabled no other has it.
 */
#include "base/shared_use.h"

#include "base/bits.h"

/* Threads are told apart by where their thread-local data lies: two that write the same sums are a chance, and right.
 */
#define GROUPS 16u

/* How long a lock was held, by doublings of ticks. */
#define DOUBLINGS 40u

/* So seldom a lock looks whether it is the busiest of its kind. */
#define LOOKS 16u

struct sums {
    _Atomic uint64_t waited;
    _Atomic uint64_t times[DOUBLINGS], ticks[DOUBLINGS];
};

/* All relaxed: nothing is published by them. */
static struct group {
    HK_ALIGNED(2 * HK_CACHE_LINE) struct sums lock[HK_USES];
    _Atomic uint64_t wrote[HK_WORDS];
} groups[GROUPS];

static _Atomic uint64_t busiest[HK_USES]; /* written seldom */

static struct group *own_group(void)
{
    return &groups[(uint64_t)hk_thread_self() * 0x9e3779b97f4a7c15u >> 60];
}

_Static_assert(GROUPS == 1u << 4, "four bits of the product tell the group");

static unsigned doubling_of(uint64_t ticks)
{
    return ticks != 0 ? (unsigned)hk_min(hk_log2(ticks), DOUBLINGS - 1) : 0;
}

void hk_telemetry_took(struct hk_lock_use *use, unsigned kind, bool waited)
{
    if (waited)
        hk_telemetry_refused(kind);
    use->since = hk_ticks();
}

void hk_telemetry_refused(unsigned kind)
{
    hk_add_relaxed(&own_group()->lock[kind].waited, 1);
}

void hk_telemetry_gave(struct hk_lock_use *use, unsigned kind)
{
    uint64_t ticks = hk_ticks() - use->since;
    if ((int64_t)ticks < 0) /* another processor's counter is behind */
        ticks = 0;
    struct sums *sums = &own_group()->lock[kind];
    hk_add_relaxed(&sums->times[doubling_of(ticks)], 1);
    hk_add_relaxed(&sums->ticks[doubling_of(ticks)], ticks);
    use->held += ticks;
    if (++use->uses % LOOKS == 0 && use->held > hk_load_relaxed(&busiest[kind]))
        hk_store_relaxed(&busiest[kind], use->held);
}

void hk_telemetry_wrote(enum hk_word word)
{
    hk_add_relaxed(&own_group()->wrote[word], 1);
}

/* ---- reports ---- */

const char *hk_telemetry_lock_name(unsigned kind)
{
    static const char *const names[HK_USES] = {HK_RANK_NAMES, [HK_USE_STRANGERS] = "strangers at the gate"};
    return kind != HK_RANK_NONE ? names[kind] : NULL;
}

/* Takes the longest ones off, which are so many, from the last doubling down; of one in part its mean. */
static uint64_t without_longest(const uint64_t *times, const uint64_t *ticks, uint64_t drop)
{
    uint64_t left = 0;
    for (unsigned i = DOUBLINGS; i-- > 0;) {
        uint64_t off = hk_min(drop, times[i]);
        drop -= off;
        if (off < times[i])
            left += ticks[i] - ticks[i] / times[i] * off;
    }
    return left;
}

struct hk_lock_figures hk_telemetry_lock(unsigned kind)
{
    uint64_t times[DOUBLINGS] = {0}, ticks[DOUBLINGS] = {0};
    struct hk_lock_figures f = {.busiest_ticks = hk_load_relaxed(&busiest[kind])};
    for (unsigned g = 0; g < GROUPS; g++) {
        struct sums *sums = &groups[g].lock[kind];
        f.waited += hk_load_relaxed(&sums->waited);
        for (unsigned i = 0; i < DOUBLINGS; i++) {
            times[i] += hk_load_relaxed(&sums->times[i]);
            ticks[i] += hk_load_relaxed(&sums->ticks[i]);
        }
    }
    for (unsigned i = 0; i < DOUBLINGS; i++) {
        f.taken += times[i];
        f.held_ticks += ticks[i];
    }
    f.held_99_ticks = without_longest(times, ticks, f.taken / 100);
    return f;
}

const char *hk_telemetry_word_name(enum hk_word word)
{
    static const char *const names[HK_WORDS] = {
        [HK_WORD_WAITING] = "transfer", [HK_WORD_CHARGED] = "huge bytes", [HK_WORD_OS] = "system calls"};
    return names[word];
}

uint64_t hk_telemetry_word(enum hk_word word)
{
    uint64_t wrote = 0;
    for (unsigned g = 0; g < GROUPS; g++)
        wrote += hk_load_relaxed(&groups[g].wrote[word]);
    return wrote;
}
