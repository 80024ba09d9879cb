/* SPDX-License-Identifier: MIT */
#include "forking.h"

#include "check.h"
#include "pattern.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SLOTS = 60, SHARED = 48, CHILD_SECONDS = 60, FORK_SECONDS = 90 };

struct forking_malloc forking_malloc = {malloc, realloc, free};

static unsigned char *shared[SHARED];

static size_t shared_size(size_t i)
{
    return i % 12 == 0 ? 50000 + i * 40000 : 1 + i * 71;
}

static size_t any_size(uint64_t *random)
{
    size_t limit =
        (size_t)16 << (random_below(random, 16) ? random_below(random, 13) : 17); /* 64 KiB; 2 MiB at times */
    return 1 + random_below(random, limit);
}

void forking_work(uint64_t seed, int rounds)
{
    unsigned char *blocks[SLOTS] = {NULL};
    size_t sizes[SLOTS] = {0};
    for (int i = 0; i < rounds; i++) {
        size_t at = random_below(&seed, SLOTS), size = any_size(&seed);
        CHECK(!blocks[at] || (blocks[at][0] == at && blocks[at][sizes[at] - 1] == at));
        if (random_below(&seed, 4) == 0) {
            blocks[at] = forking_malloc.resize(blocks[at], size);
        } else {
            forking_malloc.give(blocks[at]);
            blocks[at] = forking_malloc.take(size);
        }
        CHECK(blocks[at]);
        sizes[at] = size;
        blocks[at][0] = blocks[at][size - 1] = (unsigned char)at;
    }
    for (size_t i = 0; i < SLOTS; i++)
        forking_malloc.give(blocks[i]);
}

void forking_share(void)
{
    for (size_t i = 0; i < SHARED; i++) {
        shared[i] = forking_malloc.take(shared_size(i));
        CHECK(shared[i]);
        pattern_fill(shared[i], shared_size(i), i);
    }
}

static void *child_thread(void *argument)
{
    forking_work((uint64_t)(uintptr_t)argument, 60);
    return NULL;
}

void forking_child(int number)
{
    check_watchdog(CHILD_SECONDS);
    forking_work((uint64_t)number, 60);
    for (size_t i = 0; i < SHARED && shared[i]; i++) {
        CHECK(pattern_check(shared[i], shared_size(i), i) == shared_size(i));
        forking_malloc.give(shared[i]);
    }
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, child_thread, (void *)(uintptr_t)number) == 0);
    forking_work((uint64_t)number + 1, 60);
    CHECK(pthread_join(thread, NULL) == 0);
    _exit(0);
}

void forking_wait(pid_t pid, int number)
{
    CHECKF(pid > 0, "child %d: errno %d", number, errno);
    int status;
    while (waitpid(pid, &status, 0) == -1)
        CHECK(errno == EINTR);
    CHECKF(status == 0, "child %d ended with wait status %#x", number, status);
}

void forking_once(int number)
{
    check_watchdog(FORK_SECONDS);
    pid_t pid = fork();
    if (pid == 0)
        forking_child(number);
    forking_work((uint64_t)number, 20);
    forking_wait(pid, number);
}
