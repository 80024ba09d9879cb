/* SPDX-License-Identifier: MIT
 *
 * Beginning and end of a thread's front.
 */
#include "front/front.h"
#include "front/profiled.h"

#include "box/pool.h"
#include "box/purge.h"
#include "os/os.h"
#include "pages/meta.h"
#include "pages/ss_arena.h"

#include <errno.h>

/* Gives away all that the thread has, but its record. Inside the gate, and the record is still the thread's: a signal
 * handler finds its pass. (A block that a handler frees into a bin now is lost.) */
static void end_heap(struct hk_thread *thread)
{
    hk_front_flush_own(thread);
    hk_heap_end(&thread->heap);
    hk_purge_end_thread();
}

/* Nobody counts its blocks any more: the memory of the bins may go with the thread. Inside the gate. */
static void hide_front(struct hk_thread *thread)
{
    hk_lock(&thread->heap.lock);
    hk_store_relaxed(&thread->seen, NULL); /* the lock's */
    hk_unlock(&thread->heap.lock);
}

/* The same in a handler: the lock may be this thread's own, so it is not waited for. */
static HK_SLOW_PATH void hide_from_handler(struct hk_thread *thread)
{
    bool held = false;
    for (unsigned i = 0; i < 1000 && !held; i++) {
        held = hk_try_lock(&thread->heap.lock);
        hk_pause();
    }
    hk_store_relaxed(&thread->seen, NULL);
    if (held)
        hk_unlock(&thread->heap.lock);
}

/* The next thread that gets the record uses its pass: so as a thread without one. */
static void retire_record(struct hk_thread *thread)
{
    if (!hk_gate_wait(NULL))
        return; /* the record is lost */
    hk_heap_retire(&thread->heap);
    hk_gate_leave(NULL);
}

/* Runs as a destructor of the thread library, before or after those of the program: what comes later finds zeroed bins
 * and HK_THREAD_ENDED. */
static void end_front(void *arg)
{
    struct hk_thread *thread = arg;
    if (thread->front != hk_front_mine())
        return;
    int saved = errno;
    bool inside = hk_front_hold(hk_front_self()) && hk_gate_wait(&thread->pass); /* held for good */
    if (inside) {
        end_heap(thread);
        hide_front(thread);
    } else {
        hide_from_handler(thread);
    }
    hk_gate_leave(&thread->pass);
    hk_front_leave(thread->front);
    thread->front = NULL;
    if (inside) /* else it ends in a signal handler that interrupted malloc: what it has stays behind */
        retire_record(thread);
    errno = saved;
    hk_corrupt_report();
}

static _Atomic uintptr_t starter; /* 0, then the thread that starts the process, then STARTED */
#define STARTED ((uintptr_t)1)

/* Once per process, on first use and not in a constructor: the first call may come from the loader. One thread does it,
 * and a malloc that it comes back to does without a record: whoever has interposed pthread_key_create may allocate. */
static bool start_process(void)
{
    uintptr_t seen = 0;
    if (HK_LIKELY(hk_load_acquire(&starter) == STARTED)) /* pairs with the release below */
        return true;
    if (hk_cas_acquire(&starter, &seen, hk_thread_self())) {
        hk_os_start();
        hk_thread_exit_init(end_front);
        hk_store_release(&starter, STARTED); /* pairs with the load above */
        return true;
    }
    while (seen != STARTED && seen != hk_thread_self()) {
        hk_pause();
        seen = hk_load_acquire(&starter); /* as above */
    }
    return seen == STARTED;
}

void hk_front_fork_child(void)
{
    uintptr_t seen = hk_load_relaxed(&starter);
    if (seen != STARTED && seen != hk_thread_self())
        hk_store_relaxed(&starter, 0); /* the thread that had begun is not here */
    if (HK_FRONT_PERCPU)
        hk_percpu_fork_child(hk_front_thread());
}

/* A record whose pass is in the list; NULL: no memory. Inside the gate. */
static struct hk_thread *make_record(void)
{
    struct hk_heap *heap = hk_heap_reuse();
    struct hk_thread *thread = heap != NULL ? hk_thread_of(heap) : hk_meta_alloc(sizeof *thread);
    if (thread == NULL)
        return NULL;
    if (heap != NULL)
        hk_front_reset(thread);
    else
        hk_gate_join(&thread->pass);
    thread->front = hk_front_open(&thread->place);
    hk_store_release(&thread->seen, thread->front); /* pairs with hk_front_count */
    return thread;
}

static struct hk_thread *make_front(void)
{
    if (hk_front_mine()->thread == HK_THREAD_ENDED || !start_process() || !hk_gate_enter(NULL))
        return NULL;
    struct hk_thread *thread = hk_front_thread(); /* a handler may have come first */
    if (HK_SIGNALS && HK_UNLIKELY(thread != NULL)) {
        hk_gate_leave(NULL);
        return thread;
    }
    thread = hk_arena_start() && hk_pool_start() ? make_record() : NULL;
    if (thread == NULL) {
        hk_gate_leave(NULL);
        return NULL;
    }
    struct hk_front *front = thread->front;
    hk_front_set_codes(thread);
    front->thread = thread;
    thread->error = &errno;
    hk_front_enter(front);
    hk_heap_begin(&thread->heap); /* last: a fork in a handler now finds whose it is */
    hk_gate_leave(NULL);
    hk_front_let_go(hk_front_self()); /* it was held since it was zero */
    hk_thread_watch(thread);          /* may come back to malloc, which finds everything in place */
    hk_arena_learn();                 /* as may this */
    return thread;
}

struct hk_thread *hk_front_attach(void)
{
    int saved = errno; /* a free may be the first call of a thread */
    struct hk_thread *thread = make_front();
    errno = saved;
    return thread;
}
