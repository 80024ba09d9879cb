/* SPDX-License-Identifier: MIT
 *
 * soak SECONDS SEED: cycles of phases, until so much time has passed, three at least. In each phase threads work on
 * blocks of one kind, then all stands still and is counted, then all is freed. One line for each phase, which
 * tests/named/soak.py reads and judges; what is judged here is that blocks are whole, that calloc's are zero, and that
 * children of fork end well.
 *
 * A block begins with its size and a seed. What follows is filled: all of it in every sixteenth block and in short
 * ones, else both ends.
 */
#include "check.h"
#include "hakmem/hakmem.h"
#include "pattern.h"
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Linked or preloaded: the program is the same. */
#pragma weak hak_stats

enum { MOST_THREADS = 8, MOST_CELLS = 60000, LEAST_CYCLES = 3, END = 256 };

enum way { PLAIN, ZEROED, ALIGNED, GROWING };

static const struct phase {
    const char *name;
    unsigned threads, cells, operations; /* cells in all; operations of each thread */
    size_t smallest, largest;
    enum way way;
    bool cross;     /* every thread works on all cells, not on its own */
    unsigned lives; /* threads that follow each other in the place of one */
    unsigned forks;
    bool trims; /* malloc_trim now and then */
} phases[] = {
    {"small", 4, 60000, 300000, 16, KIB, .lives = 1},
    {"mid", 4, 8000, 60000, KIB, 32 * KIB, .lives = 1},
    {"large", 3, 200, 3000, 32 * KIB, 4 * MIB, .lives = 1},
    {"huge", 2, 4, 60, 8 * MIB, 48 * MIB, .lives = 1},
    {"cross", 6, 20000, 80000, 16, 16 * KIB, .cross = true, .lives = 1},
    {"ended", 4, 20000, 60000, 16, 16 * KIB, .cross = true, .lives = 50},
    {"growing", 4, 400, 12000, 16, 2 * MIB, GROWING, .lives = 1},
    {"aligned", 4, 3000, 30000, 16, 64 * KIB, ALIGNED, .lives = 1},
    {"zeroed", 4, 3000, 20000, 16, 256 * KIB, ZEROED, .lives = 1, .trims = true},
    {"forks", 4, 4000, 40000, 16, 64 * KIB, .cross = true, .lives = 4, .forks = 10},
    {"one", 1, 20000, 200000, 16, 8 * KIB, .lives = 1, .trims = true},
};

static const struct phase *phase;
static _Atomic(unsigned char *) cells[MOST_CELLS];
static atomic_size_t asked; /* bytes of all blocks on the cells */
static uint64_t seed;

/* ---- blocks ---- */

struct header {
    uint64_t size, seed; /* the seed's lowest bit: filled as a whole */
};

static bool is_filled(const struct header *h)
{
    return h->size <= 4 * END || h->seed & 1;
}

static unsigned char *fill(void *block, size_t size, uint64_t *random)
{
    CHECKF(block, "no memory for %zu bytes", size);
    struct header h = {size, random_next(random)};
    if (random_below(random, 16) != 0)
        h.seed &= ~(uint64_t)1;
    unsigned char *bytes = block;
    memcpy(bytes, &h, sizeof(h));
    pattern_fill(bytes + sizeof(h), is_filled(&h) ? size - sizeof(h) : END, h.seed);
    if (!is_filled(&h))
        pattern_fill(bytes + size - END, END, h.seed + 1);
    return block;
}

/* `within`: only so many of its bytes are there yet, if fewer than its size. */
static struct header check(const unsigned char *block, size_t within)
{
    struct header h;
    memcpy(&h, block, sizeof(h));
    CHECKF(h.size >= sizeof(h) && h.size <= phase->largest * 2, "the block at %p lost its header", (void *)block);
    size_t whole = is_filled(&h) ? h.size - sizeof(h) : END;
    if (within < h.size && whole > within - sizeof(h))
        whole = within - sizeof(h);
    CHECKF(pattern_check(block + sizeof(h), whole, h.seed) == whole, "%zu bytes at %p are damaged", (size_t)h.size,
           (void *)block);
    if (within >= h.size && !is_filled(&h))
        CHECKF(pattern_check(block + h.size - END, END, h.seed + 1) == END, "%zu bytes at %p: the end is damaged",
               (size_t)h.size, (void *)block);
    return h;
}

static void drop(unsigned char *block)
{
    if (block == NULL)
        return;
    asked -= check(block, SIZE_MAX).size;
    free(block);
}

/* Short ones more often than long ones. */
static size_t random_size(uint64_t *random)
{
    size_t size = phase->smallest;
    while (size * 2 <= phase->largest && random_below(random, 4) != 0)
        size *= 2;
    return size + random_below(random, size);
}

static unsigned char *make(uint64_t *random)
{
    size_t size = random_size(random);
    void *block;
    if (phase->way == ZEROED) {
        block = calloc(1, size);
        CHECKF(block && pattern_nonzero(block, size) == size, "calloc of %zu bytes is not zero", size);
    } else if (phase->way == ALIGNED) {
        size_t alignment = (size_t)8 << random_below(random, 14);
        CHECK(posix_memalign(&block, alignment, size) == 0 && (uintptr_t)block % alignment == 0);
    } else {
        block = malloc(size);
    }
    asked += size;
    return fill(block, size, random);
}

static unsigned char *resize(unsigned char *block, uint64_t *random)
{
    size_t before = check(block, SIZE_MAX).size, size = before + before / 2 + 16;
    if (size > phase->largest)
        size = random_size(random);
    block = realloc(block, size);
    CHECK(block);
    check(block, size < before ? size : before);
    asked += size - before;
    return fill(block, size, random);
}

