/* SPDX-License-Identifier: MIT
 *
 * Mid and large: Random Mixed for blocks of 1 KiB to 8 MiB, as many between 1 and 2 KiB as between 4 and 8 MiB
 * (log-uniform, linear within each doubling). With --touch pages every page of a block is written, as a program does
 * that reads a file into it; then page faults decide.
 */
#include "sizes.h"

enum { ITERATIONS, LIVE, SEED, MIN, MAX, TOUCH };

int main(int argc, char **argv)
{
    struct bench_arg args[] = {
        [ITERATIONS] = {.name = "iterations", .value = 300000, .max = BENCH_MAX_ITERATIONS, .help = "operations"},
        [LIVE] = {.name = "live", .value = 64, .min = 1, .max = 1 << 24, .help = "most live blocks"},
        [SEED] = {.name = "seed", .value = 42, .max = UINT64_MAX, .help = "of the random numbers"},
        [MIN] = {.name = "min", .value = 1 << 10, .min = 1, .max = BENCH_MAX_SIZE, .help = "smallest block, bytes"},
        [MAX] = {.name = "max", .value = 8 << 20, .min = 1, .max = BENCH_MAX_SIZE, .help = "largest block, bytes"},
        [TOUCH] = {.name = "touch", .value = BENCH_ENDS, .choices = bench_touch_words, .help = "what is written"},
    };
    bench_args(argc, argv, "frees and allocates blocks of log-uniform sizes", args, BENCH_COUNT(args));
    struct bench_sizes sizes = bench_sizes(args[MIN].value, args[MAX].value);
    uint64_t random = bench_seed(args[SEED].value);
    size_t stride = bench_stride(args[TOUCH].value);
    bench_pin(0);
    char **slots = bench_table(args[LIVE].value, sizeof(*slots));
    uint64_t start = bench_clock();
    for (uint64_t i = 0; i < args[ITERATIONS].value; i++) {
        uint64_t bits = bench_next(&random);
        char **slot = &slots[bench_scale(bits, (uint32_t)args[LIVE].value)];
        size_t size = bench_draw(sizes, bits >> 32);
        if (*slot != NULL)
            free(*slot);
        char *block = malloc(size);
        bench_write(block, size, i, stride);
        *slot = block;
    }
    bench_result(start, args[ITERATIONS].value);
    bench_free_all(slots, args[LIVE].value);
    return 0;
}
