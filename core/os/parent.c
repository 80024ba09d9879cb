/* SPDX-License-Identifier: MIT */
#include "os/parent.h"

#include "base/sys.h"

#include <fcntl.h>

#define NOT_THIS SIZE_MAX

bool hk_environ_has(const char *path, const char *entry)
{
    char text[512];
    size_t same = 0; /* so many letters of the entry that is being read agree; NOT_THIS: it is another */
    bool found = false;
    long n, fd = hk_sys4(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0);
    if (hk_sys_failed(fd))
        return false;
    while (!found && (n = hk_sys3(SYS_read, fd, (long)text, sizeof text)) > 0) {
        for (long i = 0; i < n && !found; i++) {
            found = text[i] == 0 && same != NOT_THIS && entry[same] == 0;
            if (text[i] == 0)
                same = 0;
            else
                same = same != NOT_THIS && entry[same] == text[i] ? same + 1 : NOT_THIS;
        }
    }
    hk_sys1(SYS_close, fd);
    return found;
}

#define BEGIN "/proc/"
#define END "/environ"

bool hk_parent_began_with(const char *entry)
{
    char path[sizeof BEGIN + sizeof END + 12] = BEGIN;
    char digits[12];
    size_t at = sizeof BEGIN - 1, n = 0;
    unsigned parent = (unsigned)hk_sys0(SYS_getppid); /* 0: of another namespace, and there is no such file */
    do
        digits[n++] = (char)('0' + parent % 10);
    while ((parent /= 10) != 0);
    while (n > 0)
        path[at++] = digits[--n];
    __builtin_memcpy(path + at, END, sizeof END);
    return hk_environ_has(path, entry);
}
