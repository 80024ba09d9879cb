/* SPDX-License-Identifier: MIT
 *
 * churn THREADS SEED MODULE...: threads come and go as fast as they can, more of them than glibc keeps stacks for, and
 * between their starts and ends is everything that makes the C library allocate and free inside locks of its own. Their
 * number swings between FEW and MANY: when it falls, stacks and thread-local blocks are given back by whoever ends. A
 * thread does some of: blocks of all sizes that are handed to whichever thread comes by, bursts that leave more than
 * 16 MiB to give back, the thread-local storage of libraries that stay and of libraries that are opened and closed,
 * keys whose destructors allocate and free. There are PHASES of that with a rest between them, the first without bursts
 * and large blocks. No thread-local arrays here: with much static TLS a thread with a small stack cannot start, and so
 * not stand still either.
 */
#include "check.h"
#include "pattern.h"
#include "proc.h"

#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    FEW = 3,
    MANY = 36,
    SWING = 50,
    SHARED = 4096,
    KEYS = 8,
    MODULES = 16,
    STAYING = 5,
    BURST = 18000,
    SIZE = 1000,
    PHASES = 2,
    REST_MS = 500
};

static void *_Atomic shared[SHARED];
static pthread_key_t keys[KEYS];
static const char *paths[MODULES];
static void *(*staying[STAYING])(size_t *);
static size_t modules;
static pthread_attr_t attributes;
static _Atomic long started, alive; /* in this phase */
static long total;
static uint64_t seeds;
static sem_t ended;
static bool bursts; /* changes only while there is no other thread */

static size_t any_size(uint64_t *random)
{
    size_t limit = (size_t)16 << (2 * random_below(random, bursts ? 9 : 5)); /* 16 bytes to 4 KiB, or to 1 MiB */
    return 1 + random_below(random, limit);
}

/* Puts a block there for another thread and returns what was there. */
static void *replace(size_t place, void *block)
{
    return atomic_exchange(&shared[place], block);
}

static void hand_on(uint64_t *random, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t size = any_size(random);
        char *block = malloc(size);
        CHECK(block);
        block[0] = block[size - 1] = 1;
        free(replace(random_below(random, SHARED), block));
    }
}

static void burst(uint64_t *random)
{
    void **blocks = malloc(BURST * sizeof(*blocks));
    CHECK(blocks);
    for (size_t i = 0; i < BURST; i++) {
        blocks[i] = malloc(SIZE);
        CHECK(blocks[i]);
        memset(blocks[i], 1, SIZE);
    }
    for (size_t i = 0; i < BURST; i++)
        free(random_below(random, 64) ? blocks[i] : replace(i % SHARED, blocks[i]));
    free(blocks);
}

static void touch(void *(*space)(size_t *))
{
    size_t size;
    char *bytes = space(&size);
    bytes[0] = bytes[size - 1] = 1;
}

static void *open_module(const char *path, void *(**space)(size_t *))
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CHECKF(library, "%s", dlerror());
    void *address = dlsym(library, "tls_space");
    CHECK(address);
    memcpy(space, &address, sizeof(address));
    return library;
}

static void open_and_close(uint64_t *random)
{
    void *(*space)(size_t *);
    void *library = open_module(paths[STAYING + random_below(random, modules - STAYING)], &space);
    touch(space);
    CHECK(dlclose(library) == 0);
}

/* Comes back twice, as a destructor may. */
static void destroy(void *value)
{
    unsigned char *block = value;
    unsigned char times = block[0];
    free(block);
    block = malloc(2000 + times * 30000u);
    CHECK(block);
    block[0] = (unsigned char)(times + 1);
    if (times < 2)
        CHECK(pthread_setspecific(keys[times], block) == 0);
    else
        free(block);
}

static void set_keys(uint64_t *random)
{
    for (size_t i = 0; i < KEYS; i++) {
        if (pthread_getspecific(keys[i]))
            continue;
        unsigned char *block = calloc(1, any_size(random));
        CHECK(block && pthread_setspecific(keys[i], block) == 0);
    }
}

static long wanted(void)
{
    return started / SWING % 2 ? FEW : MANY;
}

static void *work(void *argument);

static void start(void)
{
    pthread_t thread;
    uint64_t number = (uint64_t)started++;
    alive++;
    CHECK(pthread_create(&thread, &attributes, work, (void *)(uintptr_t)(seeds + number)) == 0);
}

static void *work(void *argument)
{
    uint64_t random = (uint64_t)(uintptr_t)argument;
    hand_on(&random, 1 + random_below(&random, 60));
    for (size_t i = 0; i < STAYING; i++) {
        if (random_below(&random, 2))
            touch(staying[i]);
    }
    if (random_below(&random, 2))
        set_keys(&random);
    if (random_below(&random, 8) == 0)
        open_and_close(&random);
    if (bursts && random_below(&random, 60) == 0)
        burst(&random);
    for (int i = 0; i < 3 && started < total && alive <= wanted(); i++)
        start();
    if (wanted() == MANY)
        proc_sleep_ms((unsigned)random_below(&random, 20)); /* else each has ended before there are many */
    if (--alive == 0)
        sem_post(&ended);
    return NULL;
}

static void *come_and_go(void *argument)
{
    return argument;
}

static void start_one_more(void)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, come_and_go, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

int main(int count, char **arguments)
{
    CHECK(count > 3 + STAYING);
    modules = (size_t)count - 3;
    CHECK(modules <= MODULES);
    for (size_t i = 0; i < modules; i++)
        paths[i] = arguments[3 + i];
    for (size_t i = 0; i < STAYING; i++)
        open_module(paths[i], &staying[i]);
    for (size_t i = 0; i < KEYS; i++)
        CHECK(pthread_key_create(&keys[i], destroy) == 0);
    CHECK(sem_init(&ended, 0, 0) == 0);
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, 8 * MIB) == 0);
    CHECK(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0);
    total = (long)check_fewer((size_t)atol(arguments[1])) / PHASES;
    for (int phase = 0; phase < PHASES; phase++) {
        seeds = (strtoull(arguments[2], NULL, 10) * PHASES + (uint64_t)phase) << 20;
        bursts = phase > 0;
        started = 0;
        start();
        while (sem_wait(&ended) != 0) {
        }
        proc_sleep_ms(REST_MS);
        start_one_more(); /* who ended last may stand still, and nobody would notice */
    }
    return 0;
}
