/* SPDX-License-Identifier: MIT
 *
 * The thread of HAKMEM_PURGE_THREAD. Most processes have none: its code lies apart.
 */
#include "box/purge_priv.h"

#include "base/assert.h"
#include "box/gate.h"
#include "os/os.h"
#include "os/thread.h"

#include <limits.h>

/* The thread rests after so many rounds in which nothing could be given back. */
#define IDLE_ROUNDS 20

/* Sleeps until it is woken, unless there is something to do that it is not tired of. */
static void rest_until_woken(bool tired)
{
    uint32_t state = HK_PURGER_AT_WORK;
    if (!hk_cas_acquire(&hk_purge_thread_state, &state, HK_PURGER_RESTS))
        return;      /* it is to end */
    hk_fence_full(); /* pairs with the fence in leave_to_thread */
    state = HK_PURGER_RESTS;
    if (!tired && hk_purge_free_bytes() > hk_purge_min_keep())
        hk_cas_acquire(&hk_purge_thread_state, &state, HK_PURGER_AT_WORK);
    while (hk_load_relaxed(&hk_purge_thread_state) == HK_PURGER_RESTS)
        hk_thread_sleep(&hk_purge_thread_state, HK_PURGER_RESTS, HK_FOREVER);
}

static struct hk_pass pass; /* the thread's */

/* False: there was nothing to give back. */
static bool round_of_work(void)
{
    if (!hk_gate_wait(&pass))
        return false;
    uint32_t now = hk_os_now_ms();
    hk_purge_sweep_heaps();
    bool any = hk_purge_give_all(now, hk_purge_delay_ms(), hk_purge_min_keep()) != 0;
    hk_purge_note_used(now);
    while (hk_purge_pages(now))
        any = true;
    hk_gate_leave(&pass);
    hk_corrupt_report();
    return any;
}

static void *run_thread(void *arg)
{
    unsigned idle = 0;
    while (hk_load_relaxed(&hk_purge_thread_state) != HK_PURGER_ENDS) {
        bool little = hk_purge_free_bytes() <= hk_purge_min_keep() && !hk_load_relaxed(&hk_purge_sparse);
        if (idle >= IDLE_ROUNDS || little) {
            rest_until_woken(idle >= IDLE_ROUNDS);
            idle = 0;
        }
        hk_thread_sleep(&hk_purge_thread_state, HK_PURGER_AT_WORK,
                        (unsigned)hk_min(hk_max(hk_purge_delay_ms() / 2, 20), 500));
        if (hk_load_relaxed(&hk_purge_thread_state) == HK_PURGER_ENDS)
            break;
        idle = round_of_work() ? 0 : idle + 1;
    }
    hk_store_relaxed(&hk_purge_thread_state, HK_PURGER_NONE);
    hk_thread_wake(&hk_purge_thread_state);
    return NULL;
}

/* Where it is refused, slow paths go on giving back. */
HK_ONCE void hk_purge_start(void)
{
    static bool joined; /* the pass stays in the list; a child of a fork has it, too */
    if (hk_opt(HK_OPT_PURGE_THREAD) == 0)
        return;
    if (!joined)
        hk_gate_join(&pass);
    joined = true;
    hk_store_relaxed(&hk_purge_thread_state, HK_PURGER_AT_WORK); /* seen by the thread: it is made after this */
    if (!hk_thread_start(run_thread))
        hk_store_relaxed(&hk_purge_thread_state, HK_PURGER_NONE);
}

/* The code may be about to be unmapped (dlclose of what links us); at exit the wait is as short as the thread's work.
 */
HK_ONCE void hk_purge_stop(void)
{
    if (hk_load_relaxed(&hk_purge_thread_state) == HK_PURGER_NONE)
        return;
    hk_store_relaxed(&hk_purge_thread_state, HK_PURGER_ENDS);
    hk_thread_wake(&hk_purge_thread_state);
    hk_thread_sleep(&hk_purge_thread_state, HK_PURGER_ENDS, 20);
}
