/* SPDX-License-Identifier: MIT */
#include "os/os.h"

#include "base/atomic.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint64_t calls; /* relaxed: a statistic */

/* syscall() and not mmap(): another preloaded library may have replaced that, and allocate in it. */
static void *map(size_t size, int protection)
{
    hk_add_relaxed(&calls, 1);
    long p = syscall(SYS_mmap, NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == -1 ? NULL : (void *)p;
}

static bool advise(void *ptr, size_t size, int advice)
{
    hk_add_relaxed(&calls, 1);
    return syscall(SYS_madvise, ptr, size, advice) == 0;
}

size_t hk_os_page_size(void)
{
    static _Atomic size_t page; /* relaxed: whoever writes it writes the same */
    size_t size = hk_load_relaxed(&page);
    if (size == 0) {
        size = getauxval(AT_PAGESZ);
        size = size ? size : 4096;
        hk_store_relaxed(&page, size);
    }
    return size;
}

void *hk_os_reserve(size_t size)
{
    return map(size, PROT_NONE);
}

void *hk_os_reserve_readable(size_t size)
{
    return map(size, PROT_READ);
}

void *hk_os_map(size_t size)
{
    hk_add_relaxed(&calls, 1);
    long p = syscall(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == -1 ? NULL : (void *)p;
}

bool hk_os_commit(void *ptr, size_t size)
{
    hk_add_relaxed(&calls, 1);
    return syscall(SYS_mprotect, ptr, size, PROT_READ | PROT_WRITE) == 0;
}

bool hk_os_purge(void *ptr, size_t size)
{
    return advise(ptr, size, MADV_DONTNEED);
}

bool hk_os_unmap(void *ptr, size_t size)
{
    hk_add_relaxed(&calls, 1);
    return syscall(SYS_munmap, ptr, size) == 0;
}

void *hk_os_remap(void *ptr, size_t old_size, size_t new_size)
{
    hk_add_relaxed(&calls, 1);
    long p = syscall(SYS_mremap, ptr, old_size, new_size, MREMAP_MAYMOVE, NULL);
    return p == -1 ? NULL : (void *)p;
}

void hk_os_hint_no_huge(void *ptr, size_t size)
{
    advise(ptr, size, MADV_NOHUGEPAGE);
}

/* The first `size` - 1 bytes of a small file as a string; false when it cannot be read. */
static bool read_file(const char *path, char *text, size_t size)
{
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    long n = syscall(SYS_read, fd, text, size - 1);
    syscall(SYS_close, fd);
    text[n > 0 ? n : 0] = 0;
    return n > 0;
}

size_t hk_os_resident(void *ptr, size_t size)
{
    unsigned char present[1024];
    size_t page = hk_os_page_size(), total = 0;
    for (size_t done = 0; done < size; done += sizeof present * page) {
        size_t part = hk_min(size - done, sizeof present * page);
        if (syscall(SYS_mincore, (char *)ptr + done, part, present) != 0)
            continue;
        for (size_t i = 0; i < part / page; i++)
            total += (present[i] & 1) * page;
    }
    return total;
}

uint32_t hk_os_now_ms(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_MONOTONIC_COARSE, &t) != 0)
        return 0;
    return (uint32_t)((uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000);
}

size_t hk_os_address_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return SIZE_MAX;
    return (size_t)limit.rlim_cur;
}

static size_t read_limit(const char *path)
{
    char text[64];
    if (!read_file(path, text, sizeof text) || text[0] < '0' || text[0] > '9')
        return SIZE_MAX; /* not there, or "max" */
    return strtoull(text, NULL, 10);
}

size_t hk_os_cgroup_limit(void)
{
    char text[1024], path[1100];
    size_t limit = read_limit("/sys/fs/cgroup/memory.max");
    limit = hk_min(limit, read_limit("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
    if (!read_file("/proc/self/cgroup", text, sizeof text))
        return limit;
    char *own = strstr(text, "0::/"); /* version 2: one hierarchy */
    if (own == NULL)
        return limit;
    own += 3;
    own[strcspn(own, "\n")] = 0;
    strcpy(path, "/sys/fs/cgroup");
    strcat(path, own);
    strcat(path, "/memory.max");
    return hk_min(limit, read_limit(path));
}

uint64_t hk_os_calls(void)
{
    return hk_load_relaxed(&calls);
}

void hk_os_count_call(void)
{
    hk_add_relaxed(&calls, 1);
}
