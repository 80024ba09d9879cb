/* SPDX-License-Identifier: MIT */
#include "needs.h"

#include "check.h"
#include "filter.h"
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROBE "HAK_TEST_PROBE_OF_EXECUTION" /* in the environment of a program that is to end at once */

static int status_of(int (*child)(void))
{
    int status = -1;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(child());
    while (waitpid(pid, &status, 0) == -1)
        CHECK(errno == EINTR);
    return status;
}

static int map_beyond_limit(void)
{
    struct rlimit limit = {64 * MIB, 64 * MIB};
    if (setrlimit(RLIMIT_AS, &limit) != 0)
        return 1;
    return mmap(NULL, GIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? 0 : 1;
}

const char *lacks_address_limit(void)
{
    return status_of(map_beyond_limit) == 0 ? NULL : "RLIMIT_AS is not felt here";
}

/* The length of the mapping that a line of /proc/self/maps begins with. */
static size_t length_of(const char *line)
{
    char *end;
    unsigned long from = strtoul(line, &end, 16);
    return *end == '-' ? strtoul(end + 1, NULL, 16) - from : 0;
}

static size_t bytes_of_maps(void)
{
    static char text[16384];
    size_t used = 0, sum = 0;
    int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0);
    for (ssize_t n; (n = read(file, text + used, sizeof text - 1 - used)) > 0;) {
        char *line = text, *end;
        text[used += (size_t)n] = 0;
        for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
            *end = 0;
            sum += strstr(line, "[vsyscall]") == NULL ? length_of(line) : 0; /* which is not counted as size */
        }
        used = strlen(line);
        memmove(text, line, used);
    }
    close(file);
    CHECK(sum > 0);
    return sum;
}

const char *lacks_own_memory(void)
{
    size_t size = proc_status_bytes(0, "VmSize:"), shown = bytes_of_maps();
    return size <= shown + 32 * MIB ? NULL : "an emulator is in the process, with memory, threads and locks of its own";
}

__attribute__((constructor(101))) static void end_if_probe(void)
{
    if (getenv(PROBE) != NULL)
        _exit(0);
}

static int execute_self(void)
{
    char name[] = "probe", variable[] = PROBE "=1", *words[] = {name, NULL}, *environment[] = {variable, NULL};
    execve("/proc/self/exe", words, environment);
    return 1;
}

const char *lacks_execution(void)
{
    return status_of(execute_self) == 0 ? NULL : "a program of this kind cannot be executed: nobody emulates it then";
}

const char *lacks_exact_places(void)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    void *place = mmap(NULL, 4096, PROT_NONE, flags, -1, 0);
    CHECK(place != MAP_FAILED);
    void *again = mmap(place, 4096, PROT_NONE, flags | MAP_FIXED_NOREPLACE, -1, 0);
    if (again != MAP_FAILED && again != place)
        munmap(again, 4096);
    munmap(place, 4096);
    return again == MAP_FAILED ? NULL : "the system does not know MAP_FIXED_NOREPLACE";
}

static int refuse_one(void)
{
    static const long call = SYS_getcpu;
    filter_refuse(&call, 1, EPERM); /* or says why not */
    return 0;
}

void need_filters(void)
{
    if (status_of(refuse_one) != 0)
        _exit(TEST_SKIPPED);
}

static void need(const char *lack)
{
    if (lack != NULL)
        check_skip("%s", lack);
}

void need_address_limit(void)
{
    need(lacks_address_limit());
}

bool memory_is_own(void)
{
    const char *lack = lacks_own_memory();
    if (lack != NULL)
        check_note("memory is not looked at: %s", lack);
    return lack == NULL;
}

void need_own_memory(void)
{
    need(lacks_own_memory());
}

static int be_traced(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 1;
}

void need_tracing(void)
{
    need(status_of(be_traced) == 0 ? NULL : "no process can be traced here: other threads cannot be stopped");
}

void need_execution(void)
{
    need(lacks_execution());
}
