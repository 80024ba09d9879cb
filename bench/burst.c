/* SPDX-License-Identifier: MIT
 *
 * Burst: allocates COUNT blocks of log-uniform sizes, then frees all of them in a random order; some rounds. Large
 * enough that an allocator has to decide what to keep. What is measured is its speed over the rounds, and then, in
 * rounds of their own, how long the slowest single malloc and free take: what an allocator puts off is done in one of
 * them.
 */
#include "support.h"

enum { ROUNDS, COUNT, MIN, MAX, TOUCH, SEED };

/* Times of calls in steps of an eighth of a doubling. */
struct times {
    uint64_t count, slowest;
    uint32_t bucket[64 * 8];
};

static void add_time(struct times *times, uint64_t ns)
{
    unsigned log = 63 - (unsigned)__builtin_clzll(ns | 8);
    times->count++;
    times->slowest = ns > times->slowest ? ns : times->slowest;
    times->bucket[log * 8 + (ns >> (log - 3) & 7)]++;
}

/* A time that one call in ten thousand is above, to an eighth of a doubling. */
static uint64_t slow_time(const struct times *times)
{
    uint64_t above = times->count / 10000;
    for (unsigned i = BENCH_COUNT(times->bucket); i-- > 0;) {
        if (times->bucket[i] > above)
            return (uint64_t)(8 + i % 8 + 1) << (i / 8 - 3);
        above -= times->bucket[i];
    }
    return 0;
}

struct burst {
    char **blocks;
    uint32_t *sizes, *order; /* made before the clock starts */
    uint32_t count;
    size_t stride;
};

static void run_burst(const struct burst *burst)
{
    for (uint32_t i = 0; i < burst->count; i++) {
        burst->blocks[i] = malloc(burst->sizes[i]);
        bench_write(burst->blocks[i], burst->sizes[i], i, burst->stride);
    }
    for (uint32_t i = 0; i < burst->count; i++)
        free(burst->blocks[burst->order[i]]);
}

static void time_calls(const struct burst *burst, struct times *mallocs, struct times *frees)
{
    for (uint32_t i = 0; i < burst->count; i++) {
        uint64_t start = bench_clock();
        char *block = malloc(burst->sizes[i]);
        add_time(mallocs, bench_clock() - start);
        bench_write(block, burst->sizes[i], i, burst->stride);
        burst->blocks[i] = block;
    }
    for (uint32_t i = 0; i < burst->count; i++) {
        char *block = burst->blocks[burst->order[i]];
        uint64_t start = bench_clock();
        free(block);
        add_time(frees, bench_clock() - start);
    }
}

static void make_orders(struct burst *burst, uint64_t seed, uint64_t min, uint64_t max)
{
    uint64_t random = bench_seed(seed);
    unsigned doublings = 0;
    while (min << (doublings + 1) <= max)
        doublings++;
    for (uint32_t i = 0; i < burst->count; i++) {
        uint64_t low = min << bench_scale(bench_next(&random), doublings + 1);
        uint64_t high = low * 2 - 1 < max ? low * 2 - 1 : max;
        burst->sizes[i] = (uint32_t)low + bench_scale(bench_next(&random), (uint32_t)(high - low + 1));
        uint32_t other = bench_scale(bench_next(&random), i + 1);
        burst->order[i] = burst->order[other];
        burst->order[other] = i;
    }
}

int main(int argc, char **argv)
{
    struct bench_arg args[] = {
        [ROUNDS] = {.name = "rounds", .value = 5, .max = UINT32_MAX, .help = "timed bursts"},
        [COUNT] = {.name = "count", .value = 500000, .min = 1, .max = 1 << 28, .help = "blocks in a burst"},
        [MIN] = {.name = "min", .value = 16, .min = 1, .max = 1 << 30, .help = "smallest block, bytes"},
        [MAX] = {.name = "max", .value = 1024, .min = 1, .max = 1 << 30, .help = "largest block, bytes"},
        [TOUCH] = {.name = "touch", .value = BENCH_ENDS, .choices = bench_touch_words, .help = "what is written"},
        [SEED] = {.name = "seed", .value = 42, .max = UINT64_MAX, .help = "of the random numbers"},
    };
    static struct times mallocs, frees;
    bench_args(argc, argv, "allocates a burst of blocks, frees all of them, and times each call", args,
               BENCH_COUNT(args));
    bench_span(args[MIN].value, args[MAX].value);
    bench_pin(0);
    uint32_t count = (uint32_t)args[COUNT].value;
    struct burst burst = {
        .blocks = bench_table(count, sizeof(*burst.blocks)),
        .sizes = bench_table(count, sizeof(*burst.sizes)),
        .order = bench_table(count, sizeof(*burst.order)),
        .count = count,
        .stride = bench_stride(args[TOUCH].value),
    };
    make_orders(&burst, args[SEED].value, args[MIN].value, args[MAX].value);
    uint64_t start = bench_clock();
    for (uint64_t i = 0; i < args[ROUNDS].value; i++)
        run_burst(&burst);
    struct bench_line line = bench_stop(start, args[ROUNDS].value * count);
    for (unsigned i = 0; i < 2; i++)
        time_calls(&burst, &mallocs, &frees);
    bench_add(&line, "slowest_malloc_ns", mallocs.slowest);
    bench_add(&line, "slowest_free_ns", frees.slowest);
    bench_add(&line, "p9999_malloc_ns", slow_time(&mallocs));
    bench_add(&line, "p9999_free_ns", slow_time(&frees));
    bench_print(&line);
    return 0;
}
