/* SPDX-License-Identifier: MIT */
#include "api/report_file.h"

#include "base/options.h"
#include "os/file.h"
#include "os/os.h"

static void expand(char *to, size_t size, const char *from, unsigned number)
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
    expand(expanded, sizeof expanded, path, number);
    return hk_file_create(expanded);
}
