/* SPDX-License-Identifier: MIT
 *
 * idle MIB SIZES ORDER AFTER BURSTS BOUND [MS]: bursts of blocks, all freed, and then every thread blocks in read(). MS
 * milliseconds later (2000) the process, watched from outside, has at most so much more than before the first burst.
 *
 *   SIZES  small   16 bytes to 1 KiB
 *          mid     1 to 32 KiB
 *          large   64 KiB to 1 MiB
 *          huge    1 to 32 MiB, the longest that stay in the heap
 *   ORDER  in-order  freed by the thread that made them, oldest first
 *          random    the same, in random order
 *          other     freed by another thread, in random order, while the first sleeps in read()
 *          ended     freed by another thread, in random order, after the first has ended
 *          many      by 200 threads, each of which makes and frees its share, oldest first, and stays
 *   AFTER  sleeps  the freeing thread makes no further call
 *          calls   it makes a few thousand calls for small blocks
 *          ends    it ends
 *   BOUND  a number of MiB, or `eighth`: of the peak
 */
#include "check.h"
#include "needs.h"
#include "pattern.h"
#include "proc.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    const char *name;
    size_t smallest, largest;
} sizes[] = {{"small", 16, 1024}, {"mid", 1024, 32 * KIB}, {"large", 64 * KIB, MIB}, {"huge", MIB, 31 * MIB}};

static size_t total, smallest, largest, count;
static void **blocks; /* a mapping of its own, touched before the start is measured */
static int to_child[2], to_parent[2], never[2];
static const char *order, *after;

static void tell(int fd)
{
    CHECK(write(fd, "x", 1) == 1);
}

static void hear(int fd)
{
    char byte;
    ssize_t n;
    while ((n = read(fd, &byte, 1)) == -1)
        CHECK(errno == EINTR);
    CHECKF(n == 1, "the other process has ended");
}

static void allocate_all(void)
{
    static uint64_t random = 7;
    size_t bytes = 0;
    for (count = 0; bytes < total; count++) {
        size_t size = smallest + random_below(&random, largest - smallest + 1);
        blocks[count] = malloc(size);
        CHECK(blocks[count]);
        memset(blocks[count], 1, size);
        bytes += size;
    }
}

static void shuffle(void)
{
    uint64_t random = 8;
    for (size_t i = count; i > 1; i--) {
        size_t other = random_below(&random, i);
        void *block = blocks[i - 1];
        blocks[i - 1] = blocks[other];
        blocks[other] = block;
    }
}

static void make_calls(void)
{
    enum { HELD = 100, CALLS = 3000 };
    static void *held[HELD];
    uint64_t random = 9;
    for (unsigned i = 0; i < CALLS; i++) {
        void **slot = &held[random_below(&random, HELD)];
        free(*slot);
        *slot = malloc(1 + random_below(&random, 1000));
        CHECK(*slot);
    }
}

static void free_all(void)
{
    if (strcmp(order, "in-order") != 0)
        shuffle();
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
}

/* Blocks for good. */
static void sleep_in_read(void)
{
    char byte;
    while (read(never[0], &byte, 1) == -1 && errno == EINTR) {
    }
}

static pthread_barrier_t allocated;

static void *make_and_sleep(void *argument)
{
    allocate_all();
    pthread_barrier_wait(&allocated);
    sleep_in_read();
    return argument;
}

static void *make_and_end(void *argument)
{
    allocate_all();
    return argument;
}

#define MANY 200

static void *make_and_free_share(void *argument)
{
    size_t first = (size_t)argument, end = first + total / MANY / ((smallest + largest) / 2);
    uint64_t random = first + 7;
    for (size_t i = first; i < end; i++) {
        size_t size = smallest + random_below(&random, largest - smallest + 1);
        blocks[i] = malloc(size);
        CHECK(blocks[i]);
        memset(blocks[i], 1, size);
    }
    pthread_barrier_wait(&allocated);
    for (size_t i = first; i < end; i++)
        free(blocks[i]);
    pthread_barrier_wait(&allocated);
    sleep_in_read();
    return argument;
}

