/* SPDX-License-Identifier: MIT
 *
 * posix_spawn and vfork from threads that allocate meanwhile.
 */
#include "check.h"
#include "needs.h"
#include "pattern.h"

#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, EACH = 50 };

extern char **environ;

static void wait_for(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) == -1)
        CHECK(errno == EINTR);
    CHECKF(status == 0, "the child ended with wait status %#x", status);
}

/* A function of its own: what a vfork child may share with its parent is then plain. */
__attribute__((noinline)) static pid_t vfork_once(void)
{
    pid_t pid = vfork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(0);
    return pid;
}

static void *thread_body(void *argument)
{
    uint64_t random = (uint64_t)(uintptr_t)argument;
    char *words[] = {(char *)"true", NULL};
    for (int i = 0; i < (int)check_fewer(EACH); i++) {
        unsigned char *blocks[50];
        for (int k = 0; k < 50; k++) {
            blocks[k] = malloc(1 + random_below(&random, 4000));
            CHECK(blocks[k]);
            blocks[k][0] = (unsigned char)k;
        }
        pid_t pid;
        CHECK(posix_spawnp(&pid, "true", NULL, NULL, words, environ) == 0);
        wait_for(pid);
        wait_for(vfork_once());
        for (int k = 0; k < 50; k++) {
            CHECK(blocks[k][0] == k);
            free(blocks[k]);
        }
    }
    return NULL;
}

int main(void)
{
    check_watchdog(100);
    need_own_memory(); /* else its locks are held by other threads that fork */
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, thread_body, (void *)(uintptr_t)i) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    return 0;
}
