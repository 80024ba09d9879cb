/* SPDX-License-Identifier: MIT
 *
 * `hakmem-trace play`: the process that replays a trace on whatever malloc it was started with, and prints one line, as
 * the programs of the bench do. Threads are those of the trace: the first is this process's own, so that a program of
 * one thread is replayed by one. What is live in a turn is told by the trace's sizes; each block is written, the first
 * and the last byte and one in each page.
 *
 * The clock runs while a turn does. Memory of this file's own is shared memory, or a stack; it calls no malloc.
 */
#define _GNU_SOURCE

#include "feed.h"
#include "futex.h"
#include "model.h"
#include "play.h"
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STACK (128 * 1024)
#define VARIABLES 1024

enum { ABSENT, RUNNING };

struct worker {
    _Alignas(128) _Atomic uint32_t go; /* turns that it was told to run; release by the player, acquire by the worker */
    uint32_t done;                     /* of these */
    uint32_t state;
    uint32_t last; /* ends behind the present turn */
    const struct feed_queue *queue;
    struct play_lane lane;
    int64_t counted; /* of lane.live, in the player's */
    pthread_t thread;
};

struct player {
    struct feed *feed;
    struct worker *workers;
    _Atomic uint32_t left; /* workers that have not ended the turn; release by each, acquire by the player */
    uint64_t nanoseconds, turns;
    int64_t live, peak;  /* bytes, after each turn */
    uint64_t heap_pages; /* the most after a turn */
    uint32_t threads;
};

static struct player player;
static pid_t feeder;

/* ---- The process that reads ---- */

static void feeder_lives(void)
{
    int status;
    if (waitpid(feeder, &status, WNOHANG) != 0 && atomic_load(&player.feed->turn) == FEED_READER)
        _exit(125); /* it has said why */
}

/* It gets neither the preload nor an allocator's settings. */
static void start_feeder(int file, char *trace)
{
    static char *environment[VARIABLES];
    char number[16];
    char name[] = "hakmem-trace", feed[] = "feed";
    char *words[] = {name, feed, number, trace, NULL};
    size_t kept = 0;
    for (char **at = environ; *at != NULL && kept < VARIABLES - 1; at++) {
        if (strncmp(*at, "LD_PRELOAD=", 11) != 0 && strncmp(*at, "HAK", 3) != 0)
            environment[kept++] = *at;
    }
    snprintf(number, sizeof(number), "%d", file);
    int status = posix_spawn(&feeder, "/proc/self/exe", NULL, NULL, words, environment);
    if (status != 0)
        trace_die("replay: the process that reads the trace cannot be started: %s", strerror(status));
}

static void *shared(size_t size, int file)
{
    int flags = file < 0 ? MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, file, 0);
    if (memory == MAP_FAILED)
        trace_die("replay: no memory: %s", strerror(errno));
    return memory;
}

/* ---- Threads ---- */

static void *work(void *argument)
{
    struct worker *worker = argument;
    bool last = false;
    while (!last) {
        while (atomic_load_explicit(&worker->go, memory_order_acquire) == worker->done)
            futex_wait(&worker->go, worker->done);
        worker->done++;
        last = worker->last != 0;
        play_queue(&worker->lane, &player.feed->op[worker->queue->first], worker->queue->count);
        if (atomic_fetch_sub_explicit(&player.left, 1, memory_order_acq_rel) == 1)
            futex_wake(&player.left, 1);
    }
    return NULL;
}

static void start_worker(struct worker *worker)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0 || pthread_attr_setstacksize(&attributes, STACK) != 0)
        trace_die("replay: no thread");
    int status = pthread_create(&worker->thread, &attributes, work, worker);
    if (status != 0)
        trace_die("replay: a further thread cannot be had: %s", strerror(status));
    pthread_attr_destroy(&attributes);
    worker->state = RUNNING;
    player.threads++;
}

