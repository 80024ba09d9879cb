/* SPDX-License-Identifier: MIT
 *
 * hak_stats and its like in a library built with -Dstats=disabled.
 */
#include "hakmem/hakmem.h"

#include <errno.h>

static int refuse_statistics(void)
{
    errno = ENOTSUP;
    return -1;
}

int hak_stats(struct hak_stats *stats)
{
    return refuse_statistics();
}

int hak_stats_classes(struct hak_class_stats *classes, size_t size, size_t count)
{
    return refuse_statistics();
}

int hak_stats_print(int fd)
{
    return refuse_statistics();
}

int hak_stats_json(int fd)
{
    return refuse_statistics();
}
