/* SPDX-License-Identifier: MIT
 *
 * The main thread ends by pthread_exit; the others go on with its blocks, and the process ends with status 0 when the
 * last of them returns.
 */
#include "check.h"
#include "pattern.h"
#include "proc.h"

#include <pthread.h>
#include <stdlib.h>

enum { COUNT = 5000, THREADS = 3 };

static unsigned char *blocks[COUNT];
static pthread_t main_thread;

static void *outlive(void *argument)
{
    size_t first = (size_t)(uintptr_t)argument;
    if (first == 0)
        CHECK(pthread_join(main_thread, NULL) == 0);
    else
        proc_sleep_ms(50);
    for (size_t i = first; i < COUNT; i += THREADS) {
        CHECK(pattern_check(blocks[i], 1 + i % 3000, i) == 1 + i % 3000);
        blocks[i] = realloc(blocks[i], 2000);
        CHECK(blocks[i]);
        pattern_fill(blocks[i], 2000, i);
    }
    for (size_t i = first; i < COUNT; i += THREADS) {
        CHECK(pattern_check(blocks[i], 2000, i) == 2000);
        free(blocks[i]);
    }
    return NULL;
}

int main(void)
{
    check_watchdog(60);
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(1 + i % 3000);
        CHECK(blocks[i]);
        pattern_fill(blocks[i], 1 + i % 3000, i);
    }
    main_thread = pthread_self();
    for (size_t i = 0; i < THREADS; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, outlive, (void *)(uintptr_t)i) == 0);
    }
    pthread_exit(NULL);
}
