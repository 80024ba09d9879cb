/* SPDX-License-Identifier: MIT
 *
 * One operation of the allocator at a time, in a state that is always the same, for guards.py to count its
 * instructions.
 *
 * usage: operations NAME: that one; else all names, each with how many operations are counted
 *
 * Between guard_begin and guard_end the operation happens so many times, and else nothing of the allocator's. The
 * budgets are in docs/guards.md.
 */
#include "hakmem/hakmem.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANY 4096u /* blocks at a time */
#define PAIRS 2000u
#define FEW 40u
#define SIZE 64u
#define MID 2000u
#define RUN ((size_t)65536)
#define MIB ((size_t)1 << 20)

/* C++'s new and the sized delete. */
void *new_of(size_t size) __asm__("_Znwm");
void delete_of(void *p, size_t size) __asm__("_ZdlPvm");

#define NEED(x) ((x) ? (void)0 : abort())

static void *blocks[MANY];

/* callgrind is told to count from the entry of the one to that of the other. */
__attribute__((noinline)) void guard_begin(void)
{
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) void guard_end(void)
{
    __asm__ volatile("" ::: "memory");
}

static void *fresh(size_t size)
{
    void *p = hak_malloc(size);
    NEED(p != NULL);
    return p;
}

static void take(size_t size)
{
    for (unsigned i = 0; i < MANY; i++)
        blocks[i] = fresh(size);
}

static void give(void)
{
    for (unsigned i = 0; i < MANY; i++)
        hak_free(blocks[i]);
}

/* The same order in every run. */
static void shuffle(void)
{
    uint64_t state = 1;
    for (unsigned i = MANY - 1; i > 0; i--) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        unsigned other = (unsigned)(state >> 33) % (i + 1);
        void *p = blocks[i];
        blocks[i] = blocks[other];
        blocks[other] = p;
    }
}

/* ---- pairs that the bin serves ---- */

static void pairs(size_t size)
{
    hak_free(fresh(size));
    guard_begin();
    for (unsigned i = 0; i < PAIRS; i++)
        hak_free(hak_malloc(size));
    guard_end();
}

static void pair_tiny(void)
{
    pairs(SIZE);
}

static void pair_mid(void)
{
    pairs(MID);
}

static void pair_calloc(void)
{
    hak_free(fresh(SIZE));
    guard_begin();
    for (unsigned i = 0; i < PAIRS; i++)
        hak_free(hak_calloc(1, SIZE));
    guard_end();
}

static void pair_sized(void)
{
    hak_free(fresh(SIZE));
    guard_begin();
    for (unsigned i = 0; i < PAIRS; i++)
        hak_free_sized(hak_malloc(SIZE), SIZE);
    guard_end();
}

static void pair_delete(void)
{
    delete_of(new_of(SIZE), SIZE);
    guard_begin();
    for (unsigned i = 0; i < PAIRS; i++)
        delete_of(new_of(SIZE), SIZE);
    guard_end();
}

static void pair_aligned(void)
{
    hak_free(hak_aligned_alloc(64, 100));
    guard_begin();
    for (unsigned i = 0; i < PAIRS; i++)
        hak_free(hak_aligned_alloc(64, 100));
    guard_end();
}

/* ---- realloc, usable size ---- */

/* From one size to the other and back. */
static void resizes(size_t one, size_t other, unsigned count)
{
    void *p = hak_realloc(fresh(other), one); /* there is room for both */
    p = hak_realloc(hak_realloc(p, other), one);
    guard_begin();
    for (unsigned i = 0; i < count; i += 2)
        p = hak_realloc(hak_realloc(p, other), one);
    guard_end();
}

static void realloc_same(void)
{
    resizes(50, 60, PAIRS);
}

static void realloc_moves(void)
{
    resizes(50, 500, PAIRS);
}

static void realloc_run(void)
{
    resizes(RUN, 2 * RUN, FEW); /* not less than half: it stays where it is */
}

static void ask(size_t size)
{
    void *p = fresh(size);
    guard_begin();
    for (unsigned i = 0; i < PAIRS; i++)
        NEED(hak_malloc_usable_size(p) >= size);
    guard_end();
}

static void size_tiny(void)
{
    ask(SIZE);
}

static void size_run(void)
{
    ask(RUN);
}

/* ---- between fronts and slabs ---- */

static void take_virgin(void)
{
    guard_begin();
    take(SIZE);
    guard_end();
}

/* What was there before is in the slabs. */
static void take_again(void)
{
    take(SIZE);
    shuffle();
    give();
    guard_begin();
    take(SIZE);
    guard_end();
}

