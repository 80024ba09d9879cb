/* SPDX-License-Identifier: MIT
 *
 * late_destructors THREADS: destructors of thread-specific data that allocate and free in every round the C library
 * gives them, so surely after the allocator's own has run, and destructors of C++ thread_local objects that do the
 * same. RSS after the last thread is within 2 MiB of RSS after the first sixth.
 */
#include "check.h"
#include "needs.h"
#include "proc.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 16 };

/* One key is older than anything the program does, one is younger than all the library may have made. */
static pthread_key_t early_key, late_key;
static unsigned destructor_calls;

struct cargo {
    unsigned round;
    pthread_key_t key;
    unsigned char *blocks[BLOCKS];
};

static size_t size_of(unsigned i)
{
    static const size_t sizes[] = {24, 100, 700, 1500, 9000, 40000};
    return sizes[i % 6];
}

static void fill(struct cargo *cargo)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        cargo->blocks[i] = malloc(size_of(i));
        CHECK(cargo->blocks[i]);
        memset(cargo->blocks[i], (int)i, size_of(i));
    }
}

static void clear(struct cargo *cargo)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        CHECK(cargo->blocks[i][0] == i && cargo->blocks[i][size_of(i) - 1] == i);
        free(cargo->blocks[i]);
    }
}

/* Frees what the round before allocated; all but the last round allocate again. */
static void destroy_cargo(void *value)
{
    struct cargo *cargo = value;
    __atomic_fetch_add(&destructor_calls, 1, __ATOMIC_RELAXED);
    clear(cargo);
    if (++cargo->round < PTHREAD_DESTRUCTOR_ITERATIONS) {
        fill(cargo);
        CHECK(pthread_setspecific(cargo->key, cargo) == 0);
        return;
    }
    free(calloc(3, 400));
    free(cargo);
}

static void load(pthread_key_t key)
{
    struct cargo *cargo = malloc(sizeof(*cargo));
    CHECK(cargo);
    cargo->round = 0;
    cargo->key = key;
    fill(cargo);
    CHECK(pthread_setspecific(key, cargo) == 0);
}

/* What a compiler calls for a thread_local object with a destructor; musl has none. */
extern int __cxa_thread_atexit_impl(void (*destructor)(void *), void *object, void *dso) __attribute__((weak));
extern void *__dso_handle;

static void destroy_object(void *object)
{
    struct cargo *cargo = object;
    clear(cargo);
    fill(cargo);
    clear(cargo);
    free(cargo);
}

static void *thread_body(void *argument)
{
    struct cargo *object = malloc(sizeof(*object));
    CHECK(object);
    fill(object);
    if (__cxa_thread_atexit_impl != NULL)
        CHECK(__cxa_thread_atexit_impl(destroy_object, object, &__dso_handle) == 0);
    else
        destroy_object(object);
    load(early_key);
    load(late_key);
    return argument;
}

/* A thread whose first call into the allocator is made by a destructor. */
static void *silent_body(void *argument)
{
    CHECK(pthread_setspecific(early_key, argument) == 0);
    return NULL;
}

__attribute__((constructor(101))) static void make_early_key(void)
{
    CHECK(pthread_key_create(&early_key, destroy_cargo) == 0);
}

int main(int count, char **arguments)
{
    check_watchdog(150);
    size_t total = check_fewer(count > 1 ? strtoull(arguments[1], NULL, 10) : 6000), early_rss = 0;
    CHECK(pthread_key_create(&late_key, destroy_cargo) == 0);
    for (size_t done = 0; done < total; done += 2) {
        struct cargo *handed = malloc(sizeof(*handed));
        CHECK(handed);
        handed->round = 0;
        handed->key = early_key;
        fill(handed);
        pthread_t one, two;
        CHECK(pthread_create(&one, NULL, thread_body, NULL) == 0);
        CHECK(pthread_create(&two, NULL, silent_body, handed) == 0);
        CHECK(pthread_join(one, NULL) == 0);
        CHECK(pthread_join(two, NULL) == 0);
        if (done + 2 >= total / 6 && !early_rss)
            early_rss = proc_rss();
    }
    CHECKF(destructor_calls == total / 2 * 3 * PTHREAD_DESTRUCTOR_ITERATIONS, "%u destructor calls", destructor_calls);
    size_t rss = proc_rss();
    check_note("RSS after %zu threads %zu KiB, after %zu threads %zu KiB", total / 6, early_rss / KIB, total,
               rss / KIB);
    CHECK(!memory_is_own() || rss <= early_rss + 2 * MIB);
    return 0;
}
