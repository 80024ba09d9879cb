/* SPDX-License-Identifier: MIT
 *
 * The thread that chooses the moments. It writes nothing but codes of tables, under the lock of the table's heap, and
 * is inside the gate meanwhile: a fork finds everything whole.
 *
 * Where nobody allocates, all tables are without codes after some rounds; then it sleeps long, until one comes back.
 */
#include "front/guard.h"

#include "base/options.h"
#include "front/profiled.h"
#include "os/os.h"
#include "os/thread.h"

enum { NONE, AT_WORK, RESTS, ENDS };

#define HEAPS_LOOKED 64 /* in a round */
#define MID_ROUNDS 4u   /* one round in so many asks for a block of a Mid size, too */
#define AT_FIRST 2000u  /* microseconds that it may take without a pause */
#define REST_MS 500u    /* it sees, at the latest, that it is alone */
#define SHORT_MS 10u

static _Atomic uint32_t state; /* it sleeps on it */
static struct hk_pass pass;    /* the thread's */

/* The thread's own from here on. */
static struct hk_heap *last; /* that was looked at */
static uint32_t rounds;
static uint64_t counted; /* of hk_guard_spent and its own time, paid by pauses */

/* False: there is no table, its thread has not come by since it was emptied, or it is no thread's. `alive` tells which.
 */
static bool arm(struct hk_heap *heap, bool *alive)
{
    struct hk_thread *thread = hk_thread_of(heap);
    *alive = false;
    if (heap == &hk_orphan_heap || heap->shared ||
        hk_load_acquire(&heap->owner.state) != HK_OWNER_ALIVE) /* pairs with hk_heap_begin */
        return false;
    hk_lock(&heap->lock);
    struct hk_front *front = hk_load_acquire(&thread->seen); /* pairs with the release in make_record */
    *alive = front != NULL;
    bool free = *alive && hk_peek_acquire(&thread->guard) == 0; /* pairs with the release in end_turn */
    if (free)                                                   /* pairs with is_its_turn */
        hk_poke_release(&thread->guard, (uint16_t)(HK_GUARD_TOGETHER * HK_GUARD_BLOCK + HK_GUARD_LOOKS - 1));
    if (*alive)
        hk_front_clear_codes(front); /* again, where others wrote them */
    hk_unlock(&heap->lock);
    return free;
}

/* The next thread whose table is whole. False: nobody has taken what was offered. */
static bool arm_one(bool *any_alive)
{
    for (unsigned i = 0; i < HEAPS_LOOKED; i++) {
        bool alive;
        last = hk_heap_next(last);
        if (last == NULL)
            continue;
        bool armed = arm(last, &alive);
        *any_alive |= alive;
        if (armed)
            return true;
    }
    return false;
}

static bool arm_mid(void)
{
    uint32_t none = 0;
    bool asked = hk_cas_acquire(&hk_guard_mid, &none, HK_GUARD_WANTED); /* pairs with the release in is_turn_of_mid */
    if (hk_load_relaxed(&hk_guard_mid) == HK_GUARD_WANTED)
        hk_front_close_ways();
    return asked;
}

/* Who has not come by since the last time allocates so little that more of it has to be chosen. */
static void choose_rarely(bool came_by)
{
    uint32_t rarely = hk_load_relaxed(&hk_guard_rarely);
    if (came_by && rarely < HK_GUARD_RARELY)
        hk_store_relaxed(&hk_guard_rarely, rarely + 1);
    else if (!came_by && rarely > HK_GUARD_OFTEN)
        hk_store_relaxed(&hk_guard_rarely, rarely - 1);
}

/* False: nothing to do at the moment. */
static bool round_of_work(bool *any_alive)
{
    if (!hk_gate_wait(&pass))
        return false;
    bool done = arm_one(any_alive);
    choose_rarely(done);
    if (rounds++ % MID_ROUNDS == 0)
        done |= arm_mid();
    hk_gate_leave(&pass);
    return done;
}

/* Where all others have ended, the process ends with this one. A thread that never allocated is not seen here; what it
 * allocates later is chosen by slow paths. */
