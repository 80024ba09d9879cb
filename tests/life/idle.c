/* SPDX-License-Identifier: MIT
 *
 * idle MIB in-order|random|other|ended [MS]: a burst of mixed small blocks (16 to 1024 bytes), all freed, and then
 * every thread blocks in read(). MS milliseconds later (2000) the process, watched from outside, is within 16 MiB of
 * its size before the burst.
 *
 *   in-order  freed by the thread that made them, oldest first
 *   random    the same, in random order
 *   other     freed by another thread while the first sleeps in read()
 *   ended     freed by another thread after the first has ended
 */
#include "check.h"
#include "pattern.h"
#include "proc.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

enum { SMALLEST = 16, LARGEST = 1024 };

static size_t total, count;
static void **blocks; /* a mapping of its own, touched before the start is measured */
static int to_child[2], to_parent[2], never[2];

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
    uint64_t random = 7;
    size_t bytes = 0;
    for (count = 0; bytes < total; count++) {
        size_t size = SMALLEST + random_below(&random, LARGEST - SMALLEST + 1);
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

static void free_all(void)
{
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

static void *maker(void *sleeps)
{
    allocate_all();
    if (!sleeps)
        return NULL;
    pthread_barrier_wait(&allocated);
    sleep_in_read();
    return NULL;
}

static void burst(const char *mode)
{
    pthread_t thread;
    bool other = !strcmp(mode, "other"), ended = !strcmp(mode, "ended");
    if (!other && !ended) {
        allocate_all();
        if (!strcmp(mode, "random"))
            shuffle();
        free_all();
        return;
    }
    CHECK(pthread_barrier_init(&allocated, NULL, 2) == 0);
    CHECK(pthread_create(&thread, NULL, maker, other ? &thread : NULL) == 0);
    if (other)
        pthread_barrier_wait(&allocated);
    else
        CHECK(pthread_join(thread, NULL) == 0);
    shuffle();
    free_all();
}

static void child(const char *mode)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    size_t most = total / ((SMALLEST + LARGEST) / 2) * 5 / 4 + 1000;
    blocks =
        mmap(NULL, most * sizeof(*blocks), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    CHECK(blocks != MAP_FAILED);
    free(malloc(100));
    tell(to_parent[1]);
    hear(to_child[0]);
    burst(mode);
    tell(to_parent[1]);
    sleep_in_read();
    _exit(1);
}

int main(int argument_count, char **arguments)
{
    CHECKF(argument_count >= 3, "usage: idle MIB in-order|random|other|ended [MS]");
    const char *mode = arguments[2];
    CHECK(!strcmp(mode, "in-order") || !strcmp(mode, "random") || !strcmp(mode, "other") || !strcmp(mode, "ended"));
    total = strtoull(arguments[1], NULL, 10) * MIB;
    unsigned wait_ms = argument_count > 3 ? (unsigned)strtoul(arguments[3], NULL, 10) : 2000;
    check_watchdog(110);
    CHECK(pipe(to_child) == 0 && pipe(to_parent) == 0 && pipe(never) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        child(mode);
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
    CHECK(end <= start + 16 * MIB);
    return 0;
}
