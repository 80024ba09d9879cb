/* SPDX-License-Identifier: MIT */
#include "os/whole_file.h"

#include "base/bits.h"
#include "base/sys.h"
#include "os/file.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

int hk_file_open(const char *path)
{
    return (int)hk_sys4(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0);
}

size_t hk_file_read(int fd, void *bytes, size_t size)
{
    long n;
    do
        n = hk_sys3(SYS_read, fd, (long)bytes, (long)size);
    while (n == -EINTR);
    return n > 0 ? (size_t)n : 0;
}

bool hk_file_write(int fd, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        long n = hk_sys3(SYS_write, fd, (long)((const char *)bytes + done), (long)(size - done));
        if (n > 0)
            done += (size_t)n;
        else if (n != -EINTR)
            return false;
    }
    return true;
}

const void *hk_file_map(const char *path, size_t *size)
{
    int fd = hk_file_open(path);
    if (fd < 0)
        return NULL;
    long end = hk_sys3(SYS_lseek, fd, 0, SEEK_END);
    long p = end > 0 ? hk_sys6(SYS_mmap, 0, end, PROT_READ, MAP_PRIVATE, fd, 0) : -1;
    hk_file_close(fd);
    *size = end > 0 ? (size_t)end : 0;
    return hk_sys_failed(p) ? NULL : (const void *)p;
}

void hk_file_unmap(const void *bytes, size_t size)
{
    hk_sys2(SYS_munmap, (long)bytes, (long)size);
}

void hk_file_let_go(const void *bytes, size_t size)
{
    uintptr_t from = hk_align_up((uintptr_t)bytes, hk_os_page_size()), end = (uintptr_t)bytes + size;
    end = hk_align_down(end, hk_os_page_size());
    if (from < end)
        hk_sys3(SYS_madvise, (long)from, (long)(end - from), MADV_DONTNEED);
}
