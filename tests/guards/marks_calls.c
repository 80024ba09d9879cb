/* SPDX-License-Identifier: MIT
 *
 * Marks that stand in the output of strace, as writes to no file. What it prints without them is counted as a whole.
 */
#include "marks.h"

#include <unistd.h>

static void put(const char *text, size_t size)
{
    if (write(-1, text, size) == (ssize_t)size)
        _exit(1);
}

void mark_begin(void)
{
    put("begin", 5);
}

void mark_end(void)
{
    put("end", 3);
}

void mark_all(void)
{
}

void mark_show(void)
{
}
