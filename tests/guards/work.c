/* SPDX-License-Identifier: MIT
 *
 * Kinds of work that go on in the same way for ever, for work.py to count system calls and locks in: each thread works
 * for a while, and what it does after that lies between marks (marks.h).
 *
 * usage: work NAME: does it; else all names, each with how many operations lie between the marks
 *
 * An operation is a malloc and a free.
 */
#include "hakmem/hakmem.h"

#include "marks.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 20000u /* operations of a thread between its marks */
#define BEFORE 4u    /* times as many come before: bins have grown then */
#define MOST 1000u   /* blocks that a thread has at once */
#define KIB ((size_t)1024)

struct sizes {
    size_t least, most;
    unsigned blocks; /* at once */
};

static _Thread_local void *block[MOST];
static _Thread_local uint64_t state;

static unsigned chance(unsigned below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % below;
}

static void *take(const struct sizes *sizes)
{
    size_t size = sizes->least + chance((unsigned)(sizes->most - sizes->least + 1));
    char *p = hak_malloc(size);
    if (p == NULL)
        abort();
    memset(p, 1, 16);
    return p;
}

/* ---- what a thread does on its own ---- */

/* One of its blocks makes way for another. */
static void replace(const struct sizes *sizes)
{
    for (unsigned i = 0; i < COUNT; i++) {
        unsigned at = chance(sizes->blocks);
        hak_free(block[at]);
        block[at] = take(sizes);
    }
}

/* So many at once, freed in random order. */
static void batches(const struct sizes *sizes)
{
    for (unsigned done = 0; done < COUNT; done += sizes->blocks) {
        for (unsigned i = 0; i < sizes->blocks; i++)
            block[i] = take(sizes);
        for (unsigned left = sizes->blocks; left > 0; left--) {
            unsigned at = chance(left);
            hak_free(block[at]);
            block[at] = block[left - 1];
        }
        memset(block, 0, sizeof block);
    }
}

/* ---- what two do together ---- */

#define PLACES 512u

static void *_Atomic ring[PLACES];

static void produce(const struct sizes *sizes)
{
    for (unsigned i = 0; i < COUNT; i++) {
        void *p = take(sizes);
        while (atomic_load(&ring[i % PLACES]) != NULL)
            sched_yield();
        atomic_store(&ring[i % PLACES], p);
    }
}

static void consume(const struct sizes *sizes)
{
    (void)sizes;
    for (unsigned i = 0; i < COUNT; i++) {
        void *p;
        while ((p = atomic_exchange(&ring[i % PLACES], NULL)) == NULL)
            sched_yield();
        hak_free(p);
    }
}

/* ---- threads ---- */

#define THREADS 100u
#define OF_THREAD 20u

static void *short_life(void *sizes)
{
    mark_all();
    for (unsigned i = 0; i < OF_THREAD; i++)
        block[i] = take(sizes);
    for (unsigned i = 0; i < OF_THREAD; i++)
        hak_free(block[i]);
    return NULL;
}

static void threads(const struct sizes *sizes)
{
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, short_life, (void *)(uintptr_t)sizes) != 0)
            abort();
        pthread_join(thread, NULL);
    }
}

/* ---- all of them ---- */

struct kind {
    const char *name;
    struct sizes sizes;
    void (*part[2])(const struct sizes *sizes); /* of each thread; NULL: there is one */
    unsigned operations;
};

static const struct kind kinds[] = {
    {"pairs", {64, 64, 1}, {replace}, COUNT},
    {"mixed", {16, 1024, 256}, {replace}, COUNT},
    {"batches", {16, 1024, 1000}, {batches}, COUNT},
    {"batches-two", {16, 1024, 1000}, {batches, batches}, 2 * COUNT},
    {"mid", {2 * KIB, 32 * KIB, 100}, {batches}, COUNT},
    {"mid-two", {2 * KIB, 32 * KIB, 100}, {batches, batches}, 2 * COUNT},
    {"runs", {40 * KIB, 256 * KIB, 32}, {replace}, COUNT},
    {"runs-two", {40 * KIB, 256 * KIB, 32}, {replace, replace}, 2 * COUNT},
    {"large", {5120 * KIB, 5120 * KIB, 4}, {replace}, COUNT},
    {"hand-over", {16, 1024, 0}, {produce, consume}, COUNT},
    {"threads", {16, 1024, 0}, {threads}, THREADS *OF_THREAD},
};

static pthread_barrier_t all; /* whoever is counted is so beside the others */

struct worker {
    const struct kind *kind;
    unsigned number;
};

static void *work(void *arg)
{
    struct worker *me = arg;
    const struct sizes *sizes = &me->kind->sizes;
    state = me->number + 1;
    for (unsigned i = 0; i < BEFORE; i++)
        me->kind->part[me->number](sizes);
    pthread_barrier_wait(&all);
    mark_begin();
    me->kind->part[me->number](sizes);
    mark_end();
    pthread_barrier_wait(&all);
    return NULL;
}

static void run(const struct kind *kind)
{
    struct worker worker[2] = {{kind, 0}, {kind, 1}};
    pthread_t thread;
    bool two = kind->part[1] != NULL;
    pthread_barrier_init(&all, NULL, two ? 2 : 1);
    if (two && pthread_create(&thread, NULL, work, &worker[1]) != 0)
        abort();
    work(&worker[0]);
    if (two)
        pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (argc < 2)
            printf("%s %u\n", kinds[i].name, kinds[i].operations);
        else if (strcmp(argv[1], kinds[i].name) == 0)
            return run(&kinds[i]), mark_show(), 0;
    }
    return argc < 2 ? 0 : 2;
}
