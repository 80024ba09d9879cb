/* SPDX-License-Identifier: MIT
 *
 * See write.h. The program fills chunks meanwhile; what it holds when it ends is written as far as it is filled.
 */
#define _GNU_SOURCE

#include "write.h"

#include "futex.h"
#include "survey.h"
#include "trace.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#define LEVEL 3
#define BUSY_MS 2 /* between looks at the program, which wakes the writer only where it waits for it */
#define IDLE_MS 20
#define EMPTY_MOST 3
#define THREADS_AHEAD (1 << 20) /* so many threads more than chunks were written may have a number */
#define TOUCHES_MOST (1 << 24)  /* large blocks of which is told how much was resident */

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

struct writer {
    struct write_task *task;
    ZSTD_CCtx *packer;
    void *packed;
    size_t room;
    unsigned char *bytes; /* of the chunk in hand: the program may write to its own */
    uint32_t *ready;      /* indices of chunks, the newest first */
    uint64_t written;     /* chunks */
    uint64_t damaged;     /* chunks that hold no events, but what the program has written there otherwise */
    unsigned empty;       /* looks in a row at which nothing was ready, though threads say so */
    pid_t pid;            /* that is recorded; 0: none so far */
    bool failed;
    uint64_t ticks, nanoseconds; /* at the start */
};

static uint64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void fail(struct writer *writer, const char *why)
{
    if (writer->failed)
        return;
    writer->failed = true;
    atomic_store(&writer->task->ring->over, 1);
    fprintf(stderr, "hakmem: record: %s cannot be written any further: %s\n", writer->task->path, why);
}

static void put(struct writer *writer, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size != 0 && !writer->failed) {
        ssize_t done = write(writer->task->file, at, size);
        if (done > 0) {
            at += done;
            size -= (size_t)done;
        } else if (done == 0 || errno != EINTR) {
            fail(writer, done == 0 ? "nothing is taken" : strerror(errno));
        }
    }
}

/* Are these events of one thread, in their order? Who reads the trace has no doubt of it. */
static bool is_whole(const unsigned char *bytes, uint32_t used, uint64_t number, uint64_t time)
{
    struct trace_coder coder = {.number = number - 1, .time = time};
    struct trace_event event;
    const unsigned char *at = bytes, *end = bytes + used;
    uint64_t last = number - 1;
    while (at != NULL && at < end) {
        at = trace_decode(at, end, &coder, &event);
        if (at == NULL || event.number <= last || event.number == UINT64_MAX)
            return false;
        last = event.number;
    }
    return true;
}

/* The program may write anything there: each number is read once, and bounded before it is used. */
static void write_chunk(struct writer *writer, struct ring_chunk *chunk)
{
    uint32_t used = atomic_load_explicit(&chunk->used, memory_order_acquire); /* the thread's release in append */
    uint32_t held = atomic_load_explicit(&chunk->held, memory_order_relaxed);
    if (held == 0 || used == 0 || writer->failed)
        return;
    struct trace_chunk header = {.bytes = used, .thread = held - 1, .number = chunk->number, .time = chunk->time};
    if (used > sizeof(chunk->bytes) || header.thread > writer->written + THREADS_AHEAD || header.number == 0) {
        writer->damaged++;
        return;
    }
    memcpy(writer->bytes, chunk->bytes, used);
    if (!is_whole(writer->bytes, used, header.number, header.time)) {
        writer->damaged++;
        return;
    }
    size_t packed = ZSTD_compress2(writer->packer, writer->packed, writer->room, writer->bytes, used);
    if (ZSTD_isError(packed)) {
        fail(writer, ZSTD_getErrorName(packed));
        return;
    }
    header.packed = (uint32_t)packed;
    put(writer, &header, sizeof(header));
    put(writer, writer->packed, packed);
    writer->written++;
}

/* Gives a sign of life, and wakes who waits for it. */
static void beat(struct ring *ring)
{
    atomic_fetch_add_explicit(&ring->beats, 1, memory_order_relaxed);
    if (atomic_load_explicit(&ring->sleepers, memory_order_relaxed) != 0)
        futex_wake(&ring->beats, INT_MAX);
}

