/* SPDX-License-Identifier: MIT
 *
 * Performs one walk through the allocator and writes down where it went: one entry of the API, once, in the state that
 * the walk is about. walks.py looks at what comes out.
 *
 * usage: walks [NAME]: the walk of that name; else all their names
 *
 * A state is known by the functions that a call enters: a walk is the first call that enters what makes it that walk,
 * and nothing else that would make it another. A choice of boxes that has no such call has no such walk.
 */
#include "record.h"

#include "box/gate.h"
#include "box/heap_priv.h"
#include "box/pool_priv.h"
#include "box/transfer.h"
#include "front/front.h"
#include "hakmem/hakmem.h"
#include "large/page_heap.h"
#include "pages/meta.h"
#include "pages/ss_arena_priv.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE 100 /* of a small block */
#define MANY 1024
#define TRIES 200000

static void *blocks[MANY];

static void *recorded_malloc(size_t size)
{
    record_begin();
    void *p = hak_malloc(size);
    record_end();
    NEED(p != NULL);
    return p;
}

static void recorded_free(void *p)
{
    record_begin();
    hak_free(p);
    record_end();
}

/* The bin is empty. */
static void empty_bin(void)
{
    while (!hk_front_is_empty(hk_front_thread(), hk_class_of(SIZE)))
        NEED(hak_malloc(SIZE) != NULL);
}

/* All blocks are this thread's, and the bin has grown as far as it can; it is empty. */
static void use(void)
{
    for (unsigned i = 0; i < MANY; i++)
        NEED((blocks[i] = hak_malloc(SIZE)) != NULL);
    for (unsigned i = 0; i < MANY; i++)
        hak_free(blocks[i]);
    for (unsigned i = 0; i < MANY; i++)
        NEED((blocks[i] = hak_malloc(SIZE)) != NULL);
    empty_bin();
}

/* ---- malloc ---- */

static bool malloc_hit(void)
{
    use();
    hak_free(blocks[0]);
    recorded_malloc(SIZE);
    return true;
}

static bool malloc_slab(void)
{
    use();
    for (unsigned i = 0; i < TRIES; i++) {
        recorded_malloc(SIZE);
        if (ENTERED(hk_heap_take) && !ENTERED(hk_pool_acquire))
            return true;
    }
    return false;
}

static bool new_superslab(bool grows)
{
    use();
    for (unsigned i = 0; i < TRIES; i++) {
        recorded_malloc(SIZE);
        if (ENTERED(hk_pool_take_new) && ENTERED(hk_arena_grow) == grows)
            return true;
    }
    return false;
}

/* There is room for it where a run was freed. */
static bool malloc_superslab(void)
{
    hak_free(hak_malloc(2 * HK_SUPERSLAB_SIZE));
    return new_superslab(false);
}

static bool malloc_units(void)
{
    return new_superslab(true);
}

/* A run fits into what is there. */
static bool calloc_run(void)
{
    for (unsigned i = 0; i < MANY; i++) {
        record_begin();
        void *p = hak_calloc(1, HK_MIB);
        record_end();
        NEED(p != NULL);
        if (!ENTERED(hk_arena_grow))
            return true;
    }
    return false;
}

/* ---- malloc of what another thread freed ---- */

static pthread_barrier_t freed, left;

/* Frees so many of the blocks, and is there until the walk is over. */
static void *free_theirs(void *count)
{
    for (unsigned i = 0; i < *(unsigned *)count; i++)
        hak_free(blocks[i]);
    pthread_barrier_wait(&freed);
    pthread_barrier_wait(&left);
    return NULL;
}

static void let_another_free(pthread_t *thread, unsigned count)
{
    pthread_barrier_init(&freed, NULL, 2);
    pthread_barrier_init(&left, NULL, 2);
    NEED(pthread_create(thread, NULL, free_theirs, &count) == 0);
    pthread_barrier_wait(&freed);
}

static bool let_it_end(pthread_t thread, bool found)
{
    pthread_barrier_wait(&left);
    pthread_join(thread, NULL);
    return found;
}

/* What it had no room for waits in the array. */
static bool malloc_transfer(void)
{
    pthread_t thread;
    use();
    let_another_free(&thread, HK_TRANSFER_BLOCKS + HK_TRANSFER_BLOCKS / 2);
    recorded_malloc(SIZE);
    return let_it_end(thread, HK_TRANSFER && ENTERED(hk_transfer_take) && !ENTERED(hk_heap_take));
}

/* More than the array holds while nobody takes: these are in chains at their slabs. */
static bool malloc_collect(void)
{
    pthread_t thread;
    bool found = false;
    use();
    let_another_free(&thread, MANY);
    for (unsigned i = 0; i < MANY && !found; i++) {
        recorded_malloc(SIZE);
        found = ENTERED(hk_heap_collect_locked) && !ENTERED(hk_pool_acquire);
    }
    return let_it_end(thread, found);
}

/* ---- free ---- */

static bool free_hit(void)
{
    use();
    hak_free(blocks[0]);
    recorded_free(blocks[1]);
    return true;
}

/* By the C library's name. */
static bool free_name(void)
{
    use();
    hak_free(blocks[0]);
    record_begin();
    free(blocks[1]);
    record_end();
    return true;
}

static bool free_slab(void)
{
    use();
    for (unsigned i = 0; i < MANY; i++) {
        recorded_free(blocks[i]);
        if (ENTERED(hk_heap_give) && !ENTERED(hk_pool_release))
            return true;
    }
    return false;
}

static bool free_run(void)
{
    void *p = hak_malloc(HK_MIB);
    NEED(p != NULL && hak_malloc(HK_MIB) != NULL);
    recorded_free(p);
    return true;
}

