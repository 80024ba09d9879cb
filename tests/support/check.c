/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    _exit(1);
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

static void on_alarm(int signal_number)
{
    static const char text[] = "watchdog: the program hangs\n";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)ignored;
    signal(signal_number, SIG_DFL);
    raise(signal_number);
    _exit(1); /* where the signal is blocked until the handler returns */
}

void check_watchdog(unsigned seconds)
{
    signal(SIGALRM, on_alarm);
    alarm(seconds);
}
