/* SPDX-License-Identifier: MIT
 *
 * Starts one program, with LD_PRELOAD set for that program only, and reports what it used. The peak RSS that wait4
 * gives includes the process that the program was forked from; this one is small and linked statically, so it never
 * shows. The kernel counts resident pages per processor and adds them up in portions of 32, and what a program leaves
 * behind on another processor is not in its peak: so programs start where the benchmarks pin their first thread.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
    "usage: launch [--preload LIBRARIES] [--fd NUMBER] [--] COMMAND [ARG...]\n\n"
    "Runs COMMAND and writes one line about it to descriptor NUMBER (default 2):\n"
    "status, signal, wall_us, user_us, sys_us, max_rss_kib, minor_faults, major_faults.\n"
    "LD_PRELOAD is LIBRARIES for COMMAND, or not set. Ends with COMMAND's exit status, 128 + its signal, or 127.\n";

static int64_t micros(struct timeval time)
{
    return (int64_t)time.tv_sec * 1000000 + time.tv_usec;
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* Moves to the first processor allowed; the others stay allowed. A refusal costs exactness only. */
static void move_to_first(void)
{
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &all)) {
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            if (sched_setaffinity(0, sizeof one, &one) == 0)
                sched_setaffinity(0, sizeof all, &all);
            return;
        }
    }
}

int main(int argc, char **argv)
{
    const char *preload = NULL;
    int fd = 2, at = 1;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        if (strcmp(argv[at], "--help") == 0)
            return dprintf(1, "%s", help) < 0;
        if (strcmp(argv[at], "--preload") == 0 && at + 1 < argc)
            preload = argv[at + 1];
        else if (strcmp(argv[at], "--fd") == 0 && at + 1 < argc)
            fd = atoi(argv[at + 1]);
        else
            at = argc;
    }
    if (at >= argc || (fd > 2 && fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)) {
        dprintf(2, "%s", help);
        return 2;
    }
    int64_t start = now();
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        /* whoever ends the launcher ends the program too */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || (preload != NULL ? setenv("LD_PRELOAD", preload, 1) : unsetenv("LD_PRELOAD")) != 0)
            _exit(127);
        move_to_first();
        execvp(argv[at], argv + at);
        dprintf(2, "launch: %s: %s\n", argv[at], strerror(errno));
        _exit(127);
    }
    int status;
    struct rusage usage;
    if (child < 0 || wait4(child, &status, 0, &usage) != child) {
        dprintf(2, "launch: %s\n", strerror(errno));
        return 127;
    }
    int64_t wall = now() - start;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0, signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    dprintf(fd,
            "status=%d signal=%d wall_us=%lld user_us=%lld sys_us=%lld max_rss_kib=%ld minor_faults=%ld "
            "major_faults=%ld\n",
            code, signal, (long long)wall, (long long)micros(usage.ru_utime), (long long)micros(usage.ru_stime),
            usage.ru_maxrss, usage.ru_minflt, usage.ru_majflt);
    return signal != 0 ? 128 + signal : code;
}
