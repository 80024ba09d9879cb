/* SPDX-License-Identifier: MIT
 *
 * fork_helpers THREADS: a program that has threads of ours, and so many threads altogether. A child of fork has them
 * too; but where a signal handler interrupts malloc and forks, the child has no thread but its own: it takes many calls
 * to start one, of malloc first of all. A filter makes a signal of each madvise, which malloc makes where it gets more
 * memory, and refuses it.
 */
#include "check.h"
#include "needs.h"
#include "filter.h"
#include "proc.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORKS = 4, CHILD_SECONDS = 20 };

static volatile sig_atomic_t forks;

static void fork_and_count(unsigned threads)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        check_alarm(CHILD_SECONDS);
        CHECKF(proc_threads() == threads, "the child has %u threads", proc_threads());
        free(malloc(100));
        _exit(0);
    }
    int status;
    while (waitpid(pid, &status, 0) == -1)
        CHECK(errno == EINTR);
    CHECKF(status == 0, "the child ended with wait status %#x", status);
}

static void in_malloc(int number)
{
    (void)number;
    int saved = errno;
    if (forks++ < FORKS)
        fork_and_count(1);
    errno = saved;
}

int main(int count, char **arguments)
{
    check_watchdog(60);
    CHECK(count == 2);
    need_own_memory();
    unsigned threads = (unsigned)atoi(arguments[1]);
    CHECKF(proc_threads() == threads, "there are %u threads", proc_threads());
    fork_and_count(threads);

    static const long calls[] = {SYS_madvise};
    filter_forbid(calls, 1);
    struct sigaction action = {.sa_handler = in_malloc};
    CHECK(sigaction(SIGSYS, &action, NULL) == 0);
    for (int i = 0; i < 1000 && forks < FORKS; i++) {
        char *block = malloc((size_t)3 * MIB);
        if (block != NULL)
            block[0] = 1;
    }
    CHECK(forks >= FORKS);
    _exit(0); /* a thread that ends gives its stack back by madvise, with signals blocked */
}
