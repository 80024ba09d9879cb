/* SPDX-License-Identifier: MIT
 *
 * few_maps MAPS: for a process that may have so few mappings (vm.max_map_count). Neighbouring blocks are one mapping;
 * that one of them is unmapped can then be refused. Their pages go all the same, everything goes on, and what could not
 * be unmapped is used again.
 */
#include "check.h"
#include "pattern.h"
#include "proc.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 20000, ROUNDS = 3 };

static void use_small(uint64_t seed)
{
    static void *blocks[BLOCKS];
    for (int i = 0; i < 10 * BLOCKS; i++) {
        size_t at = random_below(&seed, BLOCKS), size = 16 + random_below(&seed, i % 100 ? 2000 : 300000);
        free(blocks[at]);
        blocks[at] = malloc(size);
        CHECKF(blocks[at], "%zu bytes are refused", size);
        memset(blocks[at], 1, size);
    }
    for (int i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
        blocks[i] = NULL;
    }
}

static void *nothing(void *argument)
{
    free(malloc(100));
    return argument;
}

/* Every second one goes first: each is a hole. */
static void free_all(void **blocks, int n)
{
    for (int i = 0; i < 2 * n; i++) {
        int at = i < n ? i | 1 : (i - n) & ~1;
        if (at < n)
            free(blocks[at]);
        if (at < n)
            blocks[at] = NULL;
    }
}

int main(int count, char **arguments)
{
    static void *blocks[1000];
    CHECK(count == 2);
    int n = 2 * atoi(arguments[1]);
    CHECK(n > 0 && n <= 1000);
    free(malloc(1));
    size_t before = proc_rss(), space = 0;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < n; i++) {
            blocks[i] = malloc(33 * MIB);
            CHECKF(blocks[i], "block %d of %d is refused", i, n);
            memset(blocks[i], 1, 256 * KIB);
        }
        for (int i = 0; i < n; i += 7) {
            void *grown = realloc(blocks[i], 40 * MIB);
            blocks[i] = grown ? grown : blocks[i];
        }
        free_all(blocks, n);
        size_t left = proc_rss() - before, mapped = proc_status_bytes(0, "VmSize:");
        CHECKF(left < 40 * MIB, "%zu KiB stay", left / KIB);
        CHECKF(round < 2 || mapped <= space + space / 8, "%zu MiB are mapped, %zu were", mapped / MIB, space / MIB);
        space = mapped;
        use_small(round + 1);
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
    }
    return 0;
}
