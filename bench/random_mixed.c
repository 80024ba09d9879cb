/* SPDX-License-Identifier: MIT
 *
 * Random Mixed: a table of slots; each operation picks a slot, frees the block in it and puts one of a random size
 * there. The first number to look at: how an allocator serves one thread that mixes sizes over a live set that stays
 * the same.
 */
#include "support.h"

enum { ITERATIONS, SLOTS, SEED, MIN, MAX, LOOP_ONLY };

/* The measured loop without the allocator: each slot holds a buffer that stays. */
static void loop_only(char **slots, uint32_t count, uint64_t iterations, uint64_t random, size_t min, uint32_t span)
{
    for (uint64_t i = 0; i < iterations; i++) {
        uint64_t bits = bench_next(&random);
        char **slot = &slots[bench_scale(bits, count)];
        size_t size = min + bench_scale(bits >> 32, span);
        char *block = *slot;
        if (block != NULL)
            bench_no_free(block);
        bench_no_malloc(size);
        bench_touch(block, size, bits);
        *slot = block;
    }
}

static void mixed(char **slots, uint32_t count, uint64_t iterations, uint64_t random, size_t min, uint32_t span)
{
    for (uint64_t i = 0; i < iterations; i++)
        bench_replace(slots, count, &random, min, span);
}

int main(int argc, char **argv)
{
    struct bench_arg args[] = {
        [ITERATIONS] = {.name = "iterations", .value = 5000000, .max = BENCH_MAX_ITERATIONS, .help = "operations"},
        [SLOTS] = {.name = "slots", .value = 256, .min = 1, .max = UINT32_MAX, .help = "most live blocks"},
        [SEED] = {.name = "seed", .value = 42, .max = UINT64_MAX, .help = "of the random numbers"},
        [MIN] = {.name = "min", .value = 16, .min = 1, .max = BENCH_MAX_SIZE, .help = "smallest block, bytes"},
        [MAX] = {.name = "max", .value = 1024, .min = 1, .max = BENCH_MAX_SIZE, .help = "largest block, bytes"},
        [LOOP_ONLY] = {.name = "loop-only", .flag = true, .help = "the same loop without malloc and free"},
    };
    bench_args(argc, argv, "frees and allocates random sizes in random slots", args, BENCH_COUNT(args));
    uint32_t span = bench_span(args[MIN].value, args[MAX].value);
    uint32_t count = (uint32_t)args[SLOTS].value;
    uint64_t iterations = args[ITERATIONS].value;
    uint64_t random = bench_seed(args[SEED].value);
    size_t min = args[MIN].value;
    bench_pin(0);
    char **slots = bench_table(count, sizeof(*slots));
    uint64_t start;
    if (args[LOOP_ONLY].value) {
        char *buffers = bench_table(count, args[MAX].value);
        for (uint32_t i = 0; i < count; i++)
            slots[i] = buffers + (size_t)i * args[MAX].value;
        start = bench_clock();
        loop_only(slots, count, iterations, random, min, span);
    } else {
        start = bench_clock();
        mixed(slots, count, iterations, random, min, span);
    }
    bench_result(start, iterations);
    if (!args[LOOP_ONLY].value)
        bench_free_all(slots, count);
    return 0;
}
