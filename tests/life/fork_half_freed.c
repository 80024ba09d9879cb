/* SPDX-License-Identifier: MIT
 *
 * fork_half_freed MODULE...: pthread_create takes the stack of a thread that has ended, frees that thread's blocks of
 * thread-local storage (one for each dlopened library that it used), and only then forgets them. A fork between the
 * two, by another thread, leaves the child with a stack in glibc's cache whose blocks are free already, and the next
 * pthread_create there frees them again. It is no program's fault, so the child has to live.
 *
 * The program's own free comes before the preloaded one: it holds the thread in pthread_create where its last block was
 * freed until main has forked. Then the child starts as many threads as there are stacks.
 */
#include "check.h"
#include "forking.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MODULES = 16, SECONDS = 30, CHILD_THREADS = 3 };

static void *(*tls_space[MODULES])(size_t *);
static void *blocks[MODULES]; /* of the thread that has ended */
static size_t modules;
static pthread_barrier_t all_there;
static _Thread_local bool is_watched;
static atomic_uint freed;
static atomic_bool has_forked;

/* Is one of the blocks in what was allocated there? glibc aligns them itself. */
static bool has_block(const char *pointer)
{
    for (size_t i = 0; i < modules; i++) {
        if ((size_t)((char *)blocks[i] - pointer) < 128)
            return true;
    }
    return false;
}

void free(void *pointer)
{
    static void (*next)(void *);
    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "free");
    next(pointer);
    if (is_watched && pointer != NULL && has_block(pointer) && ++freed == modules) {
        while (!has_forked)
            usleep(1000);
    }
}

static void open_module(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CHECKF(library && modules < MODULES, "%s", dlerror());
    void *address = dlsym(library, "tls_space");
    CHECK(address);
    memcpy(&tls_space[modules++], &address, sizeof(address));
}

static void *use_all(void *argument)
{
    for (size_t i = 0; i < modules; i++) {
        size_t size;
        blocks[i] = tls_space[i](&size);
        memset(blocks[i], 1, size);
    }
    return argument;
}

static void *do_nothing(void *argument)
{
    return argument;
}

static void *start_one(void *argument)
{
    pthread_t thread;
    pthread_barrier_wait(&all_there);
    pthread_barrier_wait(&all_there);
    is_watched = true;
    CHECK(pthread_create(&thread, NULL, do_nothing, NULL) == 0);
    is_watched = false;
    has_forked = true; /* it never was held: main sees what was freed */
    CHECK(pthread_join(thread, NULL) == 0);
    return argument;
}

static void *be_there(void *argument)
{
    pthread_barrier_wait(argument);
    return NULL;
}

__attribute__((noreturn)) static void child(void)
{
    pthread_t threads[CHILD_THREADS];
    pthread_barrier_t barrier;
    check_watchdog(SECONDS);
    CHECK(pthread_barrier_init(&barrier, NULL, CHILD_THREADS) == 0);
    for (int i = 0; i < CHILD_THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, be_there, &barrier) == 0);
    for (int i = 0; i < CHILD_THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    forking_child(1);
}

int main(int count, char **arguments)
{
    pthread_t ended, starter;
    check_watchdog(SECONDS);
    for (int i = 1; i < count; i++)
        open_module(arguments[i]);
    CHECK(pthread_barrier_init(&all_there, NULL, 2) == 0);
    CHECK(pthread_create(&starter, NULL, start_one, NULL) == 0);
    pthread_barrier_wait(&all_there); /* it has a stack of its own */
    CHECK(pthread_create(&ended, NULL, use_all, NULL) == 0);
    CHECK(pthread_join(ended, NULL) == 0);
    pthread_barrier_wait(&all_there);
    while (freed != modules && !has_forked)
        usleep(1000);
    if (has_forked)
        check_skip("this C library frees no thread-local storage in pthread_create");
    pid_t pid = fork();
    if (pid == 0)
        child();
    has_forked = true;
    forking_wait(pid, 1);
    CHECK(pthread_join(starter, NULL) == 0);
    return 0;
}
