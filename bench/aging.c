/* SPDX-License-Identifier: MIT
 *
 * Aging: what a heap becomes over time. Sizes drift, from large ones to small ones and back, twice; most blocks die
 * soon, one in eight lives for a while and one in a hundred for long, so that a few hold on to memory which was made
 * for sizes that nobody wants any more. The bytes that are live stay the same. A tenth of the blocks is freed by
 * another thread. Besides the speed it prints, in percent, the RSS as a multiple of the live bytes: the mean of up to
 * 128 samples, and the worst one. At each sample the threads wait for each other, so that all are equally old and none
 * sends blocks to one that has ended.
 */
#include "sizes.h"

#include <fcntl.h>
#include <stdatomic.h>

enum { OPERATIONS, THREADS, LIVE, MIN, MAX, SEED };
#define SAMPLES 128
#define WAVES 2           /* of the sizes */
#define WINDOW (2u << 16) /* of sizes at one time: two doublings */
#define SHORT_LIFE 64     /* operations; a power of two */
#define POST_EVERY 64     /* operations between two looks for what others sent */

/* The first bytes of each block. `next` is used when it is sent to another thread. */
struct block {
    struct block *next;
    uint64_t size;
};

/* Blocks that live until others push them out: a random one goes for each that does not fit. */
struct pool {
    struct block **blocks;
    uint64_t count, bytes, room;
};

/* What a thread shares with others is the post, a stack of blocks to free, and how many of its bytes are live. */
struct worker {
    _Alignas(128) struct block *_Atomic post; /* senders, release -> owner, acquire: the blocks and their links */
    _Atomic int64_t live;
    _Alignas(128) struct pool pools[2]; /* those that live for a while and for long */
    struct block *young[SHORT_LIFE];
    uint64_t random, operations;
    uint32_t low, drift; /* logarithms: of the smallest size, and how far the window moves */
    unsigned index, threads;
    struct worker *all;
};

static pthread_barrier_t equally_old;

/* Only the first thread samples. */
static struct {
    int statm;
    uint64_t before, page, enough; /* below so many live bytes a sample says nothing */
    uint64_t sum, live, worst;
} rss;

static uint64_t read_rss(void)
{
    char text[128];
    ssize_t length = pread(rss.statm, text, sizeof(text) - 1, 0);
    if (length <= 0)
        bench_die("cannot read /proc/self/statm");
    text[length] = '\0';
    char *second = strchr(text, ' ');
    return second != NULL ? strtoull(second, NULL, 10) * rss.page : 0;
}

static void sample(const struct worker *all, unsigned threads)
{
    int64_t live = 0;
    for (unsigned t = 0; t < threads; t++)
        live += atomic_load_explicit(&all[t].live, memory_order_relaxed);
    if (live < (int64_t)rss.enough)
        return;
    uint64_t now = read_rss();
    now = now > rss.before ? now - rss.before : 0;
    rss.sum += now;
    rss.live += (uint64_t)live;
    rss.worst = now * 100 / (uint64_t)live > rss.worst ? now * 100 / (uint64_t)live : rss.worst;
}

static void send(struct worker *to, struct block *block)
{
    struct block *head = atomic_load_explicit(&to->post, memory_order_relaxed);
    do
        block->next = head;
    while (!atomic_compare_exchange_weak_explicit(&to->post, &head, block, memory_order_release, memory_order_relaxed));
}

static void free_chain(struct block *block)
{
    while (block != NULL) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
}

static void free_post(struct worker *worker)
{
    free_chain(atomic_exchange_explicit(&worker->post, NULL, memory_order_acquire));
}

static void count_live(struct worker *worker, int64_t change)
{
    int64_t live = atomic_load_explicit(&worker->live, memory_order_relaxed);
    atomic_store_explicit(&worker->live, live + change, memory_order_relaxed);
}

static void bury(struct worker *worker, struct block *block)
{
    uint64_t bits = bench_next(&worker->random);
    unsigned other = bench_scale(bits >> 32, worker->threads);
    count_live(worker, -(int64_t)block->size);
    if (bench_scale(bits, 10) == 0 && other != worker->index)
        send(&worker->all[other], block);
    else
        free(block);
}

static void put(struct worker *worker, struct pool *pool, struct block *block)
{
    while (pool->bytes + block->size > pool->room && pool->count != 0) {
        struct block **place = &pool->blocks[bench_scale(bench_next(&worker->random), (uint32_t)pool->count)];
        struct block *old = *place;
        *place = pool->blocks[--pool->count];
        pool->bytes -= old->size;
        bury(worker, old);
    }
    pool->blocks[pool->count++] = block;
    pool->bytes += block->size;
}

