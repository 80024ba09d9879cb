/* SPDX-License-Identifier: MIT
 *
 * exit_paths TIMES: processes that exit while threads still allocate; atexit functions and destructors free what was
 * made before, by any thread, and allocate. Each must end with the status it was given.
 */
#include "check.h"
#include "death.h"
#include "pattern.h"
#include "proc.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { THREADS = 4, KEPT = 100, STATUS = 3 };

static unsigned char *of_main[KEPT];
static _Atomic(unsigned char *) of_threads[KEPT];
static bool in_child;

static void *run_through(void *argument)
{
    uint64_t random = (uint64_t)(uintptr_t)argument;
    for (;;) {
        size_t size = 1 + random_below(&random, 3000);
        unsigned char *block = malloc(size);
        CHECK(block);
        block[0] = block[size - 1] = 1;
        free(atomic_exchange(&of_threads[random_below(&random, KEPT)], block));
    }
}

static void free_all(void)
{
    for (size_t i = 0; i < KEPT; i++) {
        CHECK(pattern_check(of_main[i], 1 + i * 77, i) == 1 + i * 77);
        free(of_main[i]);
        free(atomic_exchange(&of_threads[i], NULL));
        of_main[i] = malloc(50 + i * 300);
        CHECK(of_main[i]);
    }
}

/* Runs after the atexit functions. */
__attribute__((destructor)) static void last(void)
{
    if (!in_child)
        return;
    for (size_t i = 0; i < KEPT; i++) {
        memset(of_main[i], 1, 50 + i * 300);
        free(of_main[i]);
    }
    free(calloc(10, 10000));
}

static void child(void *argument)
{
    in_child = true;
    for (size_t i = 0; i < KEPT; i++) {
        of_main[i] = malloc(1 + i * 77);
        CHECK(of_main[i]);
        pattern_fill(of_main[i], 1 + i * 77, i);
    }
    CHECK(atexit(free_all) == 0);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, run_through, (void *)(uintptr_t)i) == 0);
    }
    proc_sleep_ms(*(unsigned *)argument % 5);
    exit(STATUS);
}

int main(int count, char **arguments)
{
    check_watchdog(250);
    int times = (int)check_fewer(count > 1 ? (size_t)atoi(arguments[1]) : 200);
    for (int i = 0; i < times; i++) {
        static struct death death;
        death_run(&death, child, &i);
        CHECKF(WIFEXITED(death.status) && WEXITSTATUS(death.status) == STATUS, "exit %d: %s\n%s", i,
               death_describe(&death), death.text);
        CHECKF(death.lines == 0, "exit %d wrote: %s", i, death.text);
    }
    return 0;
}
