/* SPDX-License-Identifier: MIT
 *
 * `hakmem-trace record`: becomes COMMAND with the recorder preloaded, and leaves a process that writes the trace
 * (write.c). That process was there before COMMAND and has a session of its own; COMMAND is no parent of it and gets no
 * child, file or signal that it does not know.
 */
#define _GNU_SOURCE

#include "trace.h"
#include "write.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* As many chunks as a sixteenth of the program's address space has room for, where that is limited. */
static uint32_t chunks_at_most(void)
{
    struct rlimit limit;
    uint32_t chunks = RING_CHUNKS_MOST;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return chunks;
    while (chunks > RING_CHUNKS_LEAST && (uint64_t)chunks * sizeof(struct ring_chunk) > limit.rlim_cur / 16)
        chunks /= 2;
    return chunks;
}

/* The size of files may be limited too: then there are fewer chunks. */
static int make_ring(struct write_task *task, const char *only)
{
    struct sigaction ignored = {.sa_handler = SIG_IGN}, before;
    int file = (int)syscall(SYS_memfd_create, "hakmem-record", 1 /* MFD_CLOEXEC */);
    if (file < 0)
        trace_die("the shared memory cannot be made: %s", strerror(errno));
    if (strlen(only) >= sizeof(task->ring->only))
        trace_die("record: the name %s is too long", only);
    sigaction(SIGXFSZ, &ignored, &before);
    for (uint32_t chunks = chunks_at_most(); chunks >= RING_CHUNKS_LEAST; chunks /= 2) {
        size_t size = sizeof(struct ring) + (size_t)chunks * sizeof(struct ring_chunk);
        struct ring *ring = ftruncate(file, (off_t)size) == 0
                                ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
                                : MAP_FAILED;
        if (ring == MAP_FAILED)
            continue;
        ring->magic = RING_MAGIC;
        ring->chunks = chunks;
        strcpy(ring->only, only);
        sigaction(SIGXFSZ, &before, NULL);
        task->ring = ring;
        task->chunks = chunks;
        return file;
    }
    trace_die("record: there is no room for the memory that is shared with the writer: %s", strerror(errno));
}

static int make_trace(const char *path, char **command)
{
    struct trace_header header = {.magic = TRACE_MAGIC, .pid = (uint32_t)getpid(), .seconds = (uint64_t)time(NULL)};
    size_t length = 0;
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0)
        trace_die("%s cannot be written: %s", path, strerror(errno));
    if (flock(file, LOCK_EX | LOCK_NB) != 0)
        trace_die("%s is being written by another recording, or read", path);
    for (char **word = command; *word != NULL && length < TRACE_COMMAND; word++) {
        length +=
            (size_t)snprintf(header.command + length, TRACE_COMMAND - length, "%s%s", length != 0 ? " " : "", *word);
    }
    if (ftruncate(file, 0) != 0 || write(file, &header, sizeof(header)) != (ssize_t)sizeof(header))
        trace_die("%s cannot be written: %s", path, strerror(errno));
    return file;
}

/* Of COMMAND's files the writer has stderr alone: a pipe ends when COMMAND does. */
static void leave_files(const struct write_task *task)
{
    unsigned low = (unsigned)(task->file < task->ring_file ? task->file : task->ring_file);
    unsigned high = (unsigned)(task->file < task->ring_file ? task->ring_file : task->file);
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nothing >= 0) {
        dup2(nothing, 0);
        dup2(nothing, 1);
    }
    if (low > 3)
        syscall(SYS_close_range, 3U, low - 1, 0U); /* since Linux 5.9 */
    if (high > low + 1)
        syscall(SYS_close_range, low + 1, high - 1, 0U);
    syscall(SYS_close_range, high + 1, ~0U, 0U);
}

/* Runs in the child: makes the writer and ends, so that it is nobody's child. */
static void make_writer(struct write_task *task, int told)
{
    setsid();
    pid_t writer = fork();
    if (writer != 0) {
        if (writer < 0)
            writer = -errno;
        _exit(write(told, &writer, sizeof(writer)) == (ssize_t)sizeof(writer) ? 0 : 1);
    }
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    leave_files(task);
    write_trace(task);
    _exit(0);
}

/* The process id of the writer. */
static pid_t start_writer(struct write_task *task)
{
    int pipes[2];
    pid_t writer = 0;
    if (pipe2(pipes, O_CLOEXEC) != 0)
        trace_die("record: no pipe: %s", strerror(errno));
    pid_t child = fork();
    if (child == 0)
        make_writer(task, pipes[1]);
    close(pipes[1]);
    if (child < 0 || read(pipes[0], &writer, sizeof(writer)) != (ssize_t)sizeof(writer) || writer < 0)
        trace_die("record: the process that writes the trace cannot be started: %s",
                  strerror(writer < 0 ? -writer : errno));
    close(pipes[0]);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue;
    return writer;
}

/* FILE NAME PRELOAD COMMAND [ARG...]; NAME may be empty. The standard descriptors are open. */
int trace_record(char **words)
{
    char text[64];
    struct write_task task = {.path = words[0], .parent = getpid(), .only = words[1]};
    char **command = words + 3;
    task.ring_file = make_ring(&task, words[1]);
    task.file = make_trace(words[0], command);
    pid_t writer = start_writer(&task);
    struct stat status;
    if (fstat(task.ring_file, &status) != 0)
        trace_die("record: the shared memory cannot be looked at: %s", strerror(errno));
    snprintf(text, sizeof(text), "/proc/%d/fd/%d:%llu", (int)writer, task.ring_file, (unsigned long long)status.st_ino);
    if (setenv(RING_VARIABLE, text, 1) != 0 || setenv("LD_PRELOAD", words[2], 1) != 0)
        trace_die("record: no memory");
    execvp(command[0], command);
    int saved = errno;
    fprintf(stderr, "hakmem: %s: %s\n", command[0], strerror(saved));
    return saved == ENOENT ? 127 : 126;
}
