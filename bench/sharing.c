/* SPDX-License-Identifier: MIT
 *
 * Sharing: threads that write to small blocks of their own. In each round the first thread makes some blocks, hands
 * those out that lie closest together, one to each thread, and frees the others at the end. Each thread frees the one
 * it got, then allocates its own of the same size, writes it many times and frees it, again and again. Where an
 * allocator gives a thread what it freed itself, or neighbours to different threads, two of them write to the same
 * cache line for a whole round, and that is slow.
 */
#include "support.h"

#include <stdatomic.h>

enum { ROUNDS, THREADS, BLOCKS, WRITES, MIN, MAX, SEED };
#define SPARE 64u /* blocks that are made in a round, besides those for the threads */

struct worker {
    _Alignas(128) char *_Atomic given; /* first thread, release -> this one, acquire; and NULL back when it is done */
    size_t size;                       /* of it; written before */
    uint64_t rounds, blocks, writes;
    unsigned index;
};

static void work_on(const struct worker *worker, char *given)
{
    free(given);
    for (uint64_t b = 0; b < worker->blocks; b++) {
        char *own = malloc(worker->size);
        volatile char *bytes = own; /* each write is done */
        memset(own, 0, worker->size);
        for (uint64_t i = 0, at = 0; i < worker->writes; i++) {
            bytes[at]++;
            at = at + 1 < worker->size ? at + 1 : 0;
        }
        free(own);
    }
}

static void *follow(void *argument)
{
    struct worker *worker = argument;
    bench_pin(worker->index);
    for (uint64_t round = 0; round < worker->rounds; round++) {
        char *given;
        unsigned turns = 0;
        while ((given = atomic_load_explicit(&worker->given, memory_order_acquire)) == NULL)
            bench_wait(&turns);
        work_on(worker, given);
        atomic_store_explicit(&worker->given, NULL, memory_order_release);
    }
    return NULL;
}

/* Makes the blocks of a round in the order of their addresses. Returns the index of the first of those for the threads,
 * which lie closest together. */
static size_t make_blocks(char **blocks, size_t threads, size_t size)
{
    size_t closest = 0;
    for (size_t i = 0; i < threads + SPARE; i++) {
        char *block = malloc(size);
        size_t at = i;
        bench_touch(block, size, i);
        for (; at > 0 && blocks[at - 1] > block; at--)
            blocks[at] = blocks[at - 1];
        blocks[at] = block;
    }
    for (size_t i = 1; i <= SPARE; i++) {
        if (blocks[i + threads - 1] - blocks[i] < blocks[closest + threads - 1] - blocks[closest])
            closest = i;
    }
    return closest;
}

static void lead(struct worker *workers, char **blocks, size_t threads, const struct bench_arg *args)
{
    uint64_t random = bench_seed(args[SEED].value);
    uint32_t span = bench_span(args[MIN].value, args[MAX].value);
    for (uint64_t round = 0; round < workers->rounds; round++) {
        size_t size = args[MIN].value + bench_scale(bench_next(&random), span);
        size_t first = make_blocks(blocks, threads, size);
        for (size_t t = 0; t < threads; t++) {
            workers[t].size = size;
            if (t != 0)
                atomic_store_explicit(&workers[t].given, blocks[first + t], memory_order_release);
        }
        work_on(workers, blocks[first]);
        for (size_t t = 1; t < threads; t++) {
            unsigned turns = 0;
            while (atomic_load_explicit(&workers[t].given, memory_order_acquire) != NULL)
                bench_wait(&turns);
        }
        for (size_t i = 0; i < threads + SPARE; i++) {
            if (i < first || i >= first + threads)
                free(blocks[i]);
        }
    }
}

int main(int argc, char **argv)
{
    struct bench_arg args[] = {
        [ROUNDS] = {.name = "rounds", .value = 3000, .max = BENCH_MAX_ITERATIONS, .help = "each with new blocks"},
        [THREADS] = {.name = "threads", .value = 2, .min = 1, .max = BENCH_MAX_THREADS, .help = "that write"},
        [BLOCKS] = {.name = "blocks", .value = 100, .max = UINT32_MAX, .help = "of a thread in a round, one by one"},
        [WRITES] = {.name = "writes", .value = 1000, .max = UINT32_MAX, .help = "to each of them, a byte a time"},
        [MIN] = {.name = "min", .value = 8, .min = 1, .max = BENCH_MAX_SIZE, .help = "smallest block, bytes"},
        [MAX] = {.name = "max", .value = 64, .min = 1, .max = BENCH_MAX_SIZE, .help = "largest block, bytes"},
        [SEED] = {.name = "seed", .value = 42, .max = UINT64_MAX, .help = "of the random numbers"},
    };
    bench_args(argc, argv, "threads write to small blocks; are there any two in one cache line?", args,
               BENCH_COUNT(args));
    size_t threads = args[THREADS].value;
    bench_pin(0);
    struct worker *workers = bench_table(threads, sizeof(*workers));
    char **blocks = bench_table(threads + SPARE, sizeof(*blocks));
    pthread_t *running = bench_table(threads, sizeof(*running));
    for (unsigned t = 0; t < threads; t++) {
        workers[t] = (struct worker){
            .rounds = args[ROUNDS].value,
            .blocks = args[BLOCKS].value,
            .writes = args[WRITES].value,
            .index = t,
        };
    }
    uint64_t start = bench_clock();
    for (size_t t = 1; t < threads; t++)
        running[t] = bench_thread(follow, &workers[t]);
    lead(workers, blocks, threads, args);
    for (size_t t = 1; t < threads; t++)
        bench_join(running[t]);
    bench_result(start, args[ROUNDS].value * (threads * (1 + args[BLOCKS].value) + SPARE));
    return 0;
}
