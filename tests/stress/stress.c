/* SPDX-License-Identifier: MIT
 *
 * stress THREADS SEED OPERATIONS tiny|mixed|large: every thread allocates, resizes, checks and frees blocks at random
 * and hands some to the others by mailboxes. Each block is filled with a pattern of its address and a counter, and the
 * pattern is checked before the block is resized, handed on or freed. The threads end and are replaced a few times;
 * what they leave is taken over by those that follow.
 */
#include "check.h"
#include "pattern.h"
#include "proc.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_THREADS = 64, SLOTS = 400, CELLS = 8, GENERATIONS = 4 };
#define BUDGET (48 * MIB) /* live bytes a thread may have */

struct slot {
    unsigned char *block;
    size_t size, usable, alignment;
    uint64_t pattern;
};

/* A place where one thread may leave a block for another: free -> busy -> full -> busy -> free. */
struct cell {
    atomic_int state;
    struct slot slot;
};
enum { CELL_FREE, CELL_BUSY, CELL_FULL };

static struct worker {
    _Alignas(128) uint64_t random;
    size_t live;
    uint64_t counter;
    struct slot slots[SLOTS];
    struct cell mailbox[CELLS];
} workers[MOST_THREADS];

/* Sizes up to 2^limit; the first whose share is above a random number of 0...9999 is taken. */
struct range {
    unsigned share;
    unsigned limit;
};

static const struct range tiny[] = {{9000, 8}, {9990, 10}, {10000, 13}};
static const struct range mixed[] = {{6500, 10}, {9000, 15}, {9900, 17}, {9985, 20}, {9998, 22}, {10000, 26}};
static const struct range large[] = {{2000, 12}, {6000, 17}, {9000, 20}, {9900, 22}, {10000, 26}};
static const struct range *mix;

static size_t thread_count, operations;

static size_t random_size(struct worker *w)
{
    const struct range *range = mix;
    for (unsigned draw = (unsigned)random_below(&w->random, 10000); range->share <= draw;)
        range++;
    return random_below(&w->random, (size_t)1 << range->limit);
}

static void check_slot(const struct slot *slot)
{
    size_t good = pattern_check(slot->block, slot->size, slot->pattern);
    CHECKF(good == slot->size, "block %p of %zu bytes is damaged at %zu", (void *)slot->block, slot->size, good);
    CHECKF(malloc_usable_size(slot->block) == slot->usable, "the usable size of %p changed", (void *)slot->block);
    CHECKF((uintptr_t)slot->block % slot->alignment == 0, "%p is not aligned to %zu", (void *)slot->block,
           slot->alignment);
}

/* A new block is in w's hands. */
static void fill_slot(struct worker *w, struct slot *slot, void *block, size_t size, size_t alignment)
{
    CHECKF(block, "no memory for %zu bytes", size);
    slot->block = block;
    slot->size = size;
    slot->usable = malloc_usable_size(block);
    slot->alignment = alignment;
    slot->pattern = (uintptr_t)block ^ ++w->counter << 48;
    CHECKF(slot->usable >= size, "usable size %zu of a block of %zu", slot->usable, size);
    pattern_fill(block, size, slot->pattern);
    w->live += size;
    check_slot(&(struct slot){block, 0, slot->usable, alignment, 0});
}

static void drop(struct worker *w, struct slot *slot)
{
    check_slot(slot);
    w->live -= slot->size;
    errno = 0;
    free(slot->block);
    CHECK(errno == 0);
    slot->block = NULL;
}

static void op_malloc(struct worker *w, struct slot *slot)
{
    size_t size = random_size(w);
    fill_slot(w, slot, malloc(size), size, 16);
}

static void op_calloc(struct worker *w, struct slot *slot)
{
    size_t size = random_size(w), unit = 1 + random_below(&w->random, 16);
    unsigned char *block = calloc(size / unit, unit);
    size = size / unit * unit;
    CHECK(block);
    CHECKF(pattern_nonzero(block, size) == size, "calloc of %zu bytes is not zero", size);
    fill_slot(w, slot, block, size, 16);
}

static void op_aligned(struct worker *w, struct slot *slot)
{
    size_t alignment = (size_t)8 << random_below(&w->random, 10), size = random_size(w);
    void *block = NULL;
    switch (random_below(&w->random, 3)) {
    case 0:
        CHECK(posix_memalign(&block, alignment, size) == 0);
        break;
    case 1:
        block = aligned_alloc(alignment, size);
        break;
    default:
        block = memalign(alignment, size);
    }
    fill_slot(w, slot, block, size, alignment > 16 ? alignment : 16);
}

