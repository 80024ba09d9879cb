/* SPDX-License-Identifier: MIT
 *
 * Cycles: objects that outlive the threads that work on them. Each object is an array that grows and shrinks by
 * realloc, a half or a third at a time. In each phase every thread works on its share of the objects; then all threads
 * end, and new ones go on with the shares rotated. So most arrays lie in memory of threads that are dead, and what a
 * dead thread held has to be found again.
 */
#include "support.h"

enum { PHASES, THREADS, STEPS, OBJECTS, SEED };
#define LEVELS 21 /* rooms of 8, 12, 16, 24 ... 8192 items: 64 B to 64 KiB */
#define LINE 8    /* items in a cache line: one of each is written and checked */

struct object {
    uint64_t *items;
    uint64_t id;
    unsigned level;
};

struct worker { /* on cache lines of its own: its thread writes to it all the time */
    _Alignas(128) struct object **objects;
    uint64_t random;
    uint64_t steps;
    uint32_t count;
    unsigned index;
};

static uint32_t room_of(unsigned level)
{
    return (level % 2 != 0 ? 12u : 8u) << level / 2;
}

static void fill(struct object *object, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i += LINE)
        object->items[i] = object->id;
    object->items[to - 1] = object->id;
}

static struct object *make(uint64_t id)
{
    struct object *object = malloc(sizeof(*object));
    uint32_t room = room_of(0);
    *object = (struct object){.items = malloc(room * sizeof(*object->items)), .id = id};
    fill(object, 0, room);
    return object;
}

static void drop(struct object *object)
{
    free(object->items);
    free(object);
}

static void resize(struct object *object, unsigned level)
{
    uint32_t before = room_of(object->level), after = room_of(level);
    uint64_t *items = realloc(object->items, after * sizeof(*items));
    if (items[0] != object->id || (before < after && items[before - 1] != object->id))
        bench_die("realloc lost what was in an array");
    object->items = items;
    object->level = level;
    fill(object, before < after ? before : after - 1, after);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    bench_pin(worker->index);
    for (uint64_t i = 0; i < worker->steps; i++) {
        uint64_t bits = bench_next(&worker->random);
        struct object **object = &worker->objects[bench_scale(bits, worker->count)];
        unsigned level = (*object)->level, dice = (unsigned)(bits >> 32);
        if (dice % 256 == 0) { /* few, so that many reach the large rooms */
            drop(*object);
            *object = make(bits);
        } else if (level == 0 || (level + 1 < LEVELS && (dice >> 8) % 32 < 15)) {
            resize(*object, level + 1);
        } else {
            resize(*object, level - 1);
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct bench_arg args[] = {
        [PHASES] = {.name = "phases", .value = 100, .max = UINT32_MAX, .help = "each with new threads"},
        [THREADS] = {.name = "threads", .value = 2, .min = 1, .max = BENCH_MAX_THREADS, .help = "at once"},
        [STEPS] = {.name = "steps", .value = 10000, .max = UINT32_MAX, .help = "of one thread in a phase"},
        [OBJECTS] = {.name = "objects", .value = 1000, .min = 1, .max = 1 << 28, .help = "of all threads"},
        [SEED] = {.name = "seed", .value = 42, .max = UINT64_MAX, .help = "of the random numbers"},
    };
    bench_args(argc, argv, "new threads resize the arrays of threads that have ended", args, BENCH_COUNT(args));
    unsigned threads = (unsigned)args[THREADS].value;
    uint32_t share = (uint32_t)args[OBJECTS].value / threads;
    if (share == 0)
        bench_die("there must be an object for each thread");
    bench_pin(0);
    struct worker *workers = bench_table(threads, sizeof(*workers));
    struct object **objects = bench_table((size_t)share * threads, sizeof(*objects));
    for (uint32_t i = 0; i < share * threads; i++)
        objects[i] = make(i);
    for (unsigned t = 0; t < threads; t++) {
        workers[t] = (struct worker){
            .random = bench_seed(args[SEED].value + t),
            .steps = args[STEPS].value,
            .count = share,
            .index = t,
        };
    }
    uint64_t start = bench_clock();
    for (uint64_t phase = 0; phase < args[PHASES].value; phase++) {
        for (unsigned t = 0; t < threads; t++)
            workers[t].objects = objects + (size_t)share * ((phase + t) % threads);
        bench_team(work, workers, sizeof(*workers), threads);
    }
    bench_result(start, args[PHASES].value * threads * args[STEPS].value);
    for (uint32_t i = 0; i < share * threads; i++)
        drop(objects[i]);
    return 0;
}
