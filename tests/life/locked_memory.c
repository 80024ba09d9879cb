/* SPDX-License-Identifier: MIT
 *
 * mlockall(MCL_CURRENT | MCL_FUTURE) before the first allocation: what the allocator reserves must not be filled.
 */
#include "check.h"
#include "pattern.h"
#include "proc.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int lock_error;
static size_t rss_before;

__attribute__((constructor(101))) static void lock_first(void)
{
    if (geteuid() != 0 || mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        lock_error = errno ? errno : EPERM;
    rss_before = proc_rss();
}

int main(void)
{
    check_watchdog(60);
    if (lock_error)
        check_skip("mlockall needs root (errno %d)", lock_error);
    enum { BLOCKS = 3000 };
    static void *blocks[BLOCKS];
    size_t bytes = 0;
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t size = i % 100 == 0 ? 30000 : 16 + i % 900;
        blocks[i] = calloc(1, size);
        CHECK(blocks[i]);
        CHECK(pattern_nonzero(blocks[i], size) == size);
        memset(blocks[i], 1, size);
        bytes += size;
    }
    size_t grown = proc_rss() - rss_before;
    check_note("%zu KiB of blocks cost %zu KiB", bytes / KIB, grown / KIB);
    CHECK(grown <= 32 * MIB);
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    /* The purge fails on locked pages; they must not be taken for zero. */
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = calloc(1, 3000);
        CHECK(blocks[i] && pattern_nonzero(blocks[i], 3000) == 3000);
        memset(blocks[i], 1, 3000);
    }
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    return 0;
}
