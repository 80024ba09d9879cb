/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "base/bits.h"
#include "os/thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_SECONDS 50

void unit_failed(const char *what, const char *file, int line)
{
    char text[512];
    int n = snprintf(text, sizeof text, "%s:%d: not true: %s\n", file, line, what);
    if (write(2, text, (size_t)n) != n)
        _exit(2);
    _exit(1);
}

static unsigned number_of(const char *name)
{
    const char *text = getenv(name);
    return text != NULL && atoi(text) > 0 ? (unsigned)atoi(text) : 1;
}

unsigned unit_slowness(void)
{
    return number_of("TEST_SLOWNESS");
}

unsigned unit_stride(void)
{
    return number_of("TEST_STRIDE");
}

void unit_needs(const char *lack)
{
    if (lack == NULL)
        return;
    print_message("skipped: %s\n", lack);
    skip();
}

static void collect(struct unit_child *child, int fd)
{
    char rest[256];
    ssize_t n;
    child->length = 0;
    do {
        size_t room = sizeof child->text - 1 - child->length;
        n = room > 0 ? read(fd, child->text + child->length, room) : read(fd, rest, sizeof rest);
        child->length += n > 0 && room > 0 ? (size_t)n : 0;
    } while (n > 0);
    child->text[child->length] = 0;
    char *line = strstr(child->text, "qemu: uncaught target signal "); /* not the program's word */
    if (line != NULL) {
        *line = 0;
        child->length = (size_t)(line - child->text);
    }
}

void unit_run(struct unit_child *child, void (*body)(void *), void *arg)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL); /* cmocka has taken it */
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        dup2(fds[1], 2);
        close(fds[0]);
        close(fds[1]);
        alarm(CHILD_SECONDS * unit_slowness());
        body(arg);
        _exit(0);
    }
    close(fds[1]);
    collect(child, fds[0]);
    close(fds[0]);
    assert_int_equal(waitpid(pid, &child->status, 0), pid);
}

pid_t unit_fork(void)
{
    pid_t pid = fork();
    if (pid == 0)
        alarm(CHILD_SECONDS * unit_slowness());
    return pid;
}

static void show(const struct unit_child *child)
{
    print_error("%s", child->text);
    fail_msg("the child ended with status 0x%x", (unsigned)child->status);
}

int unit_status(void (*body)(void *), void *arg)
{
    struct unit_child child;
    unit_run(&child, body, arg);
    if (!WIFEXITED(child.status) || WEXITSTATUS(child.status) == 1)
        show(&child);
    return WEXITSTATUS(child.status);
}

void unit_passes(void (*body)(void *), void *arg)
{
    struct unit_child child;
    unit_run(&child, body, arg);
    if (child.status != 0)
        show(&child);
}

void unit_in_threads(unsigned n, void *(*body)(void *))
{
    pthread_t threads[16];
    EXPECT(n <= sizeof threads / sizeof *threads);
    for (uintptr_t i = 0; i < n; i++)
        EXPECT(pthread_create(&threads[i], NULL, body, (void *)(i + 1)) == 0);
    for (unsigned i = 0; i < n; i++)
        EXPECT(pthread_join(threads[i], NULL) == 0);
}

static void *do_nothing(void *arg)
{
    return arg;
}

void unit_second_thread(void)
{
    unit_in_threads(1, do_nothing);
    EXPECT(!hk_single_threaded());
}

#define FILL_FIRST ((size_t)16384)
#define FILL_STEP ((size_t)262144)
#define FILL_END ((size_t)64)

static bool is_all(const unsigned char *ptr, size_t size, unsigned char mark)
{
    return size == 0 || (ptr[0] == mark && memcmp(ptr, ptr + 1, size - 1) == 0);
}

void unit_fill(void *ptr, size_t size, unsigned char mark)
{
    unsigned char *bytes = ptr;
    size_t end = size < FILL_END ? size : FILL_END;
    memset(bytes, mark, size < FILL_FIRST ? size : FILL_FIRST);
    for (size_t at = FILL_STEP; at <= size; at += FILL_STEP)
        memset(bytes + at - FILL_END, mark, FILL_END);
    memset(bytes + size - end, mark, end);
}

bool unit_is_filled(const void *ptr, size_t size, size_t filled, unsigned char mark)
{
    const unsigned char *bytes = ptr;
    size_t end = size < filled ? 0 : size < FILL_END ? size : FILL_END;
    bool all = is_all(bytes, size < FILL_FIRST ? size : FILL_FIRST, mark) && is_all(bytes + size - end, end, mark);
    for (size_t at = FILL_STEP; at <= size && all; at += FILL_STEP)
        all = is_all(bytes + at - FILL_END, FILL_END, mark);
    return all;
}

/* A page that is not there has never been written, or not since it was given back: to read it would only make one. */
bool unit_is_zero(const void *ptr, size_t size)
{
    enum { PAGE = 4096, AT_ONCE = 512 };
    const unsigned char *at = ptr, *end = at + size;
    while (at < end) {
        unsigned char there[AT_ONCE];
        const unsigned char *page = (const unsigned char *)((uintptr_t)at & ~(uintptr_t)(PAGE - 1));
        size_t pages = hk_min((size_t)(end - page + PAGE - 1) / PAGE, AT_ONCE);
        if (mincore((void *)(uintptr_t)page, pages * PAGE, there) != 0)
            memset(there, 1, sizeof there);
        for (size_t i = 0; i < pages; i++, page += PAGE) {
            const unsigned char *next = page + PAGE < end ? page + PAGE : end;
            if ((there[i] & 1) != 0 && !is_all(at, (size_t)(next - at), 0))
                return false;
            at = next;
        }
    }
    return true;
}