/* Thread 0 of the trace is this process's first. */
static void prepare(void)
{
    const struct feed *feed = player.feed;
    uint32_t others = 0;
    for (uint32_t at = 0; at < feed->queues; at++) {
        const struct feed_queue *queue = &feed->queue[at];
        struct worker *worker = &player.workers[queue->thread];
        worker->queue = queue;
        worker->last = queue->last;
        others += queue->thread != 0;
        if (queue->thread != 0 && worker->state == ABSENT)
            start_worker(worker);
    }
    atomic_store_explicit(&player.left, others, memory_order_relaxed);
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

static void run_turn(void)
{
    const struct feed *feed = player.feed;
    const struct feed_queue *own = NULL;
    uint32_t left;
    uint64_t start = now();
    for (uint32_t at = 0; at < feed->queues; at++) {
        if (feed->queue[at].thread == 0) {
            own = &feed->queue[at];
            continue;
        }
        struct worker *worker = &player.workers[feed->queue[at].thread];
        atomic_fetch_add_explicit(&worker->go, 1, memory_order_release); /* work */
        futex_wake(&worker->go, 1);
    }
    if (own != NULL)
        play_queue(&player.workers[0].lane, &feed->op[own->first], own->count);
    while ((left = atomic_load_explicit(&player.left, memory_order_acquire)) != 0) /* work */
        futex_wait(&player.left, left);
    player.nanoseconds += now() - start;
    player.turns++;
}

static void finish(void)
{
    const struct feed *feed = player.feed;
    for (uint32_t at = 0; at < feed->queues; at++) {
        struct worker *worker = &player.workers[feed->queue[at].thread];
        player.live += worker->lane.live - worker->counted;
        worker->counted = worker->lane.live;
        if (feed->queue[at].thread != 0 && worker->last != 0)
            pthread_join(worker->thread, NULL);
    }
    player.peak = player.live > player.peak ? player.live : player.peak;
    uint64_t heap = play_heap_pages();
    player.heap_pages = heap > player.heap_pages ? heap : player.heap_pages;
}

/* ---- The result ---- */

static void print_result(void)
{
    struct play_lane sum = {.live = 0};
    struct rusage usage;
    char text[512];
    for (uint32_t at = 0; at < player.feed->threads; at++) {
        sum.blocks += player.workers[at].lane.blocks;
        sum.refused += player.workers[at].lane.refused;
    }
    uint64_t least = play_heap_pages_at_most_rss();
    uint64_t heap = least > player.heap_pages ? least : player.heap_pages;
    uint64_t time = player.nanoseconds != 0 ? player.nanoseconds : 1;
    getrusage(RUSAGE_SELF, &usage);
    int length = snprintf(
        text, sizeof(text),
        "ops_per_sec=%llu ops=%llu elapsed_ns=%llu peak_rss_kib=%ld minor_faults=%ld major_faults=%ld "
        "heap_peak_kib=%llu "
        "peak_live_bytes=%llu recorded_peak_bytes=%llu events=%llu turns=%llu threads=%u refused=%llu\n",
        (unsigned long long)((double)sum.blocks * 1e9 / (double)time), (unsigned long long)sum.blocks,
        (unsigned long long)time, usage.ru_maxrss, usage.ru_minflt, usage.ru_majflt,
        (unsigned long long)heap * (unsigned long long)sysconf(_SC_PAGESIZE) / 1024, (unsigned long long)player.peak,
        (unsigned long long)player.feed->peak_bytes, (unsigned long long)player.feed->events,
        (unsigned long long)player.turns, player.threads + 1, (unsigned long long)sum.refused);
    if (write(1, text, (size_t)length) != length)
        trace_die("replay: the result cannot be written");
}

/* TRACE */
int trace_play(char **words)
{
    signal(SIGCHLD, SIG_DFL); /* as trace_replay, for who calls this alone */
    int file = memfd_create("hakmem-replay", 0);
    if (file < 0 || ftruncate(file, sizeof(struct feed)) != 0)
        trace_die("replay: no shared memory: %s", strerror(errno));
    player.feed = shared(sizeof(*player.feed), file);
    start_feeder(file, words[0]);
    feed_await(player.feed, FEED_PLAYER, feeder_lives);
    size_t threads = player.feed->threads != 0 ? player.feed->threads : 1;
    player.workers = shared(threads * sizeof(*player.workers), -1);
    play_slots = shared(((size_t)player.feed->slots + 1) * sizeof(*play_slots), -1);
    while (atomic_load(&player.feed->turn) == FEED_PLAYER) {
        prepare();
        run_turn();
        finish();
        feed_hand_over(player.feed, FEED_READER);
        feed_await(player.feed, FEED_PLAYER, feeder_lives);
    }
    waitpid(feeder, NULL, 0);
    print_result();
    return 0;
}
