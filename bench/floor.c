/* SPDX-License-Identifier: MIT
 *
 * Floor: a program that allocates a few small blocks and ends. Its peak RSS is what an allocator costs every program.
 * With 0 blocks it does nothing: what it then asks of the system is the loader's.
 */
#include "support.h"

enum { BLOCKS };

int main(int argc, char **argv)
{
    struct bench_arg args[] = {
        [BLOCKS] = {.name = "blocks", .value = 1, .max = BENCH_MAX_ITERATIONS, .help = "to allocate"},
    };
    bench_args(argc, argv, "almost nothing, for the memory that an allocator costs every program", args, 1);
    uint64_t start = bench_clock();
    for (uint64_t i = 0; i < args[BLOCKS].value; i++) {
        char *block = malloc(64);
        bench_touch(block, 64, i);
        free(block);
    }
    bench_result(start, args[BLOCKS].value);
    return 0;
}
