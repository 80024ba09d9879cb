/* SPDX-License-Identifier: MIT
 *
 * Producer and consumer: one thread allocates and fills, the other checks and frees. Blocks travel through a ring with
 * one writer and one reader, in batches, so that the ring itself costs little. Every free is a remote free; at most
 * RING blocks are live.
 */
#include "support.h"

#include <stdatomic.h>

enum { BLOCKS, MIN, MAX, RING, BATCH, SEED };

/* The ring's indices count up for ever; each lies on a cache line pair of its own. */
static struct {
    _Alignas(128) _Atomic uint64_t written; /* producer, release -> consumer, acquire: the pointers before it */
    _Alignas(128) _Atomic uint64_t read;    /* consumer, release -> producer, acquire: the places are free again */
    _Alignas(128) char **ring;
    uint64_t size, batch, blocks, seed;
    size_t min;
    uint32_t span;
} shared;

static void produce(void)
{
    uint64_t random = bench_seed(shared.seed), mask = shared.size - 1;
    for (uint64_t next = 0; next < shared.blocks;) {
        uint64_t end = next + shared.batch < shared.blocks ? next + shared.batch : shared.blocks;
        unsigned turns = 0;
        while (end - atomic_load_explicit(&shared.read, memory_order_acquire) > shared.size)
            bench_wait(&turns);
        for (; next < end; next++) {
            size_t size = shared.min + bench_scale(bench_next(&random) >> 32, shared.span);
            char *block = malloc(size);
            bench_touch(block, size, next);
            shared.ring[next & mask] = block;
        }
        atomic_store_explicit(&shared.written, next, memory_order_release);
    }
}

/* The first byte tells whether the block still is the one that was sent: an allocator that hands out a block twice is
 * found here. */
static void *consume(void *unused)
{
    uint64_t mask = shared.size - 1;
    bench_pin(1);
    for (uint64_t next = 0; next < shared.blocks;) {
        uint64_t end;
        unsigned turns = 0;
        while ((end = atomic_load_explicit(&shared.written, memory_order_acquire)) == next)
            bench_wait(&turns);
        for (; next < end; next++) {
            char *block = shared.ring[next & mask];
            if (block[0] != (char)next)
                bench_die("a block arrived with other bytes than it was sent with");
            free(block);
        }
        atomic_store_explicit(&shared.read, next, memory_order_release);
    }
    return unused;
}

int main(int argc, char **argv)
{
    struct bench_arg args[] = {
        [BLOCKS] = {.name = "blocks", .value = 1000000, .max = BENCH_MAX_ITERATIONS, .help = "blocks sent"},
        [MIN] = {.name = "min", .value = 16, .min = 1, .max = BENCH_MAX_SIZE, .help = "smallest block, bytes"},
        [MAX] = {.name = "max", .value = 1024, .min = 1, .max = BENCH_MAX_SIZE, .help = "largest block, bytes"},
        [RING] = {.name = "ring", .value = 4096, .min = 2, .max = 1 << 28, .help = "places, a power of two"},
        [BATCH] = {.name = "batch", .value = 256, .min = 1, .max = 1 << 28, .help = "blocks sent at once"},
        [SEED] = {.name = "seed", .value = 42, .max = UINT64_MAX, .help = "of the random numbers"},
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
    bench_pin(0);
    shared.ring = bench_table(shared.size, sizeof(*shared.ring));
    uint64_t start = bench_clock();
    pthread_t consumer = bench_thread(consume, NULL);
    produce();
    bench_join(consumer);
    bench_result(start, shared.blocks);
    return 0;
}
