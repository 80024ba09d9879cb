/* SPDX-License-Identifier: MIT
 *
 * See write.h. The program fills chunks meanwhile; what it holds when it ends is written as far as it is filled.
 */
#define _GNU_SOURCE

#include "write.h"

#include "survey.h"
#include "trace.h"

#include <errno.h>
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
#define BUSY_MS 2
#define IDLE_MS 20
#define TOUCHES_MOST (1 << 24) /* large blocks of which is told how much was resident */

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

struct writer {
    struct write_task *task;
    ZSTD_CCtx *packer;
    void *packed;
    size_t room;
    uint64_t events;
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

/* The program may write anything there: numbers are bounded before they are used. */
static void write_chunk(struct writer *writer, struct ring_chunk *chunk)
{
    uint32_t used = atomic_load_explicit(&chunk->used, memory_order_acquire); /* the thread's release in append */
    uint32_t held = atomic_load_explicit(&chunk->held, memory_order_relaxed);
    if (held == 0 || used == 0 || used > sizeof(chunk->bytes) || writer->failed)
        return;
    size_t packed = ZSTD_compress2(writer->packer, writer->packed, writer->room, chunk->bytes, used);
    if (ZSTD_isError(packed)) {
        fail(writer, ZSTD_getErrorName(packed));
        return;
    }
    struct trace_chunk header = {
        .packed = (uint32_t)packed, .bytes = used, .thread = held - 1, .number = chunk->number, .time = chunk->time};
    put(writer, &header, sizeof(header));
    put(writer, writer->packed, packed);
    writer->events += chunk->events;
}

/* All chunks that are ready, the oldest first. True where there was one. */
static bool write_ready(struct writer *writer)
{
    struct ring *ring = writer->task->ring;
    uint32_t newest = atomic_exchange_explicit(&ring->ready, 0, memory_order_acquire); /* ring_push_ready */
    uint32_t oldest = 0;
    bool any = newest != 0;
    for (uint32_t left = ring->chunks; newest != 0 && newest <= ring->chunks && left != 0; left--) {
        uint32_t next = ring->chunk[newest - 1].next;
        ring->chunk[newest - 1].next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != 0) {
        struct ring_chunk *chunk = &ring->chunk[oldest - 1];
        uint32_t next = chunk->next;
        write_chunk(writer, chunk);
        atomic_store_explicit(&chunk->held, 0, memory_order_relaxed);
        atomic_fetch_sub_explicit(&ring->waiting, 1, memory_order_relaxed);
        ring_push_free(ring, oldest - 1);
        atomic_fetch_add_explicit(&ring->beats, 1, memory_order_relaxed);
        oldest = next;
    }
    return any;
}

/* The process is another program by now (exec) and begins anew: what was before is dropped. */
static void begin_again(struct writer *writer)
{
    struct ring *ring = writer->task->ring;
    if (ftruncate(writer->task->file, sizeof(struct trace_header)) != 0 || lseek(writer->task->file, 0, SEEK_END) < 0)
        fail(writer, strerror(errno));
    for (uint32_t at = 0; at < ring->chunks && at < atomic_load(&ring->fresh); at++)
        atomic_store(&ring->chunk[at].held, 0);
    writer->events = 0;
    atomic_store(&ring->fresh, 0);
    atomic_store(&ring->ready, 0);
    atomic_store(&ring->waiting, 0);
    atomic_store(&ring->free, 0);
    atomic_store(&ring->threads, 0);
    atomic_store(&ring->lost, 0);
    atomic_store(&ring->refused, 0);
    atomic_store(&ring->again, 0); /* the program goes on */
}

/* A file that becomes readable when the process has ended, or -1. */
static int watch(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static bool has_ended(int watched, pid_t pid, int wait_ms)
{
    struct pollfd file = {.fd = watched, .events = POLLIN};
    if (watched >= 0)
        return poll(&file, 1, wait_ms) > 0;
    poll(NULL, 0, wait_ms);
    return kill(pid, 0) != 0 && errno == ESRCH; /* a kernel before 5.3 */
}

/* Until the recorded process has ended, or nobody was recorded. */
static void write_until_end(struct writer *writer)
{
    struct ring *ring = writer->task->ring;
    pid_t watched = writer->task->parent;
    int file = watch(watched);
    int wait_ms = BUSY_MS;
    while (!has_ended(file, watched, wait_ms)) {
        if (atomic_load(&ring->again) != 0)
            begin_again(writer);
        wait_ms = write_ready(writer) ? BUSY_MS : IDLE_MS;
        atomic_fetch_add_explicit(&ring->beats, 1, memory_order_relaxed);
        pid_t now = (pid_t)atomic_load(&ring->pid);
        if (now != 0 && now != watched) {
            int other = watch(now);
            if (file >= 0)
                close(file);
            file = other;
            watched = now;
        }
    }
    if (file >= 0)
        close(file);
    write_ready(writer);
    for (uint32_t at = 0; at < ring->chunks && at < atomic_load(&ring->fresh); at++)
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
    if (summary->lost != 0)
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
    if (atomic_load(&ring->pid) == 0) {
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
    summary.lost = atomic_load(&ring->lost);
    summary.pid = atomic_load(&ring->pid);
    summary.refused = atomic_load(&ring->refused);
    summary.units_per_second = (uint64_t)(rate / (1 << TRACE_TIME_SHIFT));
    put(writer, &last, sizeof(last));
    put(writer, &summary, sizeof(summary));
    if (!writer->failed && atomic_load(&ring->pid) != 0)
        report(writer, &summary);
}

void write_trace(struct write_task *task)
{
    struct writer writer = {.task = task, .ticks = trace_ticks(), .nanoseconds = nanoseconds()};
    writer.room = ZSTD_compressBound(TRACE_CHUNK);
    writer.packed = malloc(writer.room);
    writer.packer = ZSTD_createCCtx();
    if (writer.packed == NULL || writer.packer == NULL) {
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
}
