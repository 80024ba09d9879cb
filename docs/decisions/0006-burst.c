/* SPDX-License-Identifier: MIT
 * Allocates MIB MiB of blocks of 16 to 1008 bytes, frees them in random order (`random`) or in order, says where the
 * memory is, and with a third argument sleeps two seconds and says it again. See decision 0006. */
#include <hakmem/hakmem.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t state = 42;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void say(const char *when)
{
    struct hak_stats s = {.size = sizeof s};
    hak_stats(&s);
    printf("%s: front %zu KiB, free in owned slabs %zu KiB, EMPTY %zu KiB, runs %zu KiB\n", when, s.front_bytes >> 10,
           s.slab_free_bytes >> 10, s.empty_bytes >> 10, s.run_free_bytes >> 10);
}

int main(int argc, char **argv)
{
    size_t count = (argc > 1 ? strtoul(argv[1], NULL, 10) : 512) * 2048;
    void **block = hak_malloc(count * sizeof *block);
    for (size_t i = 0; i < count; i++)
        memset(block[i] = hak_malloc(16 + next() % 993), 1, 16);
    for (size_t i = count - 1; argc > 2 && argv[2][0] == 'r' && i > 0; i--) {
        size_t j = next() % (i + 1);
        void *other = block[i];
        block[i] = block[j];
        block[j] = other;
    }
    for (size_t i = 0; i < count; i++)
        hak_free(block[i]);
    hak_free(block);
    say("freed");
    if (argc > 3) {
        sleep(2);
        say("2 s later");
    }
    return 0;
}