/* All chunks that are ready, the oldest first. True where there was one. */
static bool write_ready(struct writer *writer)
{
    struct ring *ring = writer->task->ring;
    uint32_t newest = atomic_exchange_explicit(&ring->ready, 0, memory_order_acquire); /* ring_push_ready */
    uint32_t count = 0;
    while (newest != 0 && newest <= writer->task->chunks && count < writer->task->chunks) {
        writer->ready[count++] = newest - 1;
        newest = ring->chunk[newest - 1].next;
    }
    for (uint32_t left = count; left != 0; left--) {
        uint32_t index = writer->ready[left - 1];
        write_chunk(writer, &ring->chunk[index]);
        atomic_store_explicit(&ring->chunk[index].held, 0, memory_order_relaxed);
        atomic_fetch_sub_explicit(&ring->waiting, 1, memory_order_relaxed);
        ring_push_free(ring, index);
        beat(ring);
    }
    return count != 0;
}

/* The process is another program by now (exec) and begins anew: what was before is dropped. */
static void begin_again(struct writer *writer)
{
    struct ring *ring = writer->task->ring;
    if (ftruncate(writer->task->file, sizeof(struct trace_header)) != 0 || lseek(writer->task->file, 0, SEEK_END) < 0)
        fail(writer, strerror(errno));
    for (uint32_t at = 0; at < writer->task->chunks; at++) {
        if (atomic_load(&ring->chunk[at].held) != 0) /* a write makes a page of it */
            atomic_store(&ring->chunk[at].held, 0);
    }
    writer->written = writer->damaged = 0;
    atomic_store(&ring->fresh, 0);
    atomic_store(&ring->ready, 0);
    atomic_store(&ring->waiting, 0);
    atomic_store(&ring->free, 0);
    atomic_store(&ring->threads, 0);
    atomic_store(&ring->lost, 0);
    atomic_store(&ring->refused, 0);
    atomic_store(&ring->again, 0); /* the program goes on */
    futex_wake(&ring->again, 1);
}

