/* SPDX-License-Identifier: MIT
 *
 * Producer and consumer: one thread allocates and fills, the other checks and frees. Blocks travel through a ring with
 * one writer and one reader, in batches, so that the ring itself costs little. Every free is a remote free; at most
 * RING blocks of a pair are live. Pairs have nothing in common.
 */
#include "support.h"

#include <stdatomic.h>

enum { BLOCKS, MIN, MAX, RING, BATCH, SEED, PAIRS };

/* The indices of a pair's ring count up for ever; each lies on a cache line pair of its own. */
struct pair {
    _Alignas(128) _Atomic uint64_t written; /* producer, release -> consumer, acquire: the pointers before it */
    _Alignas(128) _Atomic uint64_t read;    /* consumer, release -> producer, acquire: the places are free again */
    _Alignas(128) char **ring;
    unsigned index;
};

static struct {
    uint64_t size, batch, blocks, seed;
    size_t min;
    uint32_t span;
} shared;

static void *produce(void *argument)
{
    struct pair *pair = argument;
    uint64_t random = bench_seed(shared.seed + pair->index), mask = shared.size - 1;
    bench_pin(2 * pair->index);
    for (uint64_t next = 0; next < shared.blocks;) {
        uint64_t end = next + shared.batch < shared.blocks ? next + shared.batch : shared.blocks;
        unsigned turns = 0;
        while (end - atomic_load_explicit(&pair->read, memory_order_acquire) > shared.size)
            bench_wait(&turns);
        for (; next < end; next++) {
            size_t size = shared.min + bench_scale(bench_next(&random) >> 32, shared.span);
            char *block = malloc(size);
            bench_touch(block, size, next);
            pair->ring[next & mask] = block;
        }
        atomic_store_explicit(&pair->written, next, memory_order_release);
    }
    return NULL;
}

/* The first byte tells whether the block still is the one that was sent: an allocator that hands out a block twice is
 * found here. */
static void *consume(void *argument)
{
    struct pair *pair = argument;
    uint64_t mask = shared.size - 1;
    bench_pin(2 * pair->index + 1);
    for (uint64_t next = 0; next < shared.blocks;) {
        uint64_t end;
        unsigned turns = 0;
        while ((end = atomic_load_explicit(&pair->written, memory_order_acquire)) == next)
            bench_wait(&turns);
        for (; next < end; next++) {
            char *block = pair->ring[next & mask];
            if (block[0] != (char)next)
                bench_die("a block arrived with other bytes than it was sent with");
            free(block);
        }
        atomic_store_explicit(&pair->read, next, memory_order_release);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct bench_arg args[] = {
        [BLOCKS] = {.name = "blocks", .value = 1000000, .max = BENCH_MAX_ITERATIONS, .help = "sent by each pair"},
        [MIN] = {.name = "min", .value = 16, .min = 1, .max = BENCH_MAX_SIZE, .help = "smallest block, bytes"},
        [MAX] = {.name = "max", .value = 1024, .min = 1, .max = BENCH_MAX_SIZE, .help = "largest block, bytes"},
        [RING] = {.name = "ring", .value = 4096, .min = 2, .max = 1 << 28, .help = "places, a power of two"},
        [BATCH] = {.name = "batch", .value = 256, .min = 1, .max = 1 << 28, .help = "blocks sent at once"},
        [SEED] = {.name = "seed", .value = 42, .max = UINT64_MAX, .help = "of the random numbers"},
        [PAIRS] = {.name = "pairs", .value = 1, .min = 1, .max = BENCH_MAX_THREADS / 2, .help = "at once"},
    };
    bench_args(argc, argv, "one thread allocates, another frees", args, BENCH_COUNT(args));
    shared.span = bench_span(args[MIN].value, args[MAX].value);
    shared.min = args[MIN].value;
    shared.size = args[RING].value;
    shared.batch = args[BATCH].value;
    shared.blocks = args[BLOCKS].value;
    shared.seed = args[SEED].value;
    if ((shared.size & (shared.size - 1)) != 0 || shared.batch > shared.size)
        bench_die("RING must be a power of two and not below BATCH");
    unsigned count = (unsigned)args[PAIRS].value;
    struct pair *pairs = bench_table(count, sizeof(*pairs));
    pthread_t producers[BENCH_MAX_THREADS / 2], consumers[BENCH_MAX_THREADS / 2];
    for (unsigned i = 0; i < count; i++) {
        pairs[i].ring = bench_table(shared.size, sizeof(*pairs[i].ring));
        pairs[i].index = i;
    }
    uint64_t start = bench_clock();
    for (unsigned i = 0; i < count; i++) {
        consumers[i] = bench_thread(consume, &pairs[i]);
        if (i != 0)
            producers[i] = bench_thread(produce, &pairs[i]);
    }
    produce(&pairs[0]);
    for (unsigned i = 0; i < count; i++) {
        bench_join(consumers[i]);
        if (i != 0)
            bench_join(producers[i]);
    }
    bench_result(start, count * shared.blocks);
    return 0;
}