static bool is_alone(void)
{
    struct hk_heap *heap = NULL;
    bool alive = false;
    if (!hk_gate_wait(&pass))
        return false;
    while (!alive && (heap = hk_heap_next(heap)) != NULL)
        alive = heap != &hk_orphan_heap && !heap->shared &&
                hk_load_acquire(&heap->owner.state) == HK_OWNER_ALIVE && /* pairs with hk_heap_begin */
                hk_load_relaxed(&hk_thread_of(heap)->seen) != NULL;
    hk_gate_leave(&pass);
    return !alive;
}

static void rest(void)
{
    uint32_t at_work = AT_WORK, rests = RESTS;
    if (!hk_cas_acquire(&state, &at_work, RESTS))
        return; /* it is to end */
    hk_thread_sleep(&state, RESTS, hk_load_relaxed(&hk_guard_rarely) > HK_GUARD_OFTEN ? SHORT_MS : REST_MS);
    hk_cas_acquire(&state, &rests, AT_WORK);
}

/* Until the program has run so long that what was taken since the last time is its share of that. It is slept as long
 * as one busy thread needs for it; then as long as it takes at the pace so far. False: it is to end, or is alone. */
static bool wait_for_turn(void)
{
    uint64_t spent = hk_load_relaxed(&hk_guard_spent) + hk_thread_cpu_us();
    uint64_t unpaid = spent - hk_min(hk_max(counted, AT_FIRST), spent);
    uint64_t price = unpaid * 1000 / (uint64_t)hk_opt(HK_OPT_GUARD_COST), left = price, used;
    uint64_t since = hk_os_now_us(), used_then = hk_process_cpu_us();
    counted = spent;
    do {
        uint64_t ms = hk_min(left / 1000 + 1, REST_MS);
        hk_thread_sleep(&state, AT_WORK, (unsigned)ms);
        if (ms == REST_MS && is_alone())
            return false;
        used = hk_process_cpu_us() - used_then;
        left = (price - hk_min(used, price)) * hk_max(hk_os_now_us() - since, 1) / hk_max(used, 1);
    } while (hk_load_relaxed(&state) == AT_WORK && left != 0);
    return hk_load_relaxed(&state) != ENDS;
}

static void *run_thread(void *arg)
{
    bool alone = false;
    while (!alone && wait_for_turn()) {
        bool any_alive = false;
        if (round_of_work(&any_alive))
            continue;
        alone = !any_alive && is_alone();
        if (!alone)
            rest();
    }
    hk_store_relaxed(&state, NONE);
    hk_thread_wake(&state);
    return NULL;
}

bool hk_guard_has_thread(void)
{
    return hk_load_relaxed(&state) != NONE;
}

bool hk_guard_start_thread(void)
{
    static bool joined; /* the pass stays in the list; a child of a fork has it, too */
    if (hk_load_relaxed(&state) != NONE)
        return true;
    if (!joined)
        hk_gate_join(&pass);
    joined = true;
    last = NULL;
    counted = hk_load_relaxed(&hk_guard_spent);
    hk_store_relaxed(&state, AT_WORK); /* seen by the thread: it is made after this */
    if (hk_thread_start(run_thread))
        return true;
    hk_store_relaxed(&state, NONE);
    return false;
}

void hk_guard_wake_thread(void)
{
    uint32_t rests = RESTS;
    if (hk_load_relaxed(&state) == RESTS && hk_cas_acquire(&state, &rests, AT_WORK))
        hk_thread_wake(&state);
}

/* As hk_purge_stop. */
void hk_guard_stop_thread(void)
{
    uint32_t seen = hk_load_relaxed(&state);
    while (seen == AT_WORK || seen == RESTS) {
        if (!hk_cas_acquire(&state, &seen, ENDS))
            continue;
        hk_thread_wake(&state);
        hk_thread_sleep(&state, ENDS, 20);
        return;
    }
}

void hk_front_guard_fork_child(bool may_start)
{
    uint32_t seen = hk_load_relaxed(&state);
    hk_store_relaxed(&state, NONE);
    if (may_start && (seen == AT_WORK || seen == RESTS))
        hk_guard_start_thread();
}