/* ---- threads ---- */

static pthread_barrier_t standstill;

static void one_operation(size_t from, size_t count, uint64_t *random)
{
    _Atomic(unsigned char *) *cell = &cells[from + random_below(random, count)];
    unsigned char *block = atomic_exchange(cell, NULL);
    if (block != NULL && (random_below(random, 4) == 0 || phase->way == GROWING) && random_below(random, 16) != 0)
        block = resize(block, random);
    else if (block == NULL)
        block = make(random);
    else
        drop(block), block = NULL;
    drop(atomic_exchange(cell, block));
}

struct share {
    size_t from, count;
    unsigned operations;
    uint64_t random;
};

static void *live(void *argument)
{
    struct share *share = argument;
    for (unsigned i = 0; i < share->operations; i++) {
        one_operation(share->from, share->count, &share->random);
        if (phase->trims && i % 20000 == 0)
            malloc_trim(0);
    }
    return NULL;
}

static void clear(size_t from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        drop(atomic_exchange(&cells[from + i], NULL));
}

static struct share share_of(size_t number)
{
    size_t count = phase->cells / phase->threads;
    return (struct share){phase->cross ? 0 : number * count, phase->cross ? count * phase->threads : count,
                          phase->operations / phase->lives, pattern_mix(seed * 1000 + number)};
}

/* What is on the cells another thread frees, where the phase is one of those. */
static void *work(void *argument)
{
    size_t number = (uintptr_t)argument, count = phase->cells / phase->threads;
    struct share share = share_of(number);
    for (unsigned i = 0; i < phase->lives; i++) {
        pthread_t thread;
        if (phase->lives == 1) {
            live(&share);
            break;
        }
        CHECK(pthread_create(&thread, NULL, live, &share) == 0 && pthread_join(thread, NULL) == 0);
    }
    pthread_barrier_wait(&standstill);
    pthread_barrier_wait(&standstill);
    clear((number + phase->cross) % phase->threads * count, count);
    return NULL;
}

static void child(unsigned number)
{
    check_watchdog(100);
    struct share share = share_of(MOST_THREADS + number);
    share.operations = 200;
    clear(0, phase->cells);
    live(&share);
    clear(0, phase->cells);
    _exit(0);
}

static void *fork_often(void *argument)
{
    for (unsigned i = 0; i < phase->forks; i++) {
        int status;
        pid_t pid = fork();
        CHECKF(pid >= 0, "fork: errno %d", errno);
        if (pid == 0)
            child(i);
        while (waitpid(pid, &status, 0) == -1)
            CHECK(errno == EINTR);
        CHECKF(status == 0, "a child ended with wait status %#x", status);
    }
    return argument;
}

/* ---- figures ---- */

static unsigned mappings(void)
{
    static char text[16384];
    unsigned lines = 0;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    for (ssize_t n; (n = read(fd, text, sizeof(text))) > 0;) {
        for (ssize_t i = 0; i < n; i++)
            lines += text[i] == '\n';
    }
    close(fd);
    return lines;
}

static void say(unsigned cycle, const char *name, const char *when)
{
    struct hak_stats stats = {.size = sizeof(stats)};
    CHECKF(hak_stats && hak_stats(&stats) == 0, "hak_stats does not answer");
    check_note("cycle=%u phase=%s when=%s asked=%zu live=%zu blocks=%zu rss=%zu fronts=%zu metadata=%zu mapped=%zu "
               "maps=%u descriptors=%u threads=%u",
               cycle, name, when, (size_t)asked, stats.live_bytes, stats.live_blocks, proc_rss(), stats.front_bytes,
               stats.metadata_bytes, stats.mapped_bytes, mappings(), proc_descriptors(), proc_threads());
}

/* After a pause, calls that free see that nobody wants any more what was wanted again and again (docs/idle.md). */
static void rest(void)
{
    proc_sleep_ms(1200);
    for (unsigned i = 0; i < 300; i++)
        free(malloc(100 * KIB));
}

static void run(unsigned cycle)
{
    pthread_t threads[MOST_THREADS], forks;
    CHECK(pthread_barrier_init(&standstill, NULL, phase->threads + 1) == 0);
    for (uintptr_t i = 0; i < phase->threads; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    CHECK(pthread_create(&forks, NULL, fork_often, NULL) == 0 && pthread_join(forks, NULL) == 0);
    pthread_barrier_wait(&standstill);
    say(cycle, phase->name, "full");
    pthread_barrier_wait(&standstill);
    for (unsigned i = 0; i < phase->threads; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    pthread_barrier_destroy(&standstill);
    CHECK(asked == 0);
    rest();
    say(cycle, phase->name, "freed");
}

int main(int count, char **arguments)
{
    CHECKF(count == 3, "usage: soak SECONDS SEED");
    time_t until = time(NULL) + (time_t)strtoull(arguments[1], NULL, 10);
    seed = strtoull(arguments[2], NULL, 10);
    for (size_t i = 0; i < MOST_CELLS; i++)
        atomic_store(&cells[i], NULL); /* touched before anything is measured */
    free(malloc(100));
    say(0, "start", "freed");
    for (unsigned cycle = 1; cycle <= LEAST_CYCLES || time(NULL) < until; cycle++) {
        for (phase = phases; phase < phases + sizeof(phases) / sizeof(phases[0]); phase++, seed++)
            run(cycle);
    }
    return 0;
}
