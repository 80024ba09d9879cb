/* SPDX-License-Identifier: MIT
 *
 * Mixed calls: Random Mixed for all calls of the malloc family. Each operation picks a slot; either the block in it is
 * resized by realloc, or it is freed and a new one is put there by malloc, calloc or aligned_alloc. Sizes are
 * log-uniform, alignments 32 B to 4 KiB. What is measured is what the calls cost beside malloc: the zeros, the copies,
 * the room that an alignment loses.
 */
#include "sizes.h"

enum { ITERATIONS, SLOTS, SEED, MIN, MAX, TOUCH, MALLOC, CALLOC, REALLOC, ALIGNED };
#define FACES 256 /* of the die that chooses the call */

struct mix {
    struct bench_sizes sizes;
    uint64_t random;
    size_t stride;
    uint8_t faces[FACES];
};

/* The faces of the die, in the ratio of the weights. */
static void make_faces(struct mix *mix, const struct bench_arg *weights)
{
    uint64_t sum = 0, passed = 0;
    unsigned face = 0;
    for (unsigned call = MALLOC; call <= ALIGNED; call++)
        sum += weights[call].value;
    if (sum == 0)
        bench_die("one weight must be above 0");
    for (unsigned call = MALLOC; call <= ALIGNED; call++) {
        passed += weights[call].value;
        while (face < FACES && face * sum < passed * FACES)
            mix->faces[face++] = (uint8_t)call;
    }
}

static char *zeroed(size_t size)
{
    char *block = calloc(1, size);
    if (block[0] != 0 || block[size / 2] != 0 || block[size - 1] != 0)
        bench_die("calloc gave a block that is not zero");
    return block;
}

static char *aligned(size_t size, uint64_t bits)
{
    size_t alignment = (size_t)32 << bits % 8;
    char *block = aligned_alloc(alignment, (size + alignment - 1) & ~(alignment - 1));
    if (((uintptr_t)block & (alignment - 1)) != 0)
        bench_die("aligned_alloc gave a block that is not aligned");
    return block;
}

static void mixed(struct mix *mix, char **slots, uint32_t count, uint64_t iterations)
{
    for (uint64_t i = 0; i < iterations; i++) {
        uint64_t bits = bench_next(&mix->random), more = bench_next(&mix->random);
        char **slot = &slots[bench_scale(bits, count)], *block;
        size_t size = bench_draw(mix->sizes, bits >> 32);
        unsigned call = mix->faces[more % FACES];
        if (call != REALLOC)
            free(*slot);
        if (call == MALLOC)
            block = malloc(size);
        else if (call == CALLOC)
            block = zeroed(size);
        else if (call == REALLOC)
            block = realloc(*slot, size);
        else
            block = aligned(size, more >> 8);
        bench_write(block, size, bits, mix->stride);
        *slot = block;
    }
}

int main(int argc, char **argv)
{
    struct bench_arg args[] = {
        [ITERATIONS] = {.name = "iterations", .value = 1000000, .max = BENCH_MAX_ITERATIONS, .help = "operations"},
        [SLOTS] = {.name = "slots", .value = 1024, .min = 1, .max = UINT32_MAX, .help = "most live blocks"},
        [SEED] = {.name = "seed", .value = 42, .max = UINT64_MAX, .help = "of the random numbers"},
        [MIN] = {.name = "min", .value = 16, .min = 1, .max = BENCH_MAX_SIZE, .help = "smallest block, bytes"},
        [MAX] = {.name = "max", .value = 64 << 10, .min = 1, .max = BENCH_MAX_SIZE, .help = "largest block, bytes"},
        [TOUCH] = {.name = "touch", .value = BENCH_PAGES, .choices = bench_touch_words, .help = "what is written"},
        [MALLOC] = {.name = "malloc", .value = 50, .max = 1000, .help = "weight of malloc"},
        [CALLOC] = {.name = "calloc", .value = 20, .max = 1000, .help = "weight of calloc"},
        [REALLOC] = {.name = "realloc", .value = 20, .max = 1000, .help = "weight of realloc"},
        [ALIGNED] = {.name = "aligned", .value = 10, .max = 1000, .help = "weight of aligned_alloc"},
    };
    static struct mix mix;
    bench_args(argc, argv, "malloc, calloc, realloc and aligned_alloc in random slots", args, BENCH_COUNT(args));
    mix.sizes = bench_sizes(args[MIN].value, args[MAX].value);
    mix.random = bench_seed(args[SEED].value);
    mix.stride = bench_stride(args[TOUCH].value);
    make_faces(&mix, args);
    bench_pin(0);
    char **slots = bench_table(args[SLOTS].value, sizeof(*slots));
    uint64_t start = bench_clock();
    mixed(&mix, slots, (uint32_t)args[SLOTS].value, args[ITERATIONS].value);
    bench_result(start, args[ITERATIONS].value);
    bench_free_all(slots, args[SLOTS].value);
    return 0;
}
