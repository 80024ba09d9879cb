/* SPDX-License-Identifier: MIT
 *
 * moves RUNS: blocks that realloc moves all the time between slabs and page runs, which take each other's place, and of
 * which the program writes the first and the last byte only: what lies between is what was there. A page run that began
 * with the mark of a free block, moved to where it is one again, was taken for one.
 */
#include "check.h"
#include "pattern.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

enum { SLOTS = 60, THREADS = 4, ROUNDS = 60 };

static void move_about(uint64_t seed, size_t operations)
{
    unsigned char *blocks[SLOTS] = {NULL};
    size_t sizes[SLOTS] = {0};
    for (size_t i = 0; i < operations; i++) {
        size_t at = random_below(&seed, SLOTS), size = 16384 + random_below(&seed, 49152);
        CHECK(!blocks[at] || (blocks[at][0] == at && blocks[at][sizes[at] - 1] == at));
        if (random_below(&seed, 4) != 0) {
            blocks[at] = realloc(blocks[at], size);
        } else {
            free(blocks[at]);
            blocks[at] = malloc(size);
        }
        CHECK(blocks[at]);
        sizes[at] = size;
        blocks[at][0] = blocks[at][size - 1] = (unsigned char)at;
    }
    for (size_t i = 0; i < SLOTS; i++)
        free(blocks[i]);
}

static void *work(void *argument)
{
    for (uint64_t i = 0; i < ROUNDS; i++)
        move_about((uint64_t)(uintptr_t)argument * 7919 + i + 1, 20 + i % 5 * 500);
    return NULL;
}

int main(int count, char **arguments)
{
    CHECKF(count == 2, "usage: moves RUNS");
    uintptr_t runs = check_fewer(strtoull(arguments[1], NULL, 10));
    for (uintptr_t run = 1; run <= runs; run++) {
        pthread_t threads[THREADS];
        for (uintptr_t i = 0; i < THREADS; i++)
            CHECK(pthread_create(&threads[i], NULL, work, (void *)(run * THREADS + i)) == 0);
        for (size_t i = 0; i < THREADS; i++)
            CHECK(pthread_join(threads[i], NULL) == 0);
    }
    return 0;
}
