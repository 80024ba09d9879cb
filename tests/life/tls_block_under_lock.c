/* SPDX-License-Identifier: MIT
 *
 * tls_block_under_lock MODULE...: glibc keeps the stacks of ended threads, up to 40 MiB, and frees the thread-local
 * blocks of those beyond it while it holds the lock of its stacks. All that free does in there must do without that
 * lock: with pthread_create in free this stands still.
 *
 * Threads with large stacks use the thread-local storage of every module and end. The blocks are so large that every
 * free takes the slow path, and all of them are live until the first stack is given back, so the heap has nothing to
 * give back before and a lot after a few of those frees. Prints how many bytes of TLS that were.
 */
#include "check.h"
#include "proc.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 12, MODULES = 16, ROUNDS = 4 };

static void *(*tls_space[MODULES])(size_t *);
static size_t modules;
static _Atomic size_t used;
static pthread_barrier_t all_used;

static void *use_all(void *argument)
{
    for (size_t i = 0; i < modules; i++) {
        size_t size;
        void *space = tls_space[i](&size);
        memset(space, 1, size);
        used += size;
    }
    pthread_barrier_wait(&all_used);
    return argument;
}

static void open_module(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CHECKF(library && modules < MODULES, "%s", dlerror());
    void *address = dlsym(library, "tls_space");
    CHECK(address);
    memcpy(&tls_space[modules++], &address, sizeof(address));
}

int main(int count, char **arguments)
{
    check_watchdog(40);
    free(malloc(1)); /* so that the linked program has its malloc from the archive, and glibc's loader uses it, too */
    for (int i = 1; i < count; i++)
        open_module(arguments[i]);
    pthread_attr_t attributes;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, 8 * MIB) == 0);
    CHECK(pthread_barrier_init(&all_used, NULL, THREADS) == 0);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++)
            CHECK(pthread_create(&threads[i], &attributes, use_all, NULL) == 0);
        for (int i = 0; i < THREADS; i++)
            CHECK(pthread_join(threads[i], NULL) == 0);
    }
    check_note("%zu MiB of thread-local storage in %zu modules", used / MIB, modules);
    CHECK(used >= 12 * MIB * ROUNDS);
    return 0;
}