static void op_realloc(struct worker *w, struct slot *slot)
{
    check_slot(slot);
    size_t size = random_below(&w->random, 4) ? random_size(w) + 1 : slot->size + slot->size / 8 + 1;
    unsigned char *block = realloc(slot->block, size);
    CHECK(block);
    size_t kept = size < slot->size ? size : slot->size;
    CHECKF(pattern_check(block, kept, slot->pattern) == kept, "realloc from %zu to %zu lost bytes", slot->size, size);
    w->live -= slot->size;
    fill_slot(w, slot, block, size, 16);
}

/* Into a cell of another thread, if one is free. */
static void op_send(struct worker *w, struct slot *slot)
{
    struct worker *other = &workers[random_below(&w->random, thread_count)];
    struct cell *cell = &other->mailbox[random_below(&w->random, CELLS)];
    int state = CELL_FREE;
    if (!atomic_compare_exchange_strong(&cell->state, &state, CELL_BUSY))
        return;
    check_slot(slot);
    cell->slot = *slot;
    w->live -= slot->size;
    slot->block = NULL;
    atomic_store_explicit(&cell->state, CELL_FULL, memory_order_release);
}

static void receive(struct worker *w, struct slot *slot)
{
    struct cell *cell = &w->mailbox[random_below(&w->random, CELLS)];
    int state = CELL_FULL;
    if (!atomic_compare_exchange_strong(&cell->state, &state, CELL_BUSY))
        return;
    *slot = cell->slot;
    w->live += slot->size;
    atomic_store_explicit(&cell->state, CELL_FREE, memory_order_release);
    if (random_below(&w->random, 2))
        drop(w, slot);
}

static void one_operation(struct worker *w)
{
    struct slot *slot = &w->slots[random_below(&w->random, SLOTS)];
    unsigned draw = (unsigned)random_below(&w->random, 100);
    if (slot->block && w->live > BUDGET) {
        drop(w, slot);
    } else if (slot->block) {
        if (draw < 60)
            drop(w, slot);
        else if (draw < 80)
            op_realloc(w, slot);
        else if (draw < 90)
            op_send(w, slot);
        else
            check_slot(slot);
    } else {
        receive(w, slot);
        if (slot->block)
            return;
        if (draw < 60)
            op_malloc(w, slot);
        else if (draw < 80)
            op_calloc(w, slot);
        else
            op_aligned(w, slot);
    }
}

static void *work(void *argument)
{
    struct worker *w = argument;
    size_t count = operations / GENERATIONS, period = count < 100000 ? count / 2 + 1 : 50000;
    for (size_t i = 0; i < count; i++) {
        one_operation(w);
        if (i % period == period - 1)
            malloc_trim(random_below(&w->random, 8 * MIB));
    }
    return NULL;
}

static void free_what_is_left(void)
{
    for (size_t t = 0; t < thread_count; t++) {
        for (size_t i = 0; i < SLOTS; i++) {
            if (workers[t].slots[i].block)
                drop(&workers[t], &workers[t].slots[i]);
        }
        for (size_t i = 0; i < CELLS; i++) {
            if (workers[t].mailbox[i].state != CELL_FULL)
                continue;
            workers[t].live += workers[t].mailbox[i].slot.size;
            drop(&workers[t], &workers[t].mailbox[i].slot);
        }
        CHECK(workers[t].live == 0);
    }
}

int main(int count, char **arguments)
{
    CHECKF(count == 5, "usage: stress THREADS SEED OPERATIONS tiny|mixed|large");
    check_watchdog(280);
    thread_count = strtoull(arguments[1], NULL, 10);
    uint64_t seed = strtoull(arguments[2], NULL, 10);
    operations = check_fewer(strtoull(arguments[3], NULL, 10));
    CHECK(thread_count >= 1 && thread_count <= MOST_THREADS);
    mix = !strcmp(arguments[4], "tiny") ? tiny : !strcmp(arguments[4], "large") ? large : mixed;
    for (size_t t = 0; t < thread_count; t++)
        workers[t].random = pattern_mix(seed * MOST_THREADS + t + 1);

    for (int generation = 0; generation < GENERATIONS; generation++) {
        pthread_t threads[MOST_THREADS];
        for (size_t t = 1; t < thread_count; t++)
            CHECK(pthread_create(&threads[t], NULL, work, &workers[t]) == 0);
        work(&workers[0]);
        for (size_t t = 1; t < thread_count; t++)
            CHECK(pthread_join(threads[t], NULL) == 0);
    }
    free_what_is_left();
    return 0;
}