/* Down in the first half of a wave, up in the second. */
static size_t size_at(const struct worker *worker, uint64_t now, uint64_t random)
{
    uint64_t wave = worker->operations / WAVES + 1, at = now % wave;
    uint64_t height = at * 2 < wave ? wave - 2 * at : 2 * at - wave;
    return bench_size_of(worker->low + (uint32_t)(worker->drift * height / wave) + bench_scale(random, WINDOW));
}

static void *grow_old(void *argument)
{
    struct worker *worker = argument;
    uint64_t every = worker->operations / SAMPLES + 1;
    bench_pin(worker->index);
    for (uint64_t now = 0; now < worker->operations; now++) {
        uint64_t bits = bench_next(&worker->random);
        size_t size = size_at(worker, now, bits >> 32);
        struct block *block = malloc(size), **young = &worker->young[now % SHORT_LIFE];
        bench_touch((char *)block, size, bits);
        block->size = size;
        count_live(worker, (int64_t)size);
        uint32_t kind = bench_scale(bits, 100);
        if (kind < 13) {
            put(worker, &worker->pools[kind == 0], block);
        } else {
            if (*young != NULL)
                bury(worker, *young);
            *young = block;
        }
        if (now % POST_EVERY == 0)
            free_post(worker);
        if (now % every == 0) {
            pthread_barrier_wait(&equally_old);
            if (worker->index == 0)
                sample(worker->all, worker->threads);
        }
    }
    return NULL;
}

static void free_worker(struct worker *worker)
{
    free_post(worker);
    for (unsigned i = 0; i < SHORT_LIFE; i++)
        free(worker->young[i]);
    for (unsigned p = 0; p < BENCH_COUNT(worker->pools); p++)
        bench_free_all((char **)worker->pools[p].blocks, worker->pools[p].count);
}

static void make_worker(struct worker *worker, const struct bench_arg *args, struct worker *all)
{
    uint32_t low = bench_log_of(args[MIN].value), span = bench_span(low, bench_log_of(args[MAX].value));
    worker->index = (unsigned)(worker - all);
    worker->threads = (unsigned)args[THREADS].value;
    worker->all = all;
    worker->random = bench_seed(args[SEED].value + worker->index);
    worker->operations = args[OPERATIONS].value;
    worker->low = low;
    worker->drift = span > WINDOW ? span - WINDOW : 0;
    for (unsigned p = 0; p < BENCH_COUNT(worker->pools); p++) {
        uint64_t room = args[LIVE].value / worker->threads / BENCH_COUNT(worker->pools);
        worker->pools[p].room = room;
        worker->pools[p].blocks = bench_table(room / args[MIN].value + 1, sizeof(*worker->pools[p].blocks));
    }
}

int main(int argc, char **argv)
{
    struct bench_arg args[] = {
        [OPERATIONS] = {.name = "operations", .value = 1000000, .max = 1 << 30, .help = "of one thread"},
        [THREADS] = {.name = "threads", .value = 2, .min = 1, .max = BENCH_MAX_THREADS, .help = "at once"},
        [LIVE] = {.name = "live", .value = 16 << 20, .max = UINT32_MAX, .help = "bytes, of all threads"},
        [MIN] = {.name = "min", .value = 16, .min = sizeof(struct block), .max = 1 << 30, .help = "smallest, bytes"},
        [MAX] = {.name = "max", .value = 8192, .min = 128, .max = 1 << 30, .help = "largest block, bytes"},
        [SEED] = {.name = "seed", .value = 42, .max = UINT64_MAX, .help = "of the random numbers"},
    };
    bench_args(argc, argv, "sizes drift and a few blocks live long; how much memory is held", args, BENCH_COUNT(args));
    size_t threads = args[THREADS].value;
    bench_pin(0);
    struct worker *workers = bench_table(threads, sizeof(*workers));
    for (size_t t = 0; t < threads; t++)
        make_worker(&workers[t], args, workers);
    if (pthread_barrier_init(&equally_old, NULL, (unsigned)threads) != 0)
        bench_die("pthread_barrier_init failed");
    rss.page = (uint64_t)sysconf(_SC_PAGESIZE);
    rss.enough = args[LIVE].value / 2;
    rss.statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    rss.before = read_rss();
    uint64_t start = bench_clock();
    bench_team(grow_old, workers, sizeof(*workers), threads);
    struct bench_line line = bench_stop(start, threads * args[OPERATIONS].value);
    bench_add(&line, "mean_rss_percent", rss.live != 0 ? rss.sum * 100 / rss.live : 0);
    bench_add(&line, "worst_rss_percent", rss.worst);
    bench_print(&line);
    for (size_t t = 0; t < threads; t++)
        free_worker(&workers[t]);
    return 0;
}
