/* SPDX-License-Identifier: MIT
 *
 * Hot pair: malloc and free of one block, again and again: the two fast paths and nothing else.
 */
#include "support.h"

enum { SIZE, ITERATIONS, LOOP_ONLY };

int main(int argc, char **argv)
{
    struct bench_arg args[] = {
        [SIZE] = {.name = "size", .value = 64, .min = 1, .max = BENCH_MAX_SIZE, .help = "of the block, bytes"},
        [ITERATIONS] = {.name = "iterations", .value = 30000000, .max = BENCH_MAX_ITERATIONS, .help = "pairs"},
        [LOOP_ONLY] = {.name = "loop-only", .flag = true, .help = "the same loop without malloc and free"},
    };
    bench_args(argc, argv, "malloc and free of one block of one size", args, BENCH_COUNT(args));
    uint64_t iterations = args[ITERATIONS].value;
    size_t size = args[SIZE].value;
    bench_pin(0);
    uint64_t start;
    if (args[LOOP_ONLY].value) {
        char *block = bench_table(1, size);
        start = bench_clock();
        for (uint64_t i = 0; i < iterations; i++) {
            bench_no_malloc(size);
            bench_touch(block, size, i);
            bench_no_free(block);
        }
    } else {
        start = bench_clock();
        for (uint64_t i = 0; i < iterations; i++) {
            char *block = malloc(size);
            bench_touch(block, size, i);
            free(block);
        }
    }
    bench_result(start, iterations);
    return 0;
}
