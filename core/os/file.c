/* SPDX-License-Identifier: MIT */
#include "os/file.h"

#include "base/sys.h"

#include <fcntl.h>

bool hk_file_text(const char *path, char *text, size_t size)
{
    long fd = hk_sys4(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0);
    if (hk_sys_failed(fd))
        return false;
    long n = hk_sys3(SYS_read, fd, (long)text, (long)size - 1);
    hk_sys1(SYS_close, fd);
    text[n > 0 ? n : 0] = 0;
    return n > 0;
}

size_t hk_file_number(const char *text)
{
    size_t n = 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (size_t)(*text - '0'), &n))
            return SIZE_MAX;
    }
    return n;
}

int hk_file_create(const char *path)
{
    return (int)hk_sys4(SYS_openat, AT_FDCWD, (long)path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
}

int hk_file_copy(int fd, int least)
{
    return (int)hk_sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, least);
}

void hk_file_close(int fd)
{
    hk_sys1(SYS_close, fd);
}
