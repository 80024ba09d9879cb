/* SPDX-License-Identifier: MIT
 *
 * libhakmem-record.so: preloaded before an allocator, it passes each call on to the next malloc in line and notes what
 * was asked for in memory that it shares with the process that writes the trace (ring.h). It knows nothing of hakmem.
 *
 * What it costs the program: a number from a counter of all threads and some bytes for each call; no system call but
 * where the writer falls behind. It allocates nothing. Where nothing can be recorded it says so once and passes on.
 *
 * In the child of a fork it stops: the page `gate` is empty there, whoever made the child and how. A vfork's child is
 * the parent as far as memory goes, and is recorded. A call inside a call (a signal handler's) is passed on and counted
 * as lost.
 */
#define _GNU_SOURCE

#include "recorder.h"

#include "futex.h"
#include "recorder_large.h"
#include "recorder_ring.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#define SKIP 4096 /* events that a thread which found no chunk lets go before it looks for one again */
#define ROUNDS 3  /* of destructors after which a thread has ended for us; glibc has four */

enum { IDLE, CALLING, TURNING };

/* One thread's events, in the chunk that it holds. Only its thread writes here. */
struct stream {
    struct ring_chunk *chunk; /* NULL: none yet, or no more */
    unsigned char *at;
    struct trace_coder coder;
    uint32_t number;   /* + 1; 0: none yet */
    uint32_t skip;     /* events that are let go: there was no chunk */
    const void *noted; /* the last block, if no other went since */
    bool resizing;     /* it has the lock of `late` from TRACE_LEAVE on */
    uint8_t busy;      /* IDLE, or why a call is passed on */
    uint8_t rounds;
    bool ended;
};

struct gate {
    bool on;
};

static struct gate closed;
static struct gate *gate = &closed;
static struct ring *ring;
static _Alignas(128) _Atomic uint64_t numbers;
static pthread_key_t ends;
static __thread struct stream mine __attribute__((tls_model("initial-exec")));

/* Threads that have ended still free (glibc does, behind all destructors): these share one stream. A realloc has the
 * lock to its end: of two events of a stream that belong together none stands between. */
static struct stream late;
static struct futex_lock late_lock;

void record_stop(const char *why)
{
    gate->on = false;
    record_say(why, "");
}

static void count_lost(void)
{
    atomic_fetch_add_explicit(&ring->lost, 1, memory_order_relaxed);
}

/* ---- Chunks ---- */

static void give_chunk(struct stream *stream)
{
    if (stream->chunk != NULL)
        ring_push_ready(ring, (uint32_t)(stream->chunk - ring->chunk));
    stream->chunk = NULL;
}

/* Goes on in a new chunk, of which `event` will be the first. A thread gets its number with its first. */
static bool turn(struct stream *stream, const struct trace_event *event)
{
    int saved = errno;
    uint8_t busy = stream->busy;
    stream->busy = TURNING;
    give_chunk(stream);
    if (stream->number == 0) {
        stream->number = atomic_fetch_add_explicit(&ring->threads, 1, memory_order_relaxed) + 1;
        if (stream != &late)
            pthread_setspecific(ends, stream);
    }
    struct ring_chunk *chunk = record_take_chunk(ring, &gate->on);
    if (chunk != NULL) {
        atomic_store_explicit(&chunk->used, 0, memory_order_relaxed);
        chunk->events = 0;
        chunk->number = event->number;
        chunk->time = event->time;
        atomic_store_explicit(&chunk->held, stream->number, memory_order_release);
        stream->coder = (struct trace_coder){.number = event->number - 1, .time = event->time};
        stream->at = chunk->bytes;
        stream->chunk = chunk;
    }
    stream->busy = busy;
    errno = saved;
    return chunk != NULL;
}

static inline void append(struct stream *stream, struct trace_event *event)
{
    /* Relaxed: one counter, and whoever hands a block on orders the two calls itself. */
    event->number = atomic_fetch_add_explicit(&numbers, 1, memory_order_relaxed) + 1;
    event->time = (trace_ticks() - ring->start) >> TRACE_TIME_SHIFT;
    if (stream->chunk == NULL || stream->chunk->bytes + sizeof(stream->chunk->bytes) - stream->at < TRACE_EVENT_MAX) {
        if (stream->skip != 0 || !turn(stream, event)) {
            stream->skip = stream->skip != 0 ? stream->skip - 1 : SKIP;
            count_lost();
            return;
        }
    }
    stream->at = trace_encode(stream->at, &stream->coder, event);
    stream->chunk->events++;
    atomic_store_explicit(&stream->chunk->used, (uint32_t)(stream->at - stream->chunk->bytes), memory_order_release);
}

/* Notes an event of a thread, or of one that has ended. */
static inline void append_own(struct stream *stream, struct trace_event *event)
{
    if (__builtin_expect(!stream->ended, 1)) {
        append(stream, event);
        return;
    }
    if (!stream->resizing)
        futex_lock(&late_lock);
    append(&late, event);
    stream->resizing = event->kind == TRACE_LEAVE;
    if (!stream->resizing)
        futex_unlock(&late_lock);
}

