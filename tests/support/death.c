/* SPDX-License-Identifier: MIT */
#include "death.h"

#include "check.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void child(int write_end, void (*body)(void *), void *context)
{
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    dup2(write_end, STDERR_FILENO);
    close(write_end);
    check_alarm(20);
    body(context);
    _exit(0);
}

/* qemu-user writes a line of its own where a signal ends the program, which has not said that. */
static size_t without_emulators_line(char *text, size_t used)
{
    text[used] = '\0';
    char *line = strstr(text, "qemu: uncaught target signal ");
    return line != NULL ? (size_t)(line - text) : used;
}

void death_run(struct death *death, void (*body)(void *), void *context)
{
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        child(ends[1], body, context);
    }
    close(ends[1]);

    size_t used = 0;
    char rest[512];
    for (;;) {
        size_t room = sizeof(death->text) - 1 - used;
        ssize_t n = room ? read(ends[0], death->text + used, room) : read(ends[0], rest, sizeof(rest));
        if (n == -1 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        used += room ? (size_t)n : 0;
    }
    close(ends[0]);
    used = without_emulators_line(death->text, used);
    death->text[used] = '\0';
    death->lines = used && death->text[used - 1] != '\n';
    for (size_t i = 0; i < used; i++)
        death->lines += death->text[i] == '\n';
    while (waitpid(pid, &death->status, 0) == -1)
        CHECK(errno == EINTR);
}

const char *death_describe(const struct death *death)
{
    static char text[64];
    if (WIFSIGNALED(death->status))
        snprintf(text, sizeof(text), "signal %d", WTERMSIG(death->status));
    else
        snprintf(text, sizeof(text), "exit status %d", WEXITSTATUS(death->status));
    return text;
}
