/* SPDX-License-Identifier: MIT
 *
 * Run with HAKMEM_PURGE_THREAD=1: after a burst that thread is giving memory back. Forks, and calls that signal every
 * thread (setuid), go on meanwhile; children allocate, start threads and make a burst of their own, and have such a
 * thread too.
 */
#include "check.h"
#include "needs.h"
#include "pattern.h"
#include "proc.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS = 80000, SIZE = 1000 };

static void *blocks[BLOCKS];

static void burst(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        blocks[i] = malloc(SIZE);
        CHECK(blocks[i]);
        memset(blocks[i], 1, SIZE);
    }
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
}

static void *small_work(void *argument)
{
    for (size_t i = 1; i < 500; i++)
        free(malloc(i * 100));
    return argument;
}

static void child(int number)
{
    check_alarm(30);
    CHECK(proc_threads() == 2);
    small_work(NULL);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, small_work, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    if (number % 20 == 0)
        burst(BLOCKS / 5);
    exit(0);
}

int main(void)
{
    check_watchdog(150);
    need_own_memory();
    CHECKF(proc_threads() == 2, "there is no thread: this test wants HAKMEM_PURGE_THREAD=1");
    for (int round = 0; round < 2; round++) {
        burst(BLOCKS);
        for (int i = 0; i < (int)check_fewer(100); i++) {
            pid_t pid = fork();
            CHECK(pid >= 0);
            if (pid == 0)
                child(i);
            CHECK(setuid(getuid()) == 0);
            int status;
            while (waitpid(pid, &status, 0) == -1)
                CHECK(errno == EINTR);
            CHECKF(status == 0, "child %d ended with wait status %#x", i, status);
            proc_sleep_ms(10);
        }
    }
    return 0;
}
