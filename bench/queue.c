/* SPDX-License-Identifier: MIT
 *
 * Queue: several producers and several consumers share one queue, behind a mutex, as the threads of a pool do. A
 * producer allocates and fills a batch of blocks and puts it in as one; whichever consumer comes next checks and frees
 * it. So each consumer gets the blocks of all producers in turn (prodcons has one pair and no lock).
 */
#include "support.h"

enum { BLOCKS, THREADS, MIN, MAX, BATCH, PLACES, SEED };
#define MAX_BATCH 256

struct batch {
    uint32_t count;
    char *blocks[MAX_BATCH];
};

/* The indices count up for ever. What is written to a place and read from it is under the lock. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t not_full, not_empty;
    struct batch *ring;
    uint64_t places, written, read;
    unsigned producers; /* that are not done */
    size_t min;
    uint32_t span, batch;
} queue = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .not_full = PTHREAD_COND_INITIALIZER,
    .not_empty = PTHREAD_COND_INITIALIZER,
};

struct worker {                            /* on cache lines of its own: its thread writes to it all the time */
    _Alignas(128) uint64_t random, blocks; /* of a producer */
    unsigned index;
    bool produces;
};

static void put(const struct batch *batch)
{
    pthread_mutex_lock(&queue.lock);
    while (queue.written - queue.read == queue.places)
        pthread_cond_wait(&queue.not_full, &queue.lock);
    struct batch *place = &queue.ring[queue.written++ % queue.places];
    place->count = batch->count;
    memcpy(place->blocks, batch->blocks, batch->count * sizeof(batch->blocks[0]));
    pthread_cond_signal(&queue.not_empty);
    pthread_mutex_unlock(&queue.lock);
}

/* False: the queue is empty and will stay so. */
static bool take(struct batch *batch)
{
    pthread_mutex_lock(&queue.lock);
    while (queue.written == queue.read && queue.producers != 0)
        pthread_cond_wait(&queue.not_empty, &queue.lock);
    bool found = queue.written != queue.read;
    if (found) {
        const struct batch *place = &queue.ring[queue.read++ % queue.places];
        batch->count = place->count;
        memcpy(batch->blocks, place->blocks, place->count * sizeof(place->blocks[0]));
        pthread_cond_signal(&queue.not_full);
    }
    pthread_mutex_unlock(&queue.lock);
    return found;
}

static void produce(struct worker *worker)
{
    struct batch batch;
    for (uint64_t left = worker->blocks; left != 0; left -= batch.count) {
        batch.count = left < queue.batch ? (uint32_t)left : queue.batch;
        for (uint32_t i = 0; i < batch.count; i++) {
            size_t size = queue.min + bench_scale(bench_next(&worker->random) >> 32, queue.span);
            batch.blocks[i] = malloc(size);
            bench_touch(batch.blocks[i], size, i);
        }
        put(&batch);
    }
    pthread_mutex_lock(&queue.lock);
    if (--queue.producers == 0)
        pthread_cond_broadcast(&queue.not_empty);
    pthread_mutex_unlock(&queue.lock);
}

/* The first byte tells whether the block still is the one that was sent. */
static void consume(void)
{
    struct batch batch;
    while (take(&batch)) {
        for (uint32_t i = 0; i < batch.count; i++) {
            if (batch.blocks[i][0] != (char)i)
                bench_die("a block arrived with other bytes than it was sent with");
            free(batch.blocks[i]);
        }
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    bench_pin(worker->index);
    if (worker->produces)
        produce(worker);
    else
        consume();
    return NULL;
}

int main(int argc, char **argv)
{
    struct bench_arg args[] = {
        [BLOCKS] = {.name = "blocks", .value = 2000000, .max = BENCH_MAX_ITERATIONS, .help = "sent by all"},
        [THREADS] = {.name = "threads", .value = 8, .min = 2, .max = BENCH_MAX_THREADS, .help = "half of them produce"},
        [MIN] = {.name = "min", .value = 16, .min = 1, .max = BENCH_MAX_SIZE, .help = "smallest block, bytes"},
        [MAX] = {.name = "max", .value = 512, .min = 1, .max = BENCH_MAX_SIZE, .help = "largest block, bytes"},
        [BATCH] = {.name = "batch", .value = 100, .min = 1, .max = MAX_BATCH, .help = "blocks sent at once"},
        [PLACES] = {.name = "places", .value = 64, .min = 1, .max = 1 << 20, .help = "batches in the queue"},
        [SEED] = {.name = "seed", .value = 42, .max = UINT64_MAX, .help = "of the random numbers"},
    };
    bench_args(argc, argv, "many threads allocate, many others free", args, BENCH_COUNT(args));
    unsigned threads = (unsigned)args[THREADS].value, producers = threads / 2;
    queue.places = args[PLACES].value;
    queue.min = args[MIN].value;
    queue.span = bench_span(args[MIN].value, args[MAX].value);
    queue.batch = (uint32_t)args[BATCH].value;
    queue.producers = producers;
    bench_pin(0);
    queue.ring = bench_table(queue.places, sizeof(*queue.ring));
    struct worker *workers = bench_table(threads, sizeof(*workers));
    for (unsigned t = 0; t < threads; t++) {
        workers[t] = (struct worker){
            .random = bench_seed(args[SEED].value + t),
            .blocks = args[BLOCKS].value / producers + (t == 0 ? args[BLOCKS].value % producers : 0),
            .index = t,
            .produces = t < producers,
        };
    }
    uint64_t start = bench_clock();
    bench_team(work, workers, sizeof(*workers), threads);
    bench_result(start, args[BLOCKS].value);
    return 0;
}
