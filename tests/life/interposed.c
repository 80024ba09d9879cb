/* SPDX-License-Identifier: MIT
 *
 * Beside a library that interposes functions of the C library and allocates in them (interposer.c) a program starts,
 * and allocates in threads. Nothing interposed is called inside an allocation call, nor by the library at all.
 */
#include "interposer.h"

#include "check.h"
#include "pattern.h"
#include "proc.h"

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* The flag is set around the calls alone. */
#define INSIDE(call) (interposer_in_allocation = 1, (call), interposer_in_allocation = 0)

static void *work(void *argument)
{
    enum { SLOTS = 100 };
    void *blocks[SLOTS] = {0};
    uint64_t random = (uintptr_t)argument;
    for (int i = 0; i < 60000; i++) {
        void **block = &blocks[random_below(&random, SLOTS)];
        size_t size = 1 + random_below(&random, i % 50 ? 2000 : i % 5000 ? 300000 : 40 * MIB);
        if (i % 3 == 0) {
            INSIDE(*block = realloc(*block, size));
        } else {
            INSIDE(free(*block));
            if (i % 3 == 1)
                INSIDE(*block = malloc(size));
            else
                INSIDE(*block = aligned_alloc(64, size));
        }
        CHECK(*block != NULL);
        memset(*block, 1, size < 5000 ? size : 5000);
    }
    for (int i = 0; i < SLOTS; i++)
        INSIDE(free(blocks[i]));
    INSIDE(malloc_trim(0));
    return NULL;
}

static const char *name_of(enum interposer_name name)
{
    static const char *const names[] = {
#define X(name) #name,
        INTERPOSED(X)
#undef X
    };
    return names[name];
}

static void show_calls(void)
{
    for (unsigned i = 0; i < INTERPOSER_NAMES; i++) {
        if (interposer_calls[i] != 0)
            check_note("%s: %u calls", name_of((enum interposer_name)i), interposer_calls[i]);
    }
}

/* Of the library that has malloc, where that is not this program. */
static void expect_no_call_of(const void *function)
{
    Dl_info library, own, caller;
    CHECK(dladdr(function, &library) != 0 && dladdr((void *)work, &own) != 0);
    if (library.dli_fbase == own.dli_fbase)
        return;
    for (unsigned i = 0; i < interposer_caller_count && i < INTERPOSER_CALLERS; i++) {
        CHECKF(dladdr(interposer_callers[i], &caller) == 0 || caller.dli_fbase != library.dli_fbase,
               "%s called an interposed function", library.dli_fname);
    }
}

int main(void)
{
    pthread_t threads[3];
    struct timespec t;
    check_watchdog(100);
    for (size_t i = 0; i < 3; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
    for (size_t i = 0; i < 3; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    mallinfo2();
    malloc_stats();
    show_calls();
    CHECK(interposer_calls_inside == 0);
    expect_no_call_of((void *)malloc);
    unsigned before = interposer_calls[INTERPOSER_clock_gettime]; /* it does count */
    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0 && interposer_calls[INTERPOSER_clock_gettime] == before + 1);
    return 0;
}
