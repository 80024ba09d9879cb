/* SPDX-License-Identifier: MIT
 *
 * Larson: a server whose threads come and go while their connections live on. Each of THREADS chains owns a table of
 * blocks that the main thread filled. A thread of the chain replaces random blocks, then starts its successor, hands it
 * the table and ends; so each thread frees blocks of its predecessors, which are dead.
 */
#include "support.h"

#include <semaphore.h>

enum { OPERATIONS, THREADS, GENERATIONS, SLOTS, MIN, MAX, SEED };

struct chain { /* on cache lines of its own: its thread writes to it all the time */
    _Alignas(128) char **slots;
    uint64_t random;
    uint64_t operations;
    uint64_t generations; /* threads of this chain still to come, the running one included */
    size_t min;
    uint32_t count, span;
    unsigned index;
};

static sem_t ended;

static void *serve(void *argument)
{
    struct chain *chain = argument;
    bench_pin(chain->index);
    for (uint64_t i = 0; i < chain->operations; i++)
        bench_replace(chain->slots, chain->count, &chain->random, chain->min, chain->span);
    if (--chain->generations == 0)
        sem_post(&ended);
    else if (pthread_detach(bench_thread(serve, chain)) != 0)
        bench_die("pthread_detach failed");
    return NULL;
}

int main(int argc, char **argv)
{
    struct bench_arg args[] = {
        [OPERATIONS] = {.name = "operations", .value = 100000, .max = UINT32_MAX, .help = "of one thread"},
        [THREADS] = {.name = "threads", .value = 2, .min = 1, .max = 1024, .help = "at once"},
        [GENERATIONS] = {.name = "generations", .value = 20, .min = 1, .max = 1 << 20, .help = "threads in a chain"},
        [SLOTS] = {.name = "slots", .value = 5000, .min = 1, .max = 1 << 28, .help = "blocks of one chain"},
        [MIN] = {.name = "min", .value = 8, .min = 1, .max = BENCH_MAX_SIZE, .help = "smallest block, bytes"},
        [MAX] = {.name = "max", .value = 1000, .min = 1, .max = BENCH_MAX_SIZE, .help = "largest block, bytes"},
        [SEED] = {.name = "seed", .value = 42, .max = UINT64_MAX, .help = "of the random numbers"},
    };
    bench_args(argc, argv, "threads hand their blocks on to new threads and end", args, BENCH_COUNT(args));
    size_t threads = args[THREADS].value;
    bench_pin(0);
    struct chain *chains = bench_table(threads, sizeof(*chains));
    if (sem_init(&ended, 0, 0) != 0)
        bench_die("sem_init failed");
    for (unsigned t = 0; t < threads; t++) {
        struct chain *chain = &chains[t];
        *chain = (struct chain){
            .slots = bench_table(args[SLOTS].value, sizeof(*chain->slots)),
            .random = bench_seed(args[SEED].value + t),
            .operations = args[OPERATIONS].value,
            .generations = args[GENERATIONS].value,
            .min = args[MIN].value,
            .count = (uint32_t)args[SLOTS].value,
            .span = bench_span(args[MIN].value, args[MAX].value),
            .index = t,
        };
        for (uint32_t i = 0; i < chain->count; i++) {
            size_t size = chain->min + bench_scale(bench_next(&chain->random), chain->span);
            chain->slots[i] = malloc(size);
            bench_touch(chain->slots[i], size, i);
        }
    }
    uint64_t start = bench_clock();
    for (size_t t = 0; t < threads; t++) {
        if (pthread_detach(bench_thread(serve, &chains[t])) != 0)
            bench_die("pthread_detach failed");
    }
    for (size_t t = 0; t < threads; t++) {
        while (sem_wait(&ended) != 0)
            continue;
    }
    bench_result(start, threads * args[GENERATIONS].value * args[OPERATIONS].value);
    for (size_t t = 0; t < threads; t++)
        bench_free_all(chains[t].slots, chains[t].count);
    return 0;
}
