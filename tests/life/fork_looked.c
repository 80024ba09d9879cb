/* SPDX-License-Identifier: MIT
 *
 * A fork while another thread looks something up: it holds locks, and no fork waits for it, since it changes nothing.
 * In the child, which does not have that thread, these locks are free. Linked with the library, for its locks.
 */
#include "check.h"
#include "proc.h"

#include "large/huge.h"
#include "box/pool.h"
#include "pages/meta.h"
#include "pages/ss_arena.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOCKS = 4, CHILD_SECONDS = 60 };

static struct hk_lock *locks[LOCKS];
static sem_t holds;

static void *look_for_ever(void *arg)
{
    for (unsigned i = 0; i < LOCKS; i++)
        CHECK(hk_try_lock(locks[i]));
    sem_post(&holds);
    for (;;)
        pause();
    return arg;
}

static void use_everything(void)
{
    static void *blocks[100];
    for (size_t size = 16; size <= 64 * MIB; size *= 2) {
        for (unsigned i = 0; i < 100 && i * size <= 64 * MIB; i++)
            CHECK((blocks[i] = malloc(size)) != NULL);
        for (unsigned i = 0; i < 100 && i * size <= 64 * MIB; i++)
            free(blocks[i]);
    }
}

int main(void)
{
    check_watchdog(60);
    locks[0] = hk_pool_lock();
    locks[1] = hk_arena_lock();
    locks[2] = hk_huge_lock();
    locks[3] = hk_meta_lock();
    pthread_t thread;
    CHECK(sem_init(&holds, 0, 0) == 0);
    CHECK(pthread_create(&thread, NULL, look_for_ever, NULL) == 0);
    CHECK(sem_wait(&holds) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        check_alarm(CHILD_SECONDS);
        for (unsigned i = 0; i < LOCKS; i++)
            CHECKF(hk_load_relaxed(&locks[i]->word) == 0, "lock %u is held in the child", i);
        use_everything();
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECKF(status == 0, "the child ended with wait status %#x", status);
    _exit(0); /* at exit statistics and pictures would wait for the locks */
}