static void burst_of_many(void)
{
    size_t share = total / MANY / ((smallest + largest) / 2);
    CHECK(pthread_barrier_init(&allocated, NULL, MANY + 1) == 0);
    for (size_t i = 0; i < MANY; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, make_and_free_share, (void *)(i * share)) == 0);
    }
    pthread_barrier_wait(&allocated);
    pthread_barrier_wait(&allocated);
}

static void burst(void)
{
    pthread_t thread;
    if (!strcmp(order, "many")) {
        burst_of_many();
        return;
    }
    if (!strcmp(order, "other")) {
        CHECK(pthread_barrier_init(&allocated, NULL, 2) == 0);
        CHECK(pthread_create(&thread, NULL, make_and_sleep, NULL) == 0);
        pthread_barrier_wait(&allocated);
    } else if (!strcmp(order, "ended")) {
        CHECK(pthread_create(&thread, NULL, make_and_end, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    } else {
        allocate_all();
    }
    free_all();
}

static void *burst_and_end(void *argument)
{
    burst();
    return argument;
}

static void child(unsigned bursts)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    size_t most = total / ((smallest + largest) / 2) * 5 / 4 + 1000;
    blocks =
        mmap(NULL, most * sizeof(*blocks), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    CHECK(blocks != MAP_FAILED);
    free(malloc(100));
    tell(to_parent[1]);
    hear(to_child[0]);
    for (unsigned i = 0; i < bursts; i++) {
        pthread_t thread;
        if (!strcmp(after, "ends")) {
            CHECK(pthread_create(&thread, NULL, burst_and_end, NULL) == 0);
            CHECK(pthread_join(thread, NULL) == 0);
        } else {
            burst();
        }
    }
    if (!strcmp(after, "calls"))
        make_calls();
    tell(to_parent[1]);
    sleep_in_read();
    _exit(1);
}

static void choose(char **arguments)
{
    total = strtoull(arguments[1], NULL, 10) * MIB;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (!strcmp(arguments[2], sizes[i].name)) {
            smallest = sizes[i].smallest;
            largest = sizes[i].largest;
        }
    }
    order = arguments[3];
    after = arguments[4];
    CHECK(total != 0 && largest != 0);
    CHECK(!strcmp(order, "in-order") || !strcmp(order, "random") || !strcmp(order, "other") ||
          !strcmp(order, "ended") || !strcmp(order, "many"));
    CHECK(!strcmp(after, "sleeps") || !strcmp(after, "calls") || !strcmp(after, "ends"));
}

int main(int argument_count, char **arguments)
{
    CHECKF(argument_count >= 7, "usage: idle MIB SIZES ORDER AFTER BURSTS BOUND [MS]");
    choose(arguments);
    need_own_memory();
    unsigned wait_ms = argument_count > 7 ? (unsigned)strtoul(arguments[7], NULL, 10) : 2000;
    check_watchdog(110);
    CHECK(pipe(to_child) == 0 && pipe(to_parent) == 0 && pipe(never) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        child((unsigned)strtoul(arguments[5], NULL, 10));
    close(to_parent[1]);
    hear(to_parent[0]);
    size_t start = proc_status_bytes(pid, "VmRSS:");
    tell(to_child[1]);
    hear(to_parent[0]);
    proc_sleep_ms(wait_ms);
    size_t end = proc_status_bytes(pid, "VmRSS:"), peak = proc_status_bytes(pid, "VmHWM:");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    check_note("start %zu KiB, peak %zu KiB, %u ms after the burst %zu KiB", start / KIB, peak / KIB, wait_ms,
               end / KIB);
    CHECKF(peak >= total, "the burst never was that large");
    size_t bound = !strcmp(arguments[6], "eighth") ? peak / 8 : strtoull(arguments[6], NULL, 10) * MIB;
    CHECK(end <= start + bound);
    return 0;
}
