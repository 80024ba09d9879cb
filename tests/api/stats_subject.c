/* SPDX-License-Identifier: MIT
 *
 * stats_subject [PART]: ends with 40 MiB of live blocks of three sizes, or the PARTth part of it; prints its process
 * id. For stats_report.py.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void keep(size_t total, size_t size)
{
    static void *volatile last;
    for (size_t i = 0; i < total / size; i++) {
        last = malloc(size);
        if (!last)
            exit(1);
        memset(last, 1, size);
    }
}

int main(int count, char **arguments)
{
    size_t part = count > 1 ? strtoul(arguments[1], NULL, 10) : 1;
    keep(((size_t)10 << 20) / part, 64);
    keep(((size_t)10 << 20) / part, 4096);
    keep(((size_t)20 << 20) / part, (size_t)1 << 20);
    printf("%ld\n", (long)getpid());
    return 0;
}
