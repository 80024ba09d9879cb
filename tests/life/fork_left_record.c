/* SPDX-License-Identifier: MIT
 *
 * A thread with a large front stays behind in the parent of a fork. In the child a new thread takes over its record,
 * and finds nothing of what it was doing: it allocates and frees every size, large blocks first, and a class that it
 * has never allocated is freed first.
 */
#include "check.h"
#include "pattern.h"
#include "proc.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LARGE = 300, SIZES = 600, ROUNDS = 30 };

static pthread_barrier_t both;
static void *parents[SIZES]; /* of every size, allocated by the thread that forks */

static size_t size_of(size_t i)
{
    return 1 + i * 55; /* to 32 KiB */
}

/* Leaves bins of all classes with much room, and blocks in them. */
static void *stay_behind(void *argument)
{
    static void *blocks[LARGE];
    (void)argument;
    for (size_t size = 32768; size >= 16; size /= 2) {
        for (int round = 0; round < 4; round++) {
            for (size_t i = 0; i < LARGE; i++)
                CHECK((blocks[i] = malloc(size)) != NULL);
            for (size_t i = size >= 16384 && round == 3 ? LARGE / 2 : 0; i < LARGE; i++)
                free(blocks[i]);
        }
    }
    pthread_barrier_wait(&both);
    for (;;)
        pause();
    return NULL;
}

static void *take_over(void *argument)
{
    void *blocks[SIZES];
    (void)argument;
    for (size_t i = SIZES; i-- > 0;) {
        if (i % 3 == 0)
            free(parents[i]);
        blocks[i] = malloc(size_of(i));
        CHECK(blocks[i] != NULL);
        pattern_fill(blocks[i], size_of(i), i);
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = round % 2; i < SIZES; i += 2) {
            CHECK(pattern_check(blocks[i], size_of(i), i) == size_of(i));
            free(blocks[i]);
            CHECK((blocks[i] = malloc(size_of(i))) != NULL);
            pattern_fill(blocks[i], size_of(i), i);
        }
    }
    for (size_t i = 0; i < SIZES; i++)
        free(blocks[i]);
    return NULL;
}

int main(void)
{
    check_watchdog(50);
    CHECK(pthread_barrier_init(&both, NULL, 2) == 0);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, stay_behind, NULL) == 0);
    for (size_t i = 0; i < SIZES; i++)
        CHECK((parents[i] = malloc(size_of(i))) != NULL);
    pthread_barrier_wait(&both);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        check_alarm(30);
        void *blocks[2000];
        for (int i = 0; i < 2000; i++) /* refills, and with the first the heap that stayed behind is taken over */
            CHECK((blocks[i] = malloc(200)) != NULL);
        pthread_t other;
        CHECK(pthread_create(&other, NULL, take_over, NULL) == 0);
        CHECK(pthread_join(other, NULL) == 0);
        for (int i = 0; i < 2000; i++)
            free(blocks[i]);
        _exit(0);
    }
    int status;
    while (waitpid(pid, &status, 0) == -1)
        CHECK(errno == EINTR);
    CHECKF(status == 0, "the child ended with wait status %#x", status);
    return 0;
}
