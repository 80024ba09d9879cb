/* SPDX-License-Identifier: MIT
 *
 * Lanes: threads that each replace the blocks of their own slots, and hand a share of the old ones to another thread,
 * which frees them. Between each two threads lies a ring with one writer and one reader. Nobody waits: where a ring is
 * full, because its reader has no processor, say, the block is freed by who has it.
 */
#include "support.h"

#include <stdatomic.h>

enum { OPERATIONS, THREADS, REMOTE, MIN, MAX, TOUCH, SLOTS, SEED };

#define RING 256u /* places, a power of two */
#define TURN 32u  /* operations between two looks at the rings */
#define MOST 64u  /* threads */

struct ring {
    _Alignas(128) _Atomic uint32_t written; /* the sender, release -> the receiver, acquire: the pointers before it */
    _Alignas(128) _Atomic uint32_t read; /* the receiver, release -> the sender, acquire: the places are free again */
    _Alignas(128) char *block[RING];
};

static struct {
    struct ring *ring; /* [sender * threads + receiver] */
    uint64_t operations, remote, seed;
    size_t min, stride;
    uint32_t slots, span;
    unsigned threads;
    _Atomic unsigned done; /* threads that send nothing more; release -> acquire: what they sent is seen */
} shared;

static void receive(unsigned self)
{
    for (unsigned from = 0; from < shared.threads; from++) {
        struct ring *ring = &shared.ring[from * shared.threads + self];
        uint32_t end = atomic_load_explicit(&ring->written, memory_order_acquire);
        uint32_t next = atomic_load_explicit(&ring->read, memory_order_relaxed);
        if (next == end)
            continue;
        for (; next != end; next++)
            free(ring->block[next % RING]);
        atomic_store_explicit(&ring->read, next, memory_order_release);
    }
}

static bool send(unsigned self, unsigned to, char *block)
{
    struct ring *ring = &shared.ring[self * shared.threads + to];
    uint32_t next = atomic_load_explicit(&ring->written, memory_order_relaxed);
    if (next - atomic_load_explicit(&ring->read, memory_order_acquire) == RING)
        return false;
    ring->block[next % RING] = block;
    atomic_store_explicit(&ring->written, next + 1, memory_order_release);
    return true;
}

static void *run_lane(void *argument)
{
    unsigned self = (unsigned)(uintptr_t)argument, turns = 0;
    bench_pin(self);
    uint64_t random = bench_seed(shared.seed + self);
    char **slots = bench_table(shared.slots, sizeof(*slots));
    for (uint64_t i = 0; i < shared.operations; i++) {
        uint64_t bits = bench_next(&random), more = bench_next(&random);
        char **slot = &slots[bench_scale(bits, shared.slots)];
        size_t size = shared.min + bench_scale(bits >> 32, shared.span);
        unsigned to = (self + 1 + bench_scale(more >> 32, shared.threads - 1)) % shared.threads;
        bool handed = *slot != NULL && bench_scale(more, 100) < shared.remote && to != self && send(self, to, *slot);
        if (!handed)
            free(*slot);
        char *block = malloc(size);
        bench_write(block, size, bits, shared.stride);
        *slot = block;
        if (i % TURN == 0)
            receive(self);
    }
    atomic_fetch_add_explicit(&shared.done, 1, memory_order_release);
    while (atomic_load_explicit(&shared.done, memory_order_acquire) != shared.threads) {
        receive(self);
        bench_wait(&turns);
    }
    receive(self);
    bench_free_all(slots, shared.slots);
    return NULL;
}

int main(int argc, char **argv)
{
    struct bench_arg args[] = {
        [OPERATIONS] = {.name = "operations", .value = 1000000, .max = UINT32_MAX, .help = "of each thread"},
        [THREADS] = {.name = "threads", .value = 2, .min = 1, .max = MOST, .help = "lanes"},
        [REMOTE] = {.name = "remote", .value = 50, .max = 100, .help = "percent of blocks that another thread frees"},
        [MIN] = {.name = "min", .value = 16, .min = 1, .max = BENCH_MAX_SIZE, .help = "smallest block, bytes"},
        [MAX] = {.name = "max", .value = 2048, .min = 1, .max = BENCH_MAX_SIZE, .help = "largest block, bytes"},
        [TOUCH] = {.name = "touch", .value = BENCH_ENDS, .choices = bench_touch_words, .help = "what is written"},
        [SLOTS] = {.name = "slots", .value = 400, .min = 1, .max = 1 << 24, .help = "live blocks of one thread"},
        [SEED] = {.name = "seed", .value = 42, .max = UINT64_MAX, .help = "of the random numbers"},
    };
    bench_args(argc, argv, "threads that free a share of each other's blocks", args, BENCH_COUNT(args));
    shared.operations = args[OPERATIONS].value;
    shared.threads = (unsigned)args[THREADS].value;
    shared.remote = args[REMOTE].value;
    shared.min = args[MIN].value;
    shared.span = bench_span(args[MIN].value, args[MAX].value);
    shared.stride = bench_stride(args[TOUCH].value);
    shared.slots = (uint32_t)args[SLOTS].value;
    shared.seed = args[SEED].value;
    bench_pin(0);
    shared.ring = bench_table((size_t)shared.threads * shared.threads, sizeof(*shared.ring));
    pthread_t threads[MOST];
    uint64_t start = bench_clock();
    for (unsigned t = 1; t < shared.threads; t++)
        threads[t] = bench_thread(run_lane, (void *)(uintptr_t)t);
    run_lane(NULL);
    for (unsigned t = 1; t < shared.threads; t++)
        bench_join(threads[t]);
    bench_result(start, shared.threads * shared.operations);
    return 0;
}
