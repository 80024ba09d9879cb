/* SPDX-License-Identifier: MIT
 *
 * usage: raw_clone ROUNDS
 *
 * A program of one thread makes children by the system call clone, as programs do that make namespaces: no fork handler
 * runs. Each child allocates. No lock of ours may be held at that moment, so no other thread may exist.
 */
#include "check.h"
#include "needs.h"
#include "pattern.h"
#include "proc.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 40, SMALL = 40000, LARGE = 300 };

static char *small[SMALL], *large[LARGE];

static size_t large_size(size_t i)
{
    return 40000 + i * 3000;
}

static void burst(void)
{
    for (size_t i = 0; i < SMALL; i++) {
        CHECK((small[i] = malloc(1000)));
        small[i][0] = 1;
    }
    for (size_t i = 0; i < LARGE; i++) {
        CHECK((large[i] = malloc(large_size(i))));
        memset(large[i], 1, large_size(i));
    }
    for (size_t i = 0; i < SMALL; i++)
        free(small[i]);
    for (size_t i = 0; i < LARGE; i++)
        free(large[i]);
}

static void child(void)
{
    check_alarm(60); /* a hang ends by SIGALRM */
    for (size_t i = 0; i < 200; i++) {
        char *block = malloc(1000 + i * 500);
        if (block == NULL)
            _exit(2);
        block[0] = 1;
        if (i % 3 != 0)
            free(block);
    }
    _exit(0);
}

int main(int count, char **arguments)
{
    check_watchdog(100);
    CHECK(count == 2);
    need_own_memory();
    for (int round = 0; round < atoi(arguments[1]); round++) {
        burst();
        for (int i = 0; i < (int)check_fewer(CHILDREN); i++) {
            CHECK(proc_threads() == 1);
            pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
            CHECK(pid >= 0);
            if (pid == 0)
                child();
            int status;
            while (waitpid(pid, &status, 0) == -1)
                CHECK(errno == EINTR);
            CHECKF(status == 0, "child %d of round %d ended with wait status %#x", i, round, status);
            proc_sleep_ms(10);
        }
    }
    return 0;
}
