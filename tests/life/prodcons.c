/* SPDX-License-Identifier: MIT
 *
 * prodcons BLOCKS: one thread allocates and another frees; RSS stays below twice the peak of live bytes, plus 8 MiB for
 * what does not grow with them (front caches of two threads, one slab per size class, tables).
 */
#include "check.h"
#include "needs.h"
#include "pattern.h"
#include "proc.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { RING = 1 << 16, CONSTANT = 8 };

struct slot {
    unsigned char *block;
    size_t size;
};

static struct slot *ring;
static size_t blocks_in_all;
static atomic_size_t produced, consumed; /* blocks so far */
static atomic_size_t bytes_made, bytes_freed;
static atomic_bool done;

static void *produce(void *argument)
{
    uint64_t random = 3;
    size_t made = 0, *peak = argument;
    for (size_t i = 0; i < blocks_in_all; i++) {
        while (i - atomic_load_explicit(&consumed, memory_order_acquire) >= RING)
            sched_yield();
        struct slot *slot = &ring[i % RING];
        slot->size = 16 + random_below(&random, 1009);
        slot->block = malloc(slot->size);
        CHECK(slot->block);
        slot->block[0] = slot->block[slot->size - 1] = (unsigned char)i;
        made += slot->size;
        if (i % 64 == 0) {
            size_t live = made - atomic_load(&bytes_freed);
            *peak = live > *peak ? live : *peak;
            atomic_store(&bytes_made, made);
            atomic_store_explicit(&produced, i + 1, memory_order_release);
        }
    }
    atomic_store_explicit(&produced, blocks_in_all, memory_order_release);
    return NULL;
}

/* Lets the ring fill to a half before it empties it, so that there is something live to compare with. */
static void *consume(void *argument)
{
    size_t freed = 0;
    for (size_t i = 0; i < blocks_in_all;) {
        size_t ready = atomic_load_explicit(&produced, memory_order_acquire);
        if (ready - i < RING / 2 && ready < blocks_in_all) {
            sched_yield();
            continue;
        }
        for (size_t end = ready - i > 1024 ? i + 1024 : ready; i < end; i++) {
            struct slot *slot = &ring[i % RING];
            CHECK(slot->block[0] == (unsigned char)i && slot->block[slot->size - 1] == (unsigned char)i);
            free(slot->block);
            freed += slot->size;
        }
        atomic_store(&bytes_freed, freed);
        atomic_store_explicit(&consumed, i, memory_order_release);
    }
    atomic_store(&done, true);
    return argument;
}

int main(int count, char **arguments)
{
    blocks_in_all = check_fewer(count > 1 ? strtoull(arguments[1], NULL, 10) : 10000000);
    check_watchdog(blocks_in_all > 20000000 ? 1000 : 110);
    ring = mmap(NULL, RING * sizeof(*ring), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    CHECK(ring != MAP_FAILED);
    size_t start = proc_rss(), peak_live = 0, peak_rss = 0;
    pthread_t producer, consumer;
    CHECK(pthread_create(&producer, NULL, produce, &peak_live) == 0);
    CHECK(pthread_create(&consumer, NULL, consume, NULL) == 0);
    while (!atomic_load(&done)) {
        size_t rss = proc_rss();
        peak_rss = rss > peak_rss ? rss : peak_rss;
        proc_sleep_ms(10);
    }
    CHECK(pthread_join(producer, NULL) == 0);
    CHECK(pthread_join(consumer, NULL) == 0);
    size_t used = peak_rss > start ? peak_rss - start : 0;
    check_note("%zu blocks: peak live %zu KiB, peak RSS above the start %zu KiB", blocks_in_all, peak_live / KIB,
               used / KIB);
    CHECK(peak_live >= 8 * MIB);
    CHECK(!memory_is_own() || used <= 2 * peak_live + CONSTANT * MIB);
    return 0;
}
