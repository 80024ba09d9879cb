/* SPDX-License-Identifier: MIT
 *
 * Beginning and end of a thread's front.
 */
#include "front/front.h"

#include "box/purge.h"
#include "superslab/meta.h"
#include "superslab/ss_arena.h"

#include <errno.h>

/* Runs as a destructor of the thread library, before or after those of the program: what comes later finds zeroed bins
 * and HK_THREAD_ENDED. */
static void detach(void *arg)
{
    struct hk_thread *thread = arg;
    struct hk_front *front = thread->front;
    if (front != hk_front_mine())
        return;
    int saved = errno;
    hk_front_flush_all(thread);
    hk_front_leave(front);
    thread->front = NULL;
    hk_heap_end(&thread->heap);
    if (HK_TRANSFER)
        hk_transfer_end(&thread->heap);
    hk_purge_tick();
    errno = saved;
}

static struct hk_lock start_lock;

struct hk_lock *hk_front_start_lock(void)
{
    return &start_lock;
}

/* Once per process. The key is made here and not in a constructor: the first call may come from the loader. */
static bool start_process(void)
{
    static bool started;
    hk_lock_always(&start_lock);
    bool ok = started || hk_arena_start();
    if (ok && !started) {
        hk_thread_exit_init(detach);
        started = true;
    }
    hk_unlock(&start_lock);
    return ok;
}

struct hk_thread *hk_front_attach(void)
{
    if (hk_front_mine()->thread == HK_THREAD_ENDED || !start_process())
        return NULL;
    struct hk_heap *heap = hk_heap_reuse();
    struct hk_thread *thread = heap != NULL ? hk_thread_of(heap) : hk_meta_alloc(sizeof *thread);
    if (thread == NULL)
        return NULL;
    if (heap != NULL)
        hk_front_reset(thread);
    struct hk_front *front = hk_front_open(&thread->place);
    thread->front = front;
    hk_heap_begin(&thread->heap);
    for (unsigned i = 0; i < HK_COUNT(front->code_of); i++)
        front->code_of[i] = (uint8_t)hk_code_of_class(hk_tiny_class[i]);
    front->thread = thread;
    hk_front_enter(front);
    int saved = errno;
    hk_thread_watch(thread); /* may come back to malloc, which finds everything in place */
    hk_arena_learn();        /* as may this */
    errno = saved;
    return thread;
}
