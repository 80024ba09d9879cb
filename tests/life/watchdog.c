/* SPDX-License-Identifier: MIT
 *
 * The watchdog of these tests, on a child of fork that waits for ever in two threads: it ends with status 1, and on
 * stderr are the stacks of both.
 */
#include "check.h"
#include "needs.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char text[1 << 20];

static void *wait_for_ever(void *argument)
{
    for (;;)
        pause();
    return argument;
}

static void child(int fd)
{
    pthread_t thread;
    dup2(fd, STDERR_FILENO);
    check_watchdog(1);
    CHECK(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
    wait_for_ever(NULL);
}

static size_t count(const char *part)
{
    size_t found = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        found++;
    return found;
}

int main(void)
{
    int ends[2];
    need_own_memory();
    CHECK(pipe(ends) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        child(ends[1]);
    close(ends[1]);
    size_t used = 0;
    for (ssize_t n; (n = read(ends[0], text + used, sizeof(text) - 1 - used)) != 0;) {
        CHECK(n > 0 || errno == EINTR);
        used += n > 0 ? (size_t)n : 0;
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECKF(WIFEXITED(status) && WEXITSTATUS(status) == 1, "wait status %#x", status);
    CHECKF(strstr(text, "watchdog: the program hangs") && count("---- stacks of process") == 1, "%s", text);
    CHECKF(count("\nThread ") == 2 || !strstr(text, "\n#0 "), "no two threads: %.900s", text);
    return 0;
}
