/* SPDX-License-Identifier: MIT
 *
 * fork_storm FORKS paced|busy|all: eight threads allocate while the main thread forks. Every child allocates, frees
 * blocks its parent made, starts a thread and exits. A hang in parent or child is ended by an alarm and is a failure.
 *
 *   paced  the threads rest for a millisecond now and then, so that two cores get through 2 000 forks
 *   busy   they never rest
 *   all    each of them forks, too
 */
#include "check.h"
#include "needs.h"
#include "pattern.h"
#include "proc.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 8, SLOTS = 200, SHARED = 64 };

static atomic_bool stop;
static bool paced;
static int forks_per_thread;
static unsigned char *shared_blocks[SHARED]; /* the parent's; every child frees its copy of them */

static size_t shared_size(size_t i)
{
    return i % 16 == 0 ? 100000 + i : 1 + i * 53;
}

static void churn(uint64_t seed, int rounds)
{
    unsigned char *blocks[SLOTS] = {NULL};
    for (int i = 0; i < rounds; i++) {
        size_t slot = random_below(&seed, SLOTS);
        free(blocks[slot]);
        size_t size = 1 + random_below(&seed, i % 50 ? 1500 : 70000);
        blocks[slot] = malloc(size);
        CHECK(blocks[slot]);
        blocks[slot][0] = blocks[slot][size - 1] = 1;
    }
    for (size_t i = 0; i < SLOTS; i++)
        free(blocks[i]);
}

static void *child_thread(void *argument)
{
    churn((uint64_t)(uintptr_t)argument, 300);
    return NULL;
}

static void child(int number)
{
    check_alarm(60);
    churn((uint64_t)number, 300);
    for (size_t i = 0; i < SHARED; i++) {
        CHECK(pattern_check(shared_blocks[i], shared_size(i), i) == shared_size(i));
        free(shared_blocks[i]);
    }
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, child_thread, (void *)(uintptr_t)number) == 0);
    churn((uint64_t)number + 1, 200);
    CHECK(pthread_join(thread, NULL) == 0);
    if (number % 2)
        _exit(0);
    exit(0);
}

static void fork_once(int number)
{
    pid_t pid = fork();
    CHECKF(pid >= 0, "fork: errno %d", errno);
    if (pid == 0)
        child(number);
    int status;
    while (waitpid(pid, &status, 0) == -1)
        CHECK(errno == EINTR);
    CHECKF(status == 0, "child %d ended with wait status %#x", number, status);
}

static void *allocate_and_fork(void *argument)
{
    uint64_t seed = (uint64_t)(uintptr_t)argument;
    for (int forks = 0; !stop; seed++) {
        churn(seed, 2000);
        if (paced)
            proc_sleep_ms(1);
        if (forks < forks_per_thread)
            fork_once((int)seed + forks++);
        else if (forks_per_thread)
            break;
    }
    return NULL;
}

int main(int count, char **arguments)
{
    check_watchdog(580); /* a hang, not a slow machine: it takes a minute or two on two idle cores */
    int forks = (int)check_fewer(count > 1 ? (size_t)atoi(arguments[1]) : 2000);
    const char *mode = count > 2 ? arguments[2] : "paced";
    bool all = !strcmp(mode, "all");
    paced = !strcmp(mode, "paced");
    CHECK(all || paced || !strcmp(mode, "busy"));
    if (all)
        need_own_memory(); /* else its locks are held by other threads */
    forks_per_thread = all ? (forks + THREADS - 1) / THREADS : 0;
    for (size_t i = 0; i < SHARED; i++) {
        shared_blocks[i] = malloc(shared_size(i));
        CHECK(shared_blocks[i]);
        pattern_fill(shared_blocks[i], shared_size(i), i);
    }
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, allocate_and_fork, (void *)(uintptr_t)(i * 100000)) == 0);
    for (int i = 0; !all && i < forks; i++)
        fork_once(i);
    stop = !all;
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    for (size_t i = 0; i < SHARED; i++)
        CHECK(pattern_check(shared_blocks[i], shared_size(i), i) == shared_size(i));
    return 0;
}
