/* SPDX-License-Identifier: MIT
 *
 * A program that calls hakmem: prints its version, and whether malloc is hakmem's ("replaced") or not ("beside"). */
#include <hakmem/hakmem.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT 1000

static size_t live_blocks(void)
{
    struct hak_stats stats = {.size = sizeof stats};
    return hak_stats(&stats) == 0 ? stats.live_blocks : 0;
}

int main(void)
{
    static void *volatile blocks[COUNT]; /* volatile: a compiler may leave out blocks that nobody looks at */
    void *own = hak_malloc(100);
    size_t before = live_blocks();
    for (int i = 0; i < COUNT; i++)
        blocks[i] = malloc(100);
    size_t more = live_blocks() - before;
    for (int i = 0; i < COUNT; i++)
        free(blocks[i]);
    hak_free(own);
    if (own == NULL || before == 0 || (more != 0 && more < COUNT))
        return 1;
    printf("%s %s\n", hak_version(), more == 0 ? "beside" : "replaced");
    return 0;
}
