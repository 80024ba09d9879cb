/* SPDX-License-Identifier: MIT
 *
 * The first calls: before constructors (preinit_array), from an early constructor, and from eight threads at once that
 * are let go together.
 */
#include "check.h"
#include "pattern.h"
#include "proc.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8, EACH = 500 };

static void *from_preinit, *from_constructor;
static pthread_barrier_t start;

static void *first_calls(void *argument)
{
    uint64_t seed = (uint64_t)(uintptr_t)argument;
    static _Thread_local unsigned char *blocks[EACH];
    pthread_barrier_wait(&start);
    for (size_t i = 0; i < EACH; i++) {
        size_t size = 8 + (i * i * 37) % (i % 20 ? 3000 : 200000);
        blocks[i] = i % 5 == 0 ? calloc(1, size) : malloc(size);
        CHECK(blocks[i]);
        CHECK(i % 5 || pattern_nonzero(blocks[i], size) == size);
        pattern_fill(blocks[i], size, seed + i);
    }
    for (size_t i = 0; i < EACH; i++) {
        size_t size = 8 + (i * i * 37) % (i % 20 ? 3000 : 200000);
        CHECK(pattern_check(blocks[i], size, seed + i) == size);
        free(blocks[i]);
    }
    return NULL;
}

static void all_at_once(void)
{
    pthread_t threads[THREADS];
    CHECK(pthread_barrier_init(&start, NULL, THREADS) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, first_calls, (void *)(uintptr_t)(i * 1000)) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(pthread_barrier_destroy(&start) == 0);
}

static void preinit(void)
{
    from_preinit = malloc(100);
    CHECK(from_preinit);
    memset(from_preinit, 1, 100);
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit_entry)(void) = preinit;

__attribute__((constructor(101))) static void early(void)
{
    from_constructor = calloc(7, 1000);
    CHECK(from_constructor);
    free(malloc(3 * MIB));
    all_at_once();
}

int main(void)
{
    check_watchdog(60);
    if (from_preinit == NULL)
        preinit(); /* musl calls nothing before constructors */
    CHECK(*(unsigned char *)from_preinit == 1);
    CHECK(pattern_nonzero(from_constructor, 7000) == 7000);
    from_preinit = realloc(from_preinit, 5000);
    CHECK(from_preinit);
    free(from_preinit);
    free(from_constructor);
    all_at_once();
    return 0;
}