/* A file that becomes readable when the process has ended, or -1. */
static int watch(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static bool has_ended(int watched, pid_t pid)
{
    struct pollfd file = {.fd = watched, .events = POLLIN};
    if (watched >= 0)
        return poll(&file, 1, 0) > 0;
    return kill(pid, 0) != 0 && errno == ESRCH; /* a kernel before 5.3 */
}

/* Has the process that is recorded said so just now? Whatever is written there later is not believed. */
static bool has_begun(struct writer *writer)
{
    pid_t now = (pid_t)atomic_load(&writer->task->ring->pid);
    if (writer->pid != 0 || now <= 0)
        return false;
    writer->pid = now;
    return true;
}

static void look_round(struct writer *writer)
{
    struct ring *ring = writer->task->ring;
    uint32_t calls = atomic_load(&ring->calls);
    if (atomic_load(&ring->again) == RING_AGAIN)
        begin_again(writer);
    bool any = write_ready(writer);
    /* Threads wait by that count: where nothing is ready again and again it was written over. */
    writer->empty = any || atomic_load(&ring->waiting) == 0 ? 0 : writer->empty + 1;
    if (writer->empty > EMPTY_MOST)
        atomic_store(&ring->waiting, 0);
    beat(ring);
    futex_wait_ms(&ring->calls, calls, any ? BUSY_MS : IDLE_MS);
}

/* Until the recorded process has ended, or nobody was recorded. */
static void write_until_end(struct writer *writer)
{
    struct ring *ring = writer->task->ring;
    pid_t watched = writer->task->parent;
    int file = watch(watched);
    for (;;) {
        if (has_begun(writer) && writer->pid != watched) {
            int other = watch(writer->pid);
            if (file >= 0)
                close(file);
            file = other;
            watched = writer->pid;
        }
        if (has_ended(file, watched) && (writer->pid != 0 || (pid_t)atomic_load(&ring->pid) <= 0))
            break; /* else another one has begun just now */
        look_round(writer);
    }
    if (file >= 0)
        close(file);
    write_ready(writer);
    for (uint32_t at = 0; at < writer->task->chunks && at < atomic_load(&ring->fresh); at++)
        write_chunk(writer, &ring->chunk[at]);
}

static void report(struct writer *writer, const struct trace_summary *summary)
{
    const char *path = writer->task->path;
    double seconds = (double)summary->duration / (double)summary->units_per_second;
    double size = (double)lseek(writer->task->file, 0, SEEK_END);
    fprintf(stderr,
            "hakmem: record: %s: %llu events of %llu threads in %.1f s, %.1f bytes each; peak %.1f MiB live in %llu "
            "blocks\n",
            path, (unsigned long long)summary->events, (unsigned long long)summary->threads, seconds,
            size / (double)(summary->events != 0 ? summary->events : 1), (double)summary->peak_bytes / 0x1p20,
            (unsigned long long)summary->peak_blocks);
    if (writer->damaged != 0)
        fprintf(stderr, "hakmem: record: %llu parts of the trace were lost: the program has written over them\n",
                (unsigned long long)writer->damaged);
    if (summary->lost > writer->damaged)
        fprintf(stderr, "hakmem: record: %llu events were lost: the trace is not exact\n",
                (unsigned long long)summary->lost);
}

/* The last record, which tells what is in the file: it is read once for that. */
static void summarise(struct writer *writer)
{
    struct ring *ring = writer->task->ring;
    struct trace_chunk last = {
        .packed = sizeof(struct trace_summary), .bytes = sizeof(struct trace_summary), .thread = TRACE_SUMMARY};
    struct trace_chunk list = {.thread = TRACE_TOUCHED};
    struct trace_summary summary;
    struct trace_touch *touches;
    size_t count;
    uint64_t passed = nanoseconds() - writer->nanoseconds;
    double rate = (double)(trace_ticks() - writer->ticks) / ((double)(passed != 0 ? passed : 1) / 1e9);
    if (writer->pid == 0) {
        fprintf(stderr, "hakmem: record: %s%s%s; the trace is empty\n",
                writer->task->only[0] != '\0' ? "no program with the name " : "nothing was recorded",
                writer->task->only, writer->task->only[0] != '\0' ? " was started" : ": COMMAND loads no preload");
    }
    survey(writer->task->path, &summary, &touches, &count);
    count = count < TOUCHES_MOST ? count : TOUCHES_MOST;
    list.packed = list.bytes = (uint32_t)(count * sizeof(*touches));
    put(writer, &list, sizeof(list));
    put(writer, touches, list.bytes);
    free(touches);
    summary.lost = atomic_load(&ring->lost) + writer->damaged;
    summary.pid = (uint64_t)writer->pid;
    summary.refused = atomic_load(&ring->refused);
    summary.units_per_second = (uint64_t)(rate / (1 << TRACE_TIME_SHIFT));
    put(writer, &last, sizeof(last));
    put(writer, &summary, sizeof(summary));
    if (!writer->failed && writer->pid != 0)
        report(writer, &summary);
}

void write_trace(struct write_task *task)
{
    struct writer writer = {.task = task, .ticks = trace_ticks(), .nanoseconds = nanoseconds()};
    writer.room = ZSTD_compressBound(TRACE_CHUNK);
    writer.packed = malloc(writer.room);
    writer.packer = ZSTD_createCCtx();
    writer.bytes = malloc(TRACE_CHUNK);
    writer.ready = malloc(task->chunks * sizeof(*writer.ready));
    if (writer.packed == NULL || writer.packer == NULL || writer.bytes == NULL || writer.ready == NULL) {
        fail(&writer, "no memory");
        return;
    }
    ZSTD_CCtx_setParameter(writer.packer, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(writer.packer, ZSTD_c_checksumFlag, 1);
    write_until_end(&writer);
    atomic_store(&task->ring->over, 1);
    if (!writer.failed)
        summarise(&writer);
    ZSTD_freeCCtx(writer.packer);
    free(writer.packed);
    free(writer.bytes);
    free(writer.ready);
}
