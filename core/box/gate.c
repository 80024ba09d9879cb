/* SPDX-License-Identifier: MIT */
#include "box/gate.h"

#include "base/bits.h"
#include "base/shared_use.h"

/* Rounds of looking before a wait sleeps. Nobody wakes it: a look once a millisecond does, or less often (LONGER_MOST),
 * and leaving stays a store. */
#define ROUNDS 100
#define SLEEP_MS 1

_Atomic uint32_t hk_gate_forks;

static struct hk_pass *_Atomic passes;

/* Strangers that find another one inside sleep up to so many doublings of SLEEP_MS. */
#define LONGER_MOST 6u

/* Threads without a pass go in by one of a few doors, one at a time by each: the thread that is inside, or 0. Its
 * lowest bit says that it is parked. One door for all would be a lock for all threads that come and go. */
#define PARKED ((uintptr_t)1)
static struct door {
    HK_ALIGNED(HK_CACHE_LINE) _Atomic uintptr_t stranger;
    struct hk_lock_use use[HK_TELEMETRY]; /* one or none; who is inside has it */
} doors[HK_GATE_DOORS];

/* The threads without a pass that are in fork, one entry for each fork: a thread looks for itself only. That more of
 * them fork at once, and that one of these then calls hak_trim in a fork handler, is left out. */
static _Atomic uintptr_t forking_strangers[16];

void hk_gate_join(struct hk_pass *pass)
{
    pass->next = hk_load_relaxed(&passes);
    while (!hk_cas_weak_release(&passes, &pass->next, pass)) { /* pairs with hk_gate_close */
    }
}

static struct door *own_door(void)
{
    return &doors[hk_gate_door()];
}

static bool is_stranger_inside(void)
{
    return (hk_load_relaxed(&own_door()->stranger) & ~PARKED) == hk_thread_self();
}

bool hk_gate_enter_stranger(void)
{
    uintptr_t nobody = 0;
    unsigned i = 0;
    struct door *door = own_door();
    if (is_stranger_inside())
        return false;
    for (; !hk_cas_full(&door->stranger, &nobody, hk_thread_self()); i++) { /* as the swap in hk_gate_enter */
        nobody = 0;
        if (hk_load_relaxed(&hk_gate_forks) != 0)
            return false;
        if (i < ROUNDS)
            hk_pause();
        else /* longer and longer: thousands that look each ms would leave no processor to who is inside */
            hk_thread_sleep(&hk_gate_forks, 0, SLEEP_MS << hk_min(i - ROUNDS, LONGER_MOST));
    }
    hk_use_took(door->use, HK_USE_STRANGERS, i != 0);
    if (hk_load_full(&hk_gate_forks) == 0)
        return true;
    hk_gate_leave_stranger();
    return false;
}

void hk_gate_leave_stranger(void)
{
    struct door *door = own_door();
    hk_use_gave(door->use, HK_USE_STRANGERS);
    hk_store_release(&door->stranger, 0); /* pairs with hk_gate_close, and with the next stranger's compare-and-swap */
}

bool hk_gate_is_inside(struct hk_pass *pass)
{
    return pass != NULL ? hk_load_relaxed(&pass->state) != HK_PASS_OUTSIDE : is_stranger_inside();
}

/* Makes an entry with the first number one with the second, if there is one. */
static HK_SLOW_PATH bool change_stranger(uintptr_t from, uintptr_t to)
{
    for (unsigned i = 0; i < HK_COUNT(forking_strangers); i++) {
        uintptr_t seen = from;
        if (hk_cas_relaxed(&forking_strangers[i], &seen, to))
            return true;
    }
    return false;
}

static bool is_forking(struct hk_pass *pass)
{
    return pass != NULL ? hk_load_relaxed(&pass->forks) != 0 : change_stranger(hk_thread_self(), hk_thread_self());
}

bool hk_gate_wait(struct hk_pass *pass)
{
    while (!(pass != NULL ? hk_gate_enter(pass) : hk_gate_enter_stranger())) {
        if (hk_gate_is_inside(pass) || is_forking(pass))
            return false;
        uint32_t forks = hk_load_relaxed(&hk_gate_forks);
        if (forks != 0)
            hk_thread_sleep(&hk_gate_forks, forks, SLEEP_MS);
    }
    return true;
}

/* ---- fork ---- */

/* Looks, while somebody is parked: he may hold a lock that who is inside waits for, and nobody gets out then. A child
 * has such a thread's change half way, as far as that lock. */
#define PARKED_ROUNDS (ROUNDS + 250)

static bool is_anyone_parked(void)
{
    bool parked = false;
    for (unsigned i = 0; i < HK_GATE_DOORS; i++)
        parked |= (hk_load_relaxed(&doors[i].stranger) & PARKED) != 0;
    for (struct hk_pass *pass = hk_load_acquire(&passes); pass != NULL && !parked; pass = pass->next) /* hk_gate_join */
        parked = hk_load_relaxed(&pass->state) == HK_PASS_PARKED;
    return parked;
}

