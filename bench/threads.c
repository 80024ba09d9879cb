/* SPDX-License-Identifier: MIT
 *
 * Threads: short threads that come and go. Each allocates into its own slots, replaces random blocks, frees all and
 * ends; AT_ONCE of them run at the same time. What is measured is what the first allocations and the end of a thread
 * cost.
 */
#include "support.h"

enum { THREADS, AT_ONCE, OPERATIONS, SLOTS, MIN, MAX, SEED };

struct worker { /* on cache lines of its own: its thread writes to it all the time */
    _Alignas(128) char **slots;
    uint64_t random;
    uint64_t operations;
    size_t min;
    uint32_t count, span;
    unsigned index;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    bench_pin(worker->index);
    for (uint64_t i = 0; i < worker->operations; i++)
        bench_replace(worker->slots, worker->count, &worker->random, worker->min, worker->span);
    bench_free_all(worker->slots, worker->count);
    return NULL;
}

int main(int argc, char **argv)
{
    struct bench_arg args[] = {
        [THREADS] = {.name = "threads", .value = 4000, .min = 1, .max = 1 << 30, .help = "started in all"},
        [AT_ONCE] = {.name = "at-once", .value = 8, .min = 1, .max = 1024, .help = "running at the same time"},
        [OPERATIONS] = {.name = "operations", .value = 1000, .max = UINT32_MAX, .help = "of one thread"},
        [SLOTS] = {.name = "slots", .value = 100, .min = 1, .max = 1 << 24, .help = "most live blocks of one thread"},
        [MIN] = {.name = "min", .value = 16, .min = 1, .max = BENCH_MAX_SIZE, .help = "smallest block, bytes"},
        [MAX] = {.name = "max", .value = 1024, .min = 1, .max = BENCH_MAX_SIZE, .help = "largest block, bytes"},
        [SEED] = {.name = "seed", .value = 42, .max = UINT64_MAX, .help = "of the random numbers"},
    };
    bench_args(argc, argv, "short threads that allocate, free and end", args, BENCH_COUNT(args));
    unsigned at_once = (unsigned)args[AT_ONCE].value;
    bench_pin(0);
    struct worker *workers = bench_table(at_once, sizeof(*workers));
    pthread_t *running = bench_table(at_once, sizeof(*running));
    for (unsigned w = 0; w < at_once; w++) {
        workers[w] = (struct worker){
            .slots = bench_table(args[SLOTS].value, sizeof(*workers[w].slots)),
            .random = bench_seed(args[SEED].value + w),
            .operations = args[OPERATIONS].value,
            .min = args[MIN].value,
            .count = (uint32_t)args[SLOTS].value,
            .span = bench_span(args[MIN].value, args[MAX].value),
            .index = w,
        };
    }
    uint64_t start = bench_clock();
    for (uint64_t t = 0; t < args[THREADS].value; t++) {
        if (t >= at_once)
            bench_join(running[t % at_once]);
        running[t % at_once] = bench_thread(work, &workers[t % at_once]);
    }
    for (uint64_t t = args[THREADS].value < at_once ? at_once - args[THREADS].value : 0; t < at_once; t++)
        bench_join(running[(args[THREADS].value + t) % at_once]);
    bench_result(start, args[THREADS].value * args[OPERATIONS].value);
    return 0;
}