/* ---- free of others' blocks ---- */

static pthread_barrier_t filled, over;

/* Owns its part of the blocks, and is there until the walk is over. */
static void *own(void *arg)
{
    void **part = arg;
    for (unsigned i = 0; i < MANY / 2; i++)
        NEED((part[i] = hak_malloc(SIZE)) != NULL);
    pthread_barrier_wait(&filled);
    pthread_barrier_wait(&over);
    return NULL;
}

static void let_others_own(pthread_t *thread)
{
    pthread_barrier_init(&filled, NULL, 3);
    pthread_barrier_init(&over, NULL, 3);
    for (unsigned i = 0; i < 2; i++)
        NEED(pthread_create(&thread[i], NULL, own, blocks + i * MANY / 2) == 0);
    pthread_barrier_wait(&filled);
}

static bool let_others_end(const pthread_t *thread, bool found)
{
    pthread_barrier_wait(&over);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    return found;
}

/* There is an array for them already. */
static bool free_transfer(void)
{
    pthread_t thread[2];
    bool found = false;
    use();
    let_others_own(thread);
    for (unsigned i = 0; i < MANY / 2 && !found; i++) {
        recorded_free(blocks[i]);
        found = HK_TRANSFER && ENTERED(hk_transfer_give) && !ENTERED(hk_meta_alloc) && !ENTERED(hk_heap_give);
    }
    return let_others_end(thread, found);
}

/* It is full. */
static bool free_chains(void)
{
    pthread_t thread[2];
    bool found = false;
    use();
    let_others_own(thread);
    for (unsigned i = 0; i < MANY && !found; i++) {
        recorded_free(blocks[i]);
        found = ENTERED(hk_remote_push);
    }
    return let_others_end(thread, found);
}

/* ---- realloc ---- */

static void *recorded_realloc(void *p, size_t size)
{
    record_begin();
    void *to = hak_realloc(p, size);
    record_end();
    NEED(to != NULL);
    return to;
}

static bool realloc_stays(void)
{
    void *p = hak_malloc(300000);
    NEED(p != NULL);
    return recorded_realloc(p, 600000) == p;
}

static bool realloc_moves(void)
{
    void *p = hak_malloc(300000), *behind = hak_malloc(300000);
    NEED((char *)behind > (char *)p && (char *)behind < (char *)p + 600000);
    return recorded_realloc(p, 600000) != p;
}

/* ---- the end of a thread ---- */

static void *end(void *arg)
{
    void *some[100]; /* more than the other left in the array: so some slab is this thread's */
    for (unsigned i = 0; i < (arg != NULL ? HK_COUNT(some) : 20); i++)
        NEED((some[i] = hak_malloc(SIZE)) != NULL);
    for (unsigned i = 0; i < 10; i++)
        hak_free(some[i]);
    if (arg != NULL)
        record_begin();
    return NULL;
}

/* There is an array for its blocks already: the first of the two made it. */
static bool thread_end(void)
{
    pthread_t thread;
    for (unsigned i = 0; i < 2; i++) {
        NEED(pthread_create(&thread, NULL, end, i == 0 ? NULL : blocks) == 0);
        pthread_join(thread, NULL);
    }
    return true;
}

/* ---- malloc_usable_size ---- */

static bool ask_size(void *p, size_t least)
{
    record_begin();
    size_t size = hak_malloc_usable_size(p);
    record_end();
    NEED(size >= least);
    return true;
}

static bool size_slab(void)
{
    return ask_size(hak_malloc(SIZE), SIZE);
}

static bool size_run(void)
{
    return ask_size(hak_malloc(HK_MIB), HK_MIB);
}

static bool size_huge(void)
{
    return ask_size(hak_malloc(HK_RUN_MAX + 1), HK_RUN_MAX + 1);
}

/* A block of a size that no bin has, while a fork is in progress. */
static bool size_side(void)
{
    struct hk_pass *pass = hk_front_pass(hk_front_thread());
    hk_gate_close(pass);
    void *p = hak_malloc(HK_MIB);
    hk_gate_open(pass);
    return ask_size(p, HK_MIB);
}

/* ---- all of them ---- */

static const struct {
    const char *name;
    bool (*walk)(void); /* false: there is none in this configuration */
} walks[] = {
    {"malloc-hit", malloc_hit},
    {"malloc-slab", malloc_slab},
    {"malloc-transfer", malloc_transfer},
    {"malloc-collect", malloc_collect},
    {"malloc-superslab", malloc_superslab},
    {"malloc-units", malloc_units},
    {"free-hit", free_hit},
    {"free-name", free_name},
    {"free-slab", free_slab},
    {"free-transfer", free_transfer},
    {"free-chains", free_chains},
    {"realloc-stays", realloc_stays},
    {"realloc-moves", realloc_moves},
    {"calloc-run", calloc_run},
    {"free-run", free_run},
    {"thread-end", thread_end},
    {"size-slab", size_slab},
    {"size-run", size_run},
    {"size-huge", size_huge},
    {"size-side", size_side},
};

static void *nothing(void *arg)
{
    return arg;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    /* Locks are taken, and the calling thread has its record. */
    NEED(pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
    hak_free(hak_malloc(SIZE));
    for (unsigned i = 0; i < HK_COUNT(walks); i++) {
        if (argc < 2)
            printf("%s\n", walks[i].name);
        else if (strcmp(argv[1], walks[i].name) == 0)
            return walks[i].walk() ? record_show(), 0 : 0;
    }
    return argc < 2 ? 0 : 2;
}