static void wait_for_pass(struct hk_pass *pass)
{
    for (unsigned i = 0; hk_load_full(&pass->state) == HK_PASS_INSIDE; i++) { /* pairs with hk_gate_leave */
        if (i >= PARKED_ROUNDS && is_anyone_parked())
            return;
        if (i < ROUNDS)
            hk_pause();
        else
            hk_thread_sleep(&pass->state, HK_PASS_INSIDE, SLEEP_MS);
    }
}

static void wait_for_stranger(struct door *door)
{
    uintptr_t inside;
    for (unsigned i = 0; (inside = hk_load_full(&door->stranger)) != 0 && (inside & PARKED) == 0; i++) { /* as above */
        if (i >= PARKED_ROUNDS && is_anyone_parked())
            return;
        if (i < ROUNDS)
            hk_pause();
        else
            hk_thread_sleep(&hk_gate_forks, hk_load_relaxed(&hk_gate_forks), SLEEP_MS);
    }
}

static void park_interrupted(struct hk_pass *mine)
{
    if (mine != NULL && hk_load_relaxed(&mine->state) == HK_PASS_INSIDE)
        hk_store_relaxed(&mine->state, HK_PASS_PARKED); /* another fork finds it at its next look */
    if (is_stranger_inside())
        hk_store_relaxed(&own_door()->stranger, hk_thread_self() | PARKED);
}

/* Goes on with what the handler interrupted; but another fork may have passed this thread by, and must end before. */
static void unpark_interrupted(struct hk_pass *mine)
{
    bool parked = mine != NULL && hk_load_relaxed(&mine->state) == HK_PASS_PARKED, is_stranger = is_stranger_inside();
    while (parked || is_stranger) {
        if (parked)
            hk_swap_full(&mine->state, HK_PASS_INSIDE); /* as in hk_gate_enter */
        if (is_stranger)
            hk_swap_full(&own_door()->stranger, hk_thread_self());
        uint32_t forks = hk_load_full(&hk_gate_forks);
        if (forks == 0)
            return;
        park_interrupted(mine);
        hk_thread_sleep(&hk_gate_forks, forks, SLEEP_MS);
    }
}

/* Strangers first: one of them may just be making the record of a thread, whose pass is in the list before it leaves.
 */
void hk_gate_close(struct hk_pass *mine)
{
    park_interrupted(mine);
    if (mine != NULL)
        hk_add_relaxed(&mine->forks, 1);
    else
        change_stranger(0, hk_thread_self());
    hk_add_full(&hk_gate_forks, 1); /* pairs with the swap in hk_gate_enter */
    for (unsigned i = 0; i < HK_GATE_DOORS; i++)
        wait_for_stranger(&doors[i]);
    for (struct hk_pass *pass = hk_load_acquire(&passes); pass != NULL; pass = pass->next) { /* with hk_gate_join */
        if (pass != mine)
            wait_for_pass(pass);
    }
}

bool hk_gate_open(struct hk_pass *mine)
{
    uint32_t forks = hk_load_relaxed(&hk_gate_forks), own = mine != NULL ? hk_load_relaxed(&mine->forks) : 0;
    if (mine == NULL)
        change_stranger(hk_thread_self(), 0);
    while (own != 0 && !hk_cas_relaxed(&mine->forks, &own, own - 1)) { /* 0: the child of a handler in between */
    }
    while (forks != 0 && !hk_cas_full(&hk_gate_forks, &forks, forks - 1)) { /* pairs with hk_gate_enter; 0: a child */
    }
    hk_thread_wake(&hk_gate_forks);
    if (!is_forking(mine)) /* else a handler forked in the middle of this thread's fork */
        unpark_interrupted(mine);
    return forks == 1;
}

/* Only what changes is written: a write copies a page. */
void hk_gate_reset(struct hk_pass *mine)
{
    for (struct hk_pass *pass = hk_load_relaxed(&passes); pass != NULL; pass = pass->next) {
        if (pass != mine && hk_load_relaxed(&pass->state) != HK_PASS_OUTSIDE)
            hk_store_relaxed(&pass->state, HK_PASS_OUTSIDE); /* a handler in it was in fork too */
        if (hk_load_relaxed(&pass->forks) != 0)
            hk_store_relaxed(&pass->forks, 0);
    }
    for (unsigned i = 0; i < HK_GATE_DOORS; i++) {
        uintptr_t inside = hk_load_relaxed(&doors[i].stranger);
        if (inside != 0 && (inside & ~PARKED) != hk_thread_self())
            hk_store_relaxed(&doors[i].stranger, 0);
    }
    for (unsigned i = 0; i < HK_COUNT(forking_strangers); i++)
        hk_store_relaxed(&forking_strangers[i], 0); /* beside the next one */
    hk_store_relaxed(&hk_gate_forks, 0);            /* this is the only thread */
    unpark_interrupted(mine);
}
