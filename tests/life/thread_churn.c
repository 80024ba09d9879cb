/* SPDX-License-Identifier: MIT
 *
 * thread_churn THREADS: short threads that allocate and free, four at a time; RSS at the end is within 2 MiB of RSS
 * after the first hundredth. Each hands one block to the next, so that blocks outlive their threads.
 */
#include "check.h"
#include "needs.h"
#include "pattern.h"
#include "proc.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 4, BLOCKS = 40 };

static void *handed_on[AT_ONCE];

static void *short_thread(void *argument)
{
    uint64_t random = (uint64_t)(uintptr_t)argument;
    size_t slot = (size_t)random % AT_ONCE;
    void *blocks[BLOCKS];
    free(handed_on[slot]);
    for (int i = 0; i < BLOCKS; i++) {
        size_t size = 1 + random_below(&random, i % 8 ? 1000 : 20000);
        blocks[i] = malloc(size);
        CHECK(blocks[i]);
        memset(blocks[i], i, size);
    }
    handed_on[slot] = blocks[BLOCKS - 1];
    for (int i = 0; i < BLOCKS - 1; i++)
        free(blocks[i]);
    return NULL;
}

int main(int count, char **arguments)
{
    check_watchdog(280);
    size_t total = check_fewer(count > 1 ? strtoull(arguments[1], NULL, 10) : 100000), early_rss = 0;
    for (size_t done = 0; done < total; done += AT_ONCE) {
        pthread_t threads[AT_ONCE];
        for (size_t i = 0; i < AT_ONCE; i++)
            CHECK(pthread_create(&threads[i], NULL, short_thread, (void *)(uintptr_t)(done + i)) == 0);
        for (size_t i = 0; i < AT_ONCE; i++)
            CHECK(pthread_join(threads[i], NULL) == 0);
        if (done + AT_ONCE >= total / 100 && !early_rss)
            early_rss = proc_rss();
    }
    size_t rss = proc_rss();
    check_note("RSS after %zu threads %zu KiB, after %zu threads %zu KiB", total / 100, early_rss / KIB, total,
               rss / KIB);
    CHECK(!memory_is_own() || rss <= early_rss + 2 * MIB);
    return 0;
}
