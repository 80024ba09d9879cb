/* SPDX-License-Identifier: MIT */
#include "box/purge.h"

#include "box/gate.h"
#include "box/transfer.h"
#include "os/os.h"
#include "os/thread.h"

#include <errno.h>

/* A helper is worth starting for so much beyond HAKMEM_MIN_KEEP; less stays within what an idle process may keep. */
#define HELPER_BYTES (11 * HK_MIB)

/* The helper ends after so many rounds in which nothing could be given back. */
#define IDLE_ROUNDS 20

static _Atomic uint32_t last;    /* ms of the clock at the last tick; relaxed: two ticks too close do no harm */
static _Atomic uint32_t allowed; /* 0 before the start and from exit on; the helper sleeps on it; relaxed */
static _Atomic uint32_t running; /* 1 while the helper lives */
static _Atomic uint64_t total;   /* relaxed: a statistic */

uint64_t hk_purge_total(void)
{
    return hk_load_relaxed(&total);
}

/* Keeps `keep` bytes in EMPTY slabs and runs together. */
static size_t purge(uint32_t now, uint32_t delay_ms, size_t keep)
{
    size_t given = hk_hot_span_purge(now, delay_ms, keep);
    given += hk_pool_purge(now, delay_ms, keep - hk_min(keep, hk_arena_dirty()), HK_POOL_ALL);
    hk_add_relaxed(&total, given);
    return given;
}

/* What threads that may be asleep could give back, goes back. */
static void sweep(void)
{
    if (HK_TRANSFER)
        hk_transfer_sweep();
    hk_heap_sweep();
}

static uint32_t delay(void)
{
    return (uint32_t)hk_opt(HK_OPT_PURGE_DELAY_MS);
}

static struct hk_pass pass; /* the helper's */

static void *help(void *arg)
{
    (void)arg;
    unsigned pause = (unsigned)hk_min(hk_max(delay() / 2, 20), 500);
    for (unsigned idle = 0; idle < IDLE_ROUNDS; idle++) {
        hk_thread_sleep(&allowed, 1, pause);
        if (hk_load_relaxed(&allowed) == 0)
            break;
        if (!hk_gate_wait(&pass))
            break;
        sweep();
        size_t keep = (size_t)hk_opt(HK_OPT_MIN_KEEP);
        if (purge(hk_os_now_ms(), delay(), keep) != 0)
            idle = 0;
        hk_gate_leave(&pass);
        hk_corrupt_report();
        if (hk_purge_free_bytes() <= keep)
            break;
    }
    hk_store_release(&running, 0); /* pairs with the CAS in start_helper */
    hk_thread_wake(&running);
    return NULL;
}

/* Never inside a fork: pthread_create would wait for locks that this thread holds. */
static void start_helper(void)
{
    uint32_t expected = 0;
    if (hk_load_relaxed(&allowed) == 0 || hk_load_relaxed(&hk_gate_forks) != 0)
        return;
    if (!hk_cas_acquire(&running, &expected, 1)) /* pairs with the release in help */
        return;
    static bool joined; /* the helper's that was before: by whoever made `running` 1 */
    if (!joined)
        hk_gate_join(&pass);
    joined = true;
    if (!hk_thread_start(help)) {
        hk_store_relaxed(&allowed, 0); /* refused: slow paths alone purge from now on */
        hk_store_release(&running, 0);
    }
}

void hk_purge_tick_slow(void)
{
    int saved = errno;
    hk_arena_learn();
    uint32_t now = hk_os_now_ms();
    uint32_t before = hk_load_relaxed(&last);
    size_t keep = (size_t)hk_opt(HK_OPT_MIN_KEEP);
    if (now - before >= delay() / 2 || hk_hot_span_at_once()) {
        hk_store_relaxed(&last, now);
        purge(now, delay(), keep);
    }
    if (hk_purge_free_bytes() > keep + HELPER_BYTES && hk_load_relaxed(&running) == 0)
        start_helper();
    errno = saved;
}

size_t hk_purge_now(size_t keep)
{
    sweep();
    size_t given = hk_pool_trim();
    hk_add_relaxed(&total, given);
    return given + purge(hk_os_now_ms(), 0, keep);
}

void hk_purge_allow_helper(bool yes)
{
    hk_store_relaxed(&allowed, yes);
    if (yes || hk_load_relaxed(&running) == 0)
        return;
    /* The code may be about to be unmapped (dlclose of what links us); at exit the wait is as short as the helper's
     * work. */
    hk_thread_wake(&allowed);
    hk_thread_sleep(&running, 1, 20);
}

void hk_purge_fork_child(void)
{
    hk_store_relaxed(&running, 0);
}
