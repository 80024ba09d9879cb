/* SPDX-License-Identifier: MIT */
#include "proc.h"

#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECKF(fd >= 0, "cannot open %s: errno %d", path, errno);
    size_t used = 0;
    for (ssize_t n; used < size - 1 && (n = read(fd, text + used, size - 1 - used)) > 0;)
        used += (size_t)n;
    text[used] = '\0';
    close(fd);
}

static void status_text(pid_t pid, char *text, size_t size)
{
    char path[64] = "/proc/self/status";
    if (pid)
        snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
    read_file(path, text, size);
}

size_t proc_status_bytes(pid_t pid, const char *key)
{
    char text[8192];
    status_text(pid, text, sizeof(text));
    const char *line = strstr(text, key);
    CHECKF(line, "no %s in /proc status", key);
    return (size_t)strtoull(line + strlen(key), NULL, 10) * KIB;
}

size_t proc_rss(void)
{
    return proc_status_bytes(0, "VmRSS:");
}

unsigned proc_threads(void)
{
    char text[8192];
    status_text(0, text, sizeof(text));
    const char *line = strstr(text, "Threads:");
    CHECK(line);
    return (unsigned)strtoul(line + strlen("Threads:"), NULL, 10);
}

unsigned proc_descriptors(void)
{
    /* getdents64 by hand: opendir would allocate. */
    struct entry {
        uint64_t inode;
        int64_t offset;
        unsigned short length;
        unsigned char type;
        char name[];
    };
    _Alignas(8) char buffer[4096];
    int fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0);
    unsigned count = 0;
    for (long n; (n = syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0;) {
        for (long at = 0; at < n;) {
            struct entry *entry = (struct entry *)(buffer + at);
            count += entry->name[0] != '.';
            at += entry->length;
        }
    }
    close(fd);
    return count - 1;
}

long proc_faults(void)
{
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    return usage.ru_minflt;
}

bool proc_maps_contain(const char *text)
{
    /* Read in pieces; the last bytes of a piece are kept so that a match may straddle two. */
    char buffer[8192];
    size_t keep = strlen(text), used = 0;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    bool found = false;
    for (ssize_t n; !found && (n = read(fd, buffer + used, sizeof(buffer) - 1 - used)) > 0;) {
        used += (size_t)n;
        buffer[used] = '\0';
        found = strstr(buffer, text) != NULL;
        if (used > keep) {
            memmove(buffer, buffer + used - keep, keep);
            used = keep;
        }
    }
    close(fd);
    return found;
}

void proc_sleep_ms(unsigned ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) == -1 && errno == EINTR) {
    }
}