static void take_again_mid(void)
{
    take(MID);
    shuffle();
    give();
    guard_begin();
    take(MID);
    guard_end();
}

static void give_in_order(void)
{
    take(SIZE);
    guard_begin();
    give();
    guard_end();
}

static void give_scattered(void)
{
    take(SIZE);
    shuffle();
    guard_begin();
    give();
    guard_end();
}

static void give_scattered_mid(void)
{
    take(MID);
    shuffle();
    guard_begin();
    give();
    guard_end();
}

/* ---- above 32 KiB ---- */

static void calloc_virgin(void)
{
    guard_begin();
    for (unsigned i = 0; i < FEW; i++)
        NEED(hak_calloc(1, MIB) != NULL);
    guard_end();
}

/* With one thread it is a run of the arena. */
static void pair_run_alone(void)
{
    pairs(RUN);
}

static void pair_huge(void)
{
    hak_free(fresh(64 * MIB));
    guard_begin();
    for (unsigned i = 0; i < FEW; i++)
        hak_free(fresh(64 * MIB));
    guard_end();
}

/* ---- with a second thread ---- */

static pthread_barrier_t met;

static void *wait_twice(void *arg)
{
    pthread_barrier_wait(&met);
    pthread_barrier_wait(&met);
    return arg;
}

static void *take_and_wait(void *arg)
{
    take(SIZE);
    return wait_twice(arg);
}

static void *give_and_wait(void *arg)
{
    give();
    return wait_twice(arg);
}

/* `part` beside a thread that has done `theirs` and lives on. */
static void beside(void *(*theirs)(void *), void (*part)(void))
{
    pthread_t thread;
    pthread_barrier_init(&met, NULL, 2);
    NEED(pthread_create(&thread, NULL, theirs, NULL) == 0);
    pthread_barrier_wait(&met);
    part();
    pthread_barrier_wait(&met);
    pthread_join(thread, NULL);
}

/* Where there are threads it is a block of a class. */
static void pair_run(void)
{
    beside(wait_twice, pair_run_alone);
}

static void counted_give(void)
{
    guard_begin();
    give();
    guard_end();
}

static void give_remote(void)
{
    beside(take_and_wait, counted_give);
}

static void counted_take(void)
{
    guard_begin();
    take(SIZE);
    guard_end();
}

static void take_remote(void)
{
    take(SIZE);
    shuffle();
    beside(give_and_wait, counted_take);
}

static void *use_some(void *arg)
{
    void *some[20];
    for (unsigned i = 0; i < 20; i++)
        some[i] = fresh(100);
    for (unsigned i = 0; i < 20; i++)
        hak_free(some[i]);
    return arg;
}

static void run_threads(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        pthread_t thread;
        NEED(pthread_create(&thread, NULL, use_some, NULL) == 0);
        pthread_join(thread, NULL);
    }
}

static void thread_life(void)
{
    run_threads(2);
    guard_begin();
    run_threads(FEW);
    guard_end();
}

/* ---- all of them ---- */

static const struct {
    const char *name;
    void (*run)(void);
    unsigned count;
} operations[] = {
    {"pair-tiny", pair_tiny, PAIRS},
    {"pair-mid", pair_mid, PAIRS},
    {"pair-calloc", pair_calloc, PAIRS},
    {"pair-sized", pair_sized, PAIRS},
    {"pair-delete", pair_delete, PAIRS},
    {"pair-aligned", pair_aligned, PAIRS},
    {"realloc-same", realloc_same, PAIRS},
    {"realloc-moves", realloc_moves, PAIRS},
    {"realloc-run", realloc_run, FEW},
    {"size-tiny", size_tiny, PAIRS},
    {"size-run", size_run, PAIRS},
    {"take-virgin", take_virgin, MANY},
    {"take-again", take_again, MANY},
    {"take-again-mid", take_again_mid, MANY},
    {"give-in-order", give_in_order, MANY},
    {"give-scattered", give_scattered, MANY},
    {"give-scattered-mid", give_scattered_mid, MANY},
    {"give-remote", give_remote, MANY},
    {"take-remote", take_remote, MANY},
    {"calloc-virgin", calloc_virgin, FEW},
    {"pair-run", pair_run, PAIRS},
    {"pair-run-alone", pair_run_alone, PAIRS},
    {"pair-huge", pair_huge, FEW},
    {"thread-life", thread_life, FEW},
};

int main(int argc, char **argv)
{
    for (unsigned i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (argc < 2)
            printf("%s %u\n", operations[i].name, operations[i].count);
        else if (strcmp(argv[1], operations[i].name) == 0)
            return operations[i].run(), 0;
    }
    return argc < 2 ? 0 : 2;
}
