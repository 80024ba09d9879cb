/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static bool aborts;

static void print_line(int fd, const char *head, const char *format, va_list args)
{
    char text[1024];
    size_t used = (size_t)snprintf(text, sizeof(text), "%s", head);
    vsnprintf(text + used, sizeof(text) - used - 1, format, args);
    strcat(text, "\n");
    ssize_t ignored = write(fd, text, strlen(text));
    (void)ignored;
}

void check_failed(const char *file, int line, const char *format, ...)
{
    char head[256];
    snprintf(head, sizeof(head), "%s:%d: ", file, line);
    va_list args;
    va_start(args, format);
    print_line(STDERR_FILENO, head, format, args);
    va_end(args);
    if (aborts)
        abort();
    _exit(1);
}

void check_opened(const void *library, const char *error)
{
    if (library != NULL)
        return;
    if (strstr(error, "initial-exec TLS") != NULL)
        check_skip("%s", error);
    check_failed(__FILE__, __LINE__, "%s", error);
}

void check_aborts(void)
{
    aborts = true;
}

void check_skip(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_line(STDOUT_FILENO, "skipped: ", format, args);
    va_end(args);
    _exit(TEST_SKIPPED);
}

void check_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_line(STDOUT_FILENO, "", format, args);
    va_end(args);
}

/* Any thread may have been interrupted anywhere, so: no fork handlers, no malloc. */
static void print_own_stacks(void)
{
    char pid[16];
    const char *const words[] = {"env", "python3", CHECK_STANDSTILL, "--stacks", pid, NULL};
    const char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL}; /* without LD_PRELOAD */
    snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    pid_t child = vfork();
    if (child == 0) {
        execve("/usr/bin/env", (char **)words, (char **)environment);
        _exit(127);
    }
    if (child > 0)
        waitpid(child, NULL, 0);
}

static void on_alarm(int signal_number)
{
    (void)signal_number;
    static const char text[] = "watchdog: the program hangs\n";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)ignored;
    print_own_stacks();
    _exit(1);
}

/* How many times as long as here things take, on emulated machines. Else 1. */
static unsigned slowness(void)
{
    const char *text = getenv("TEST_SLOWNESS");
    return text != NULL && atoi(text) > 0 ? (unsigned)atoi(text) : 1;
}

void check_alarm(unsigned seconds)
{
    alarm(seconds * slowness());
}

void check_watchdog(unsigned seconds)
{
    signal(SIGALRM, on_alarm);
    check_alarm(seconds);
}

size_t check_fewer(size_t n)
{
    return n > slowness() ? n / slowness() : 1;
}
