/* SPDX-License-Identifier: MIT
 *
 * fork_handlers FORKS quiet|busy FORKING FIRST SECOND [LIBHAKMEM]: fork handlers of other libraries. Two libraries hold
 * their locks over fork (tests/life/fork_library.c), while threads allocate with those locks held: FIRST's inside
 * SECOND's, as the handlers take them. FORKING threads fork at the same time. With `busy` the handlers allocate, too.
 *
 * FIRST is there at the start when the program is linked with it, SECOND is opened last: so one registers before
 * hakmem, where that is possible, and one after. With LIBHAKMEM the C library's malloc stays, and hakmem is opened
 * between the two.
 */
#include "check.h"
#include "needs.h"
#include "fork_library.h"
#include "forking.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { HOLDING = 2, WORKING = 2, FORKING_MAX = 8 };

static __typeof__(fork_library_set) *set_first, *set_second;
static __typeof__(fork_library_hold) *hold_first, *hold_second;
static int forks;
static atomic_bool stop;

static void bind(void *library, const char *name, void *slot)
{
    void *address = dlsym(library, name);
    CHECKF(address, "no %s", name);
    memcpy(slot, &address, sizeof(address));
}

static void *open_library(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    check_opened(library, dlerror());
    return library;
}

static void inside_second(void)
{
    hold_first(3, NULL);
}

static void *hold(void *argument)
{
    while (!stop) {
        hold_first(2, NULL);
        hold_second(2, inside_second);
    }
    return argument;
}

static void *work(void *argument)
{
    for (uint64_t seed = (uint64_t)(uintptr_t)argument; !stop; seed++)
        forking_work(seed, 500);
    return NULL;
}

static void *fork_all(void *argument)
{
    int first = (int)(uintptr_t)argument;
    for (int i = 0; i < forks; i++)
        forking_once(first + i);
    return NULL;
}

/* A linker leaves out a library that nobody calls. */
static void need_linked(void)
{
#ifdef FORK_LINKED
    fork_library_hold(0, NULL);
#endif
}

static void open_all(char **paths, const char *hakmem, int busy)
{
    void *first = open_library(paths[0]);
    bind(first, "fork_library_set", &set_first);
    bind(first, "fork_library_hold", &hold_first);
    if (hakmem) {
        void *library = open_library(hakmem);
        bind(library, "hak_malloc", &forking_malloc.take);
        bind(library, "hak_realloc", &forking_malloc.resize);
        bind(library, "hak_free", &forking_malloc.give);
    }
    void *second = open_library(paths[1]);
    bind(second, "fork_library_set", &set_second);
    bind(second, "fork_library_hold", &hold_second);
    set_first(forking_malloc.take, forking_malloc.resize, forking_malloc.give, busy);
    set_second(forking_malloc.take, forking_malloc.resize, forking_malloc.give, busy);
}

int main(int count, char **arguments)
{
    CHECK(count == 6 || count == 7);
    int forking = atoi(arguments[3]);
    forks = (int)check_fewer((size_t)atoi(arguments[1]));
    need_linked();
    if (forking > 1)
        need_own_memory(); /* else its locks are held by other threads that fork */
    CHECK(forking > 0 && forking <= FORKING_MAX);
    open_all(arguments + 4, count == 7 ? arguments[6] : NULL, !strcmp(arguments[2], "busy"));
    forking_share();
    pthread_t others[HOLDING + WORKING], threads[FORKING_MAX];
    for (uintptr_t i = 0; i < HOLDING + WORKING; i++)
        CHECK(pthread_create(&others[i], NULL, i < HOLDING ? hold : work, (void *)i) == 0);
    for (int i = 0; i < forking; i++)
        CHECK(pthread_create(&threads[i], NULL, fork_all, (void *)(uintptr_t)(i * 1000000)) == 0);
    for (int i = 0; i < forking; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    stop = true;
    for (int i = 0; i < HOLDING + WORKING; i++)
        CHECK(pthread_join(others[i], NULL) == 0);
    return 0;
}
