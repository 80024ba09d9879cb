/* SPDX-License-Identifier: MIT */
#include "api/report_file.h"

#include "base/fmt.h"
#include "base/options.h"
#include "hakmem/hakmem.h"
#include "os/file.h"
#include "os/os.h"

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

int hk_report_open(const char *path, unsigned number)
{
    char expanded[HK_TEXT_BYTES + 64];
    expand_name(expanded, sizeof expanded, path, number);
    return hk_file_create(expanded);
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
    int fd = hk_report_open(path, 1);
    if (fd < 0 || hak_stats_json(fd) != 0)
        print_line(2, "HAKMEM_STATS=json: the file cannot be written");
    if (fd >= 0)
        hk_file_close(fd);
}

void hk_report_none(int fd)
{
    print_line(fd, "no statistics: the program ended in a signal handler that interrupted malloc");
}