static inline void note_event(struct stream *stream, struct trace_event *event, const void *block)
{
    event->address = (uintptr_t)block >> TRACE_ADDRESS_SHIFT;
    stream->noted = block;
    if (__builtin_expect(event->size >= TRACE_LARGE, 0) && block != NULL)
        large_add(block, event->size);
    append_own(stream, event);
}

static inline void note(struct stream *stream, enum trace_kind kind, const void *block, size_t size)
{
    struct trace_event event = {.kind = kind, .size = size};
    note_event(stream, &event, block);
}

static void note_aligned(struct stream *stream, const void *block, size_t align, size_t size)
{
    struct trace_event event = {
        .kind = TRACE_ALIGNED, .size = size, .align_log2 = align > 1 ? 64 - (uint32_t)__builtin_clzll(align - 1) : 0};
    note_event(stream, &event, block);
}

/* The destructor of `ends`: again and again, so that other destructors come before. */
static void stream_ends(void *argument)
{
    struct stream *stream = argument;
    if (!gate->on || stream->busy != IDLE)
        return;
    stream->busy = TURNING;
    if (++stream->rounds < ROUNDS) {
        pthread_setspecific(ends, stream);
    } else {
        note(stream, TRACE_END, NULL, 0);
        give_chunk(stream);
        stream->ended = true;
    }
    stream->busy = IDLE;
}

/* ---- What the wrappers call (recorder.h) ---- */

struct stream *record_enter(void)
{
    struct stream *stream = &mine;
    if (!gate->on)
        return NULL;
    if (__builtin_expect(stream->busy != IDLE, 0)) {
        if (stream->busy == CALLING)
            count_lost();
        return NULL;
    }
    stream->busy = CALLING;
    return stream;
}

void record_leave(struct stream *stream)
{
    stream->busy = IDLE;
}

void record_block(struct stream *stream, bool zeroed, const void *block, size_t size)
{
    if (block != NULL)
        note(stream, zeroed ? TRACE_CALLOC : TRACE_MALLOC, block, size);
    else
        atomic_fetch_add_explicit(&ring->refused, 1, memory_order_relaxed);
}

void record_aligned(struct stream *stream, const void *block, size_t align, size_t size)
{
    if (block != NULL)
        note_aligned(stream, block, align, size);
    else
        atomic_fetch_add_explicit(&ring->refused, 1, memory_order_relaxed);
}

void record_gone(struct stream *stream, bool resizing, const void *block)
{
    struct trace_event event = {.kind = resizing ? TRACE_LEAVE : TRACE_FREE,
                                .address = (uintptr_t)block >> TRACE_ADDRESS_SHIFT};
    if (block == NULL)
        return;
    event.touched = large_take(block);
    stream->noted = NULL;
    append_own(stream, &event);
}

void record_forget(void)
{
    mine.noted = NULL;
}

void record_found(const void *block, size_t align, size_t size)
{
    struct stream *stream = block != NULL && block != mine.noted ? record_enter() : NULL;
    if (stream == NULL)
        return;
    if (align != 0)
        note_aligned(stream, block, align, size);
    else
        note(stream, TRACE_MALLOC, block, size);
    record_leave(stream);
}

void record_resized(struct stream *stream, const void *block, size_t size)
{
    if (block == NULL && size != 0) /* a large one is not told of from here on */
        atomic_fetch_add_explicit(&ring->refused, 1, memory_order_relaxed);
    note(stream, block != NULL ? TRACE_RESIZED : TRACE_KEPT, block, size);
}

/* ---- The beginning ---- */

static void in_child(void)
{
    gate = &closed;
}

__attribute__((constructor)) static void record_begin(void)
{
    const char *path = secure_getenv(RING_VARIABLE);
    record_find_next();
    if (path == NULL || (ring = record_map_ring(path)) == NULL)
        return;
    struct gate *open = mmap(NULL, sizeof(*open), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (open == MAP_FAILED || pthread_key_create(&ends, stream_ends) != 0 ||
        pthread_atfork(NULL, NULL, in_child) != 0) {
        record_say("no memory to record with", "");
        return;
    }
    madvise(open, sizeof(*open), MADV_WIPEONFORK); /* refused by an old kernel: then there is in_child alone */
    ring->start = trace_ticks();
    gate = open;
    gate->on = true;
    struct stream *stream = record_enter(); /* this thread is the first, whoever allocates first */
    stream->number = atomic_fetch_add_explicit(&ring->threads, 1, memory_order_relaxed) + 1;
    stream->busy = TURNING;
    pthread_setspecific(ends, stream);
    record_leave(stream);
}

/* What is known of large blocks that stay; a program that ends by a signal does not tell. */
__attribute__((destructor)) static void record_end(void)
{
    struct stream *stream = record_enter();
    if (stream == NULL)
        return;
    size_t place = 0;
    for (const void *block = large_next(&place); block != NULL; block = large_next(&place)) {
        struct trace_event event = {.kind = TRACE_END, .address = (uintptr_t)block >> TRACE_ADDRESS_SHIFT};
        event.touched = large_take(block);
        if (event.touched != 0)
            append(stream, &event);
    }
    record_leave(stream);
}
