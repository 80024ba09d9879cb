/* SPDX-License-Identifier: MIT */
#include "api/report_file.h"

#include "base/fmt.h"
#include "base/options.h"
#include "front/front.h"
#include "hakmem/hakmem.h"
#include "os/file.h"
#include "os/os.h"

#include <errno.h>

bool hk_report_may_wait(void)
{
    if (!hk_gate_is_inside(hk_front_pass(hk_front_thread())))
        return true;
    errno = EPERM;
    return false;
}

static void expand_name(char *to, size_t size, const char *from, unsigned number)
{
    char digits[24];
    size_t used = 0;
    for (; *from != 0 && used + sizeof digits < size; from++) {
        if (from[0] != '%' || (from[1] != 'p' && from[1] != 'n')) {
            to[used++] = *from;
            continue;
        }
        unsigned n = 0;
        unsigned long value = from[1] == 'p' ? (unsigned long)hk_os_pid() : number;
        do
            digits[n++] = (char)('0' + value % 10);
        while ((value /= 10) != 0);
        while (n > 0)
            to[used++] = digits[--n];
        from++;
    }
    to[used] = 0;
}

void hk_report_open(struct hk_report_file *file, const char *path, unsigned number)
{
    expand_name(file->name, sizeof file->name, path, number);
    file->fd = hk_file_create(file->name);
}

/* What libc's strerror says, without its locks and its languages. */
static const char *words_of(int error)
{
    static const struct {
        int error;
        char words[26];
    } known[] = {
        {ENOENT, "no such file or directory"},
        {EACCES, "permission denied"},
        {EPERM, "operation not permitted"},
        {ENOTDIR, "not a directory"},
        {EISDIR, "is a directory"},
        {EROFS, "read-only file system"},
        {ENOSPC, "no space left"},
        {EDQUOT, "quota exceeded"},
        {EMFILE, "too many open files"},
        {ENFILE, "too many open files"},
        {ELOOP, "too many links"},
        {ENAMETOOLONG, "name too long"},
        {ETXTBSY, "it is being executed"},
    };
    for (size_t i = 0; i < HK_COUNT(known); i++) {
        if (known[i].error == error)
            return known[i].words;
    }
    return "the system refused";
}

void hk_report_close(struct hk_report_file *file, bool written, const char *option)
{
    struct hk_fmt f;
    if (file->fd >= 0)
        hk_file_close(file->fd);
    if (file->fd >= 0 && written)
        return;
    hk_fmt_start(&f, 2);
    hk_fmt(&f, "hakmem: %s: %s cannot be written: ", option, file->name);
    if (file->fd >= 0)
        hk_fmt(&f, "a write failed\n");
    else
        hk_fmt(&f, "%s (%d)\n", words_of(-file->fd), -file->fd);
    hk_fmt_end(&f);
}

static void print_line(int fd, const char *what)
{
    struct hk_fmt f;
    hk_fmt_start(&f, fd);
    hk_fmt(&f, "hakmem: %s\n", what);
    hk_fmt_end(&f);
}

void hk_report_json(const char *path)
{
    struct hk_report_file file;
    hk_report_open(&file, path, 1);
    bool written = file.fd >= 0 && hak_stats_json(file.fd) == 0;
    hk_report_close(&file, written, "HAKMEM_STATS=json");
}

void hk_report_none(int fd)
{
    print_line(fd, "no statistics: the program ended in a signal handler that interrupted malloc");
}
