/* SPDX-License-Identifier: MIT
 * Allocates MIB MiB of blocks of 16 to 1008 bytes, frees them in random order (`random`) or in order, and says where
 * the memory is that stays. See decision 0006. */
#include <hakmem/hakmem.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static uint64_t state = 42;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

int main(int argc, char **argv)
{
    size_t count = (argc > 1 ? strtoul(argv[1], NULL, 10) : 512) * 2048;
    void **block = mmap(NULL, count * sizeof *block, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct hak_stats s = {.size = sizeof s};
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
    hak_stats(&s);
    printf("front %zu KiB, free in owned slabs %zu KiB, EMPTY %zu KiB, runs %zu KiB, records %zu KiB, given back %zu "
           "KiB\n",
           s.front_bytes >> 10, s.slab_free_bytes >> 10, s.empty_bytes >> 10, s.run_free_bytes >> 10,
           s.metadata_bytes >> 10, (size_t)(s.purged_bytes >> 10));
    return 0;
}
