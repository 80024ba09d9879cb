/* SPDX-License-Identifier: MIT
 *
 * A single-threaded program with a small heap stays single-threaded: some system calls refuse a process with threads.
 */
#include "check.h"
#include "pattern.h"
#include "proc.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

enum { SLOTS = 1000, OPERATIONS = 300000 };

int main(void)
{
    check_watchdog(60);
    static void *blocks[SLOTS];
    uint64_t random = 1;
    for (int i = 0; i < OPERATIONS; i++) {
        size_t slot = random_below(&random, SLOTS);
        free(blocks[slot]);
        blocks[slot] = malloc(1 + random_below(&random, i % 100 ? 1000 : 60000));
        CHECK(blocks[slot]);
        if (i % 10000 == 0)
            CHECK(proc_threads() == 1);
    }
    for (int i = 0; i < SLOTS; i++)
        free(blocks[i]);
    for (int i = 0; i < 30; i++) {
        CHECK(proc_threads() == 1);
        proc_sleep_ms(50);
    }
    /* EPERM and the like only say that this machine does not let us. */
    if (unshare(CLONE_NEWUSER) == -1)
        check_note("unshare: errno %d", errno);
    return 0;
}
