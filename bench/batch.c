/* SPDX-License-Identifier: MIT
 *
 * Batch: allocates COUNT blocks, then frees all of them, in one of three orders; again and again. What is measured is
 * how an allocator takes in more freed blocks than its caches hold, and whether it keeps or gives back memory between
 * batches. The first batch is not timed: it makes the memory, all others reuse it.
 */
#include "support.h"

enum { BATCHES, COUNT, MIN, MAX, ORDER, TOUCH, SEED };
enum { LIFO, FIFO, RANDOM };
#define PERMUTATIONS 8

/* PERMUTATIONS random orders of 0 ... count - 1, one after another, made before the clock starts. */
static uint32_t *make_orders(uint32_t count, uint64_t *random)
{
    uint32_t *orders = bench_table((size_t)count * PERMUTATIONS, sizeof(*orders));
    for (unsigned p = 0; p < PERMUTATIONS; p++) {
        uint32_t *order = orders + (size_t)p * count;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t other = bench_scale(bench_next(random), i + 1);
            order[i] = order[other];
            order[other] = i;
        }
    }
    return orders;
}

struct batch {
    char **blocks;
    uint64_t random;
    size_t min, stride;
    uint32_t count, span;
    unsigned how; /* LIFO, FIFO or RANDOM */
};

static void run_batch(struct batch *batch, const uint32_t *order)
{
    char **blocks = batch->blocks;
    uint32_t count = batch->count;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t bits = bench_next(&batch->random);
        size_t size = batch->min + bench_scale(bits >> 32, batch->span);
        blocks[i] = malloc(size);
        bench_write(blocks[i], size, bits, batch->stride);
    }
    if (batch->how == LIFO) {
        for (uint32_t i = count; i-- > 0;)
            free(blocks[i]);
    } else if (batch->how == FIFO) {
        for (uint32_t i = 0; i < count; i++)
            free(blocks[i]);
    } else {
        for (uint32_t i = 0; i < count; i++)
            free(blocks[order[i]]);
    }
}

int main(int argc, char **argv)
{
    static const char *const order_words[] = {"lifo", "fifo", "random", NULL};
    struct bench_arg args[] = {
        [BATCHES] = {.name = "batches", .value = 5000, .max = UINT32_MAX, .help = "timed batches"},
        [COUNT] = {.name = "count", .value = 1000, .min = 1, .max = 1 << 28, .help = "blocks in a batch"},
        [MIN] = {.name = "min", .value = 8, .min = 1, .max = BENCH_MAX_SIZE, .help = "smallest block, bytes"},
        [MAX] = {.name = "max", .value = 64, .min = 1, .max = BENCH_MAX_SIZE, .help = "largest block, bytes"},
        [ORDER] = {.name = "order", .value = LIFO, .choices = order_words, .help = "of the frees"},
        [TOUCH] = {.name = "touch", .value = BENCH_ENDS, .choices = bench_touch_words, .help = "what is written"},
        [SEED] = {.name = "seed", .value = 42, .max = UINT64_MAX, .help = "of the random numbers"},
    };
    bench_args(argc, argv, "allocates many blocks, then frees all of them", args, BENCH_COUNT(args));
    uint32_t count = (uint32_t)args[COUNT].value;
    bench_pin(0);
    struct batch batch = {
        .blocks = bench_table(count, sizeof(*batch.blocks)),
        .random = bench_seed(args[SEED].value),
        .min = args[MIN].value,
        .stride = bench_stride(args[TOUCH].value),
        .count = count,
        .span = bench_span(args[MIN].value, args[MAX].value),
        .how = (unsigned)args[ORDER].value,
    };
    const uint32_t *orders = make_orders(count, &batch.random);
    run_batch(&batch, orders);
    uint64_t start = bench_clock();
    for (uint64_t b = 0; b < args[BATCHES].value; b++)
        run_batch(&batch, orders + (size_t)(b % PERMUTATIONS) * count);
    bench_result(start, args[BATCHES].value * count);
    return 0;
}
