/* SPDX-License-Identifier: MIT
 *
 * Children that are made without fork's handlers.
 *
 *   fork_raw clone ROUNDS    a program of one thread with much to give back makes children by the system call
 *                            clone(SIGCHLD), as systemd and lxc do; they allocate. The C library's own malloc allows
 *                            it: there is no other thread that could hold a lock.
 *   fork_raw leave CHILDREN  _Fork (glibc 2.34), vfork and posix_spawn while threads allocate; the children only leave.
 */
#include "check.h"
#include "forking.h"
#include "pattern.h"
#include "proc.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CHILDREN = 60, SMALL = 40000, LARGE = 200, WORKING = 4 };

extern char **environ;
static atomic_bool stop;

static void burst(void)
{
    static char *small[SMALL], *large[LARGE];
    for (size_t i = 0; i < SMALL; i++) {
        small[i] = malloc(1000);
        CHECK(small[i]);
        memset(small[i], 1, 1000);
    }
    for (size_t i = 0; i < LARGE; i++) {
        large[i] = malloc(40000 + i * 3000);
        CHECK(large[i]);
        memset(large[i], 1, 40000 + i * 3000);
    }
    for (size_t i = 0; i < SMALL; i++)
        free(small[i]);
    for (size_t i = 0; i < LARGE; i++)
        free(large[i]);
}

static void allocate_and_leave(void)
{
    check_watchdog(20);
    for (size_t i = 0; i < 200; i++) {
        char *block = malloc(1000 + i * 500);
        CHECK(block);
        block[0] = 1;
        if (i % 3)
            free(block);
    }
    _exit(0);
}

/* Whatever gives the memory back has 20 ms between two children, so it is met at any place of its work. */
static void clone_children(int rounds)
{
    for (int round = 0; round < rounds; round++) {
        check_watchdog(90);
        burst();
        for (int i = 0; i < (int)check_fewer(CHILDREN); i++) {
            pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
            if (pid == 0)
                allocate_and_leave();
            forking_wait(pid, i);
            uint64_t random = (uint64_t)(round * CHILDREN + i);
            proc_sleep_ms((unsigned)random_below(&random, 30));
        }
    }
}

static void *work(void *argument)
{
    for (uint64_t seed = (uint64_t)(uintptr_t)argument; !stop; seed++)
        forking_work(seed, 500);
    return NULL;
}

__attribute__((noinline)) static pid_t vfork_once(void)
{
    pid_t pid = vfork();
    if (pid == 0) {
        execlp("true", "true", NULL);
        _exit(127);
    }
    return pid;
}

static pid_t bare_fork(void)
{
    static pid_t (*call)(void);
    if (!call) {
        void *address = dlsym(RTLD_DEFAULT, "_Fork");
        if (!address)
            return vfork_once();
        memcpy(&call, &address, sizeof(address));
    }
    pid_t pid = call();
    if (pid == 0)
        _exit(0);
    return pid;
}

static pid_t spawn_once(void)
{
    pid_t pid;
    char name[] = "true", *const words[] = {name, NULL};
    CHECK(posix_spawnp(&pid, "true", NULL, NULL, words, environ) == 0);
    return pid;
}

static void leave_at_once(int children)
{
    pthread_t threads[WORKING];
    for (uintptr_t i = 0; i < WORKING; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    children = (int)check_fewer((size_t)children);
    for (int i = 0; i < children; i++) {
        check_watchdog(90);
        forking_wait(i % 3 == 0 ? vfork_once() : i % 3 == 1 ? spawn_once() : bare_fork(), i);
        forking_work((uint64_t)i, 50);
    }
    stop = true;
    for (int i = 0; i < WORKING; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

int main(int count, char **arguments)
{
    CHECK(count == 3);
    if (!strcmp(arguments[1], "clone"))
        clone_children(atoi(arguments[2]));
    else
        leave_at_once(atoi(arguments[2]));
    return 0;
}
