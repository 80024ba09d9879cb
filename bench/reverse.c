/* SPDX-License-Identifier: MIT
 *
 * Reverse: bursts of small blocks, freed in the reverse order, as a parser does with its tree or a recursion on its way
 * back. Each burst has another length, short ones as often as long ones: some fit into an allocator's caches and some
 * do not.
 */
#include "sizes.h"

enum { BLOCKS, SHORTEST, LONGEST, MIN, MAX, SEED };

int main(int argc, char **argv)
{
    struct bench_arg args[] = {
        [BLOCKS] = {.name = "blocks", .value = 10000000, .max = BENCH_MAX_ITERATIONS, .help = "of all bursts"},
        [SHORTEST] = {.name = "shortest", .value = 10, .min = 1, .max = 1 << 28, .help = "burst, blocks"},
        [LONGEST] = {.name = "longest", .value = 10000, .min = 1, .max = 1 << 28, .help = "burst, log-uniform"},
        [MIN] = {.name = "min", .value = 16, .min = 1, .max = BENCH_MAX_SIZE, .help = "smallest block, bytes"},
        [MAX] = {.name = "max", .value = 256, .min = 1, .max = BENCH_MAX_SIZE, .help = "largest block, bytes"},
        [SEED] = {.name = "seed", .value = 42, .max = UINT64_MAX, .help = "of the random numbers"},
    };
    bench_args(argc, argv, "bursts of blocks, freed in the reverse order", args, BENCH_COUNT(args));
    struct bench_sizes lengths = bench_sizes(args[SHORTEST].value, args[LONGEST].value);
    uint32_t span = bench_span(args[MIN].value, args[MAX].value);
    uint64_t random = bench_seed(args[SEED].value), left = args[BLOCKS].value;
    bench_pin(0);
    char **blocks = bench_table(args[LONGEST].value, sizeof(*blocks));
    uint64_t start = bench_clock();
    while (left != 0) {
        uint64_t length = bench_draw(lengths, bench_next(&random) >> 32);
        length = length < left ? length : left;
        for (uint64_t i = 0; i < length; i++) {
            uint64_t bits = bench_next(&random);
            size_t size = args[MIN].value + bench_scale(bits >> 32, span);
            blocks[i] = malloc(size);
            bench_touch(blocks[i], size, bits);
        }
        for (uint64_t i = length; i-- > 0;)
            free(blocks[i]);
        left -= length;
    }
    bench_result(start, args[BLOCKS].value);
    return 0;
}
