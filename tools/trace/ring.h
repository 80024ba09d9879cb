/* SPDX-License-Identifier: MIT
 *
 * The memory that a recorded program and the process that writes its trace share: chunks of events, and three lists of
 * them. It is a file in memory (memfd) of the writer's, which the program maps; so what a program has recorded is there
 * after its end, however that came, and in the program there is no thread, no file and no lock for it.
 *
 * A chunk is held by one thread of the program, which fills it; then it is ready, until the writer has written it; then
 * it is free. The program may be any, and write here by mistake: what the writer reads it takes for numbers, not for
 * the truth, and every index and length is bounded before it is used, by what is not in here.
 */
#ifndef HAKMEM_TRACE_RING_H
#define HAKMEM_TRACE_RING_H

#include "format.h"

#include <stdatomic.h>

#define RING_VARIABLE "HAK_RECORD_RING" /* in the program's environment: the path of the file, a colon, its inode */
#define RING_MAGIC UINT64_C(0x31676e69726b6168)
#define RING_AGAIN UINT32_C(0x6e696167)
#define RING_BACKLOG 512 /* chunks that wait to be written; with more, threads wait */
#define RING_CHUNKS_MOST 16384
#define RING_CHUNKS_LEAST 16

struct ring_chunk {
    _Atomic uint32_t held; /* its thread's number + 1 from being taken until it was written, else 0 */
    uint32_t next;         /* in a list: index + 1, or 0 */
    _Atomic uint32_t used; /* bytes; release by its thread after each event, acquire by the writer */
    uint32_t events;       /* in them */
    uint64_t number, time; /* of the first event */
    unsigned char unused[32];
    unsigned char bytes[TRACE_CHUNK - 64];
};

struct ring {
    uint64_t magic;
    uint32_t chunks;        /* there are so many */
    _Atomic uint32_t pid;   /* the process that is recorded; 0: none so far */
    _Atomic uint32_t again; /* RING_AGAIN: set by a program that this process became (exec), cleared when all before is
                               dropped */
    _Atomic uint32_t over;  /* set by the writer: nothing more is taken */
    _Atomic uint32_t beats; /* the writer lives: counts up. Threads that wait for it sleep on this, */
    _Atomic uint32_t calls; /* and count this up, on which it sleeps */
    _Atomic uint32_t sleepers;
    _Atomic uint32_t threads; /* numbers given to threads */
    _Atomic uint32_t fresh;   /* chunks from here on were never used */
    _Atomic uint32_t ready;   /* index + 1 of the newest; pushed with release, all taken by the writer with acquire */
    _Atomic uint32_t waiting; /* that many are ready, or about to be */
    _Atomic uint64_t free; /* index + 1 of the first, below a count of changes so that none is mistaken for another */
    _Atomic uint64_t lost, refused;
    uint64_t start; /* ticks, when the program began */
    char only[256]; /* the name of the program that is meant; empty: the first */
    _Alignas(4096) struct ring_chunk chunk[];
};

/* By any thread of the program. */
static inline void ring_push_ready(struct ring *ring, uint32_t index)
{
    uint32_t head = atomic_load_explicit(&ring->ready, memory_order_relaxed);
    atomic_fetch_add_explicit(&ring->waiting, 1, memory_order_relaxed);
    do
        ring->chunk[index].next = head;
    while (!atomic_compare_exchange_weak_explicit(&ring->ready, &head, index + 1, memory_order_release,
                                                  memory_order_relaxed));
}

/* By the writer. */
static inline void ring_push_free(struct ring *ring, uint32_t index)
{
    uint64_t head = atomic_load_explicit(&ring->free, memory_order_relaxed);
    uint64_t mine;
    do {
        ring->chunk[index].next = (uint32_t)head;
        mine = (((head >> 32) + 1) << 32) | (index + 1);
    } while (
        !atomic_compare_exchange_weak_explicit(&ring->free, &head, mine, memory_order_release, memory_order_relaxed));
}

/* The index of a chunk, of so many, that is now the caller's, or -1. By any thread of the program. */
static inline int64_t ring_pop_free(struct ring *ring, uint32_t chunks)
{
    uint64_t head = atomic_load_explicit(&ring->free, memory_order_acquire); /* ring_push_free */
    while ((uint32_t)head != 0 && (uint32_t)head <= chunks) {
        uint64_t rest = (((head >> 32) + 1) << 32) | ring->chunk[(uint32_t)head - 1].next;
        if (atomic_compare_exchange_weak_explicit(&ring->free, &head, rest, memory_order_acquire, memory_order_acquire))
            return (int64_t)(uint32_t)head - 1;
    }
    if (atomic_load_explicit(&ring->fresh, memory_order_relaxed) < chunks) {
        uint32_t index = atomic_fetch_add_explicit(&ring->fresh, 1, memory_order_relaxed);
        if (index < chunks)
            return index;
        atomic_store_explicit(&ring->fresh, chunks, memory_order_relaxed);
    }
    return -1;
}

#endif
