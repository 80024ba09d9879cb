/* SPDX-License-Identifier: MIT
 *
 * A library that takes part in fork as many do: its constructor registers handlers that hold its lock over the fork. It
 * also allocates with the lock held, and, when told so, in the handlers themselves.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fork_library.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *(*take)(size_t) = malloc;
static void *(*resize)(void *, size_t) = realloc;
static void (*give)(void *) = free;
static int busy_handlers;

static void use_heap(void)
{
    static const size_t sizes[] = {24, 700, 9000, 40000, 300000, 3000000, 40000000};
    static void *kept[sizeof(sizes) / sizeof(sizes[0])];
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *block = take(sizes[i]);
        if (!block)
            abort();
        block[0] = block[sizes[i] - 1] = 1;
        give(kept[i]);
        kept[i] = resize(block, sizes[i] / 2 + 8);
        if (!kept[i])
            abort();
    }
}

static void before(void)
{
    pthread_mutex_lock(&lock);
    if (busy_handlers)
        use_heap();
}

static void after(void)
{
    if (busy_handlers)
        use_heap();
    pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void register_handlers(void)
{
    pthread_atfork(before, after, after);
}

void fork_library_set(void *(*with_take)(size_t), void *(*with_resize)(void *, size_t), void (*with_give)(void *),
                      int with_busy_handlers)
{
    take = with_take;
    resize = with_resize;
    give = with_give;
    busy_handlers = with_busy_handlers;
}

void fork_library_hold(int times, void (*inside)(void))
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < times; i++) {
        char *block = take(100000);
        if (!block)
            abort();
        block[0] = 1;
        give(block);
        use_heap();
    }
    if (inside)
        inside();
    pthread_mutex_unlock(&lock);
}
