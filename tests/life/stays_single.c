/* SPDX-License-Identifier: MIT
 *
 * stays_single [MIB]: a program of one thread stays one, whatever it allocates and frees: some system calls refuse a
 * process with threads. First many small and larger blocks in turn, then bursts of MIB MiB (1024) of small and of large
 * blocks.
 */
#include "check.h"
#include "needs.h"
#include "pattern.h"
#include "proc.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SLOTS = 1000, OPERATIONS = 300000 };

static void churn(void)
{
    static void *blocks[SLOTS];
    uint64_t random = 1;
    for (int i = 0; i < (int)check_fewer(OPERATIONS); i++) {
        size_t slot = random_below(&random, SLOTS);
        free(blocks[slot]);
        blocks[slot] = malloc(1 + random_below(&random, i % 100 ? 1000 : 60000));
        CHECK(blocks[slot]);
        if (i % 10000 == 0)
            CHECK(proc_threads() == 1);
    }
    for (int i = 0; i < SLOTS; i++)
        free(blocks[i]);
}

static void burst(size_t total, size_t size)
{
    size_t count = total / size;
    void **blocks = mmap(NULL, count * sizeof(*blocks), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(blocks != MAP_FAILED);
    for (size_t i = 0; i < count; i++) {
        blocks[i] = malloc(size);
        CHECK(blocks[i]);
        memset(blocks[i], 1, size);
    }
    CHECK(proc_threads() == 1);
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
    CHECK(proc_threads() == 1);
    munmap(blocks, count * sizeof(*blocks));
}

/* EPERM and the like only say that this machine does not let us; EINVAL, that there is a thread. In a child of its own
 * each: a process can do so once. */
static void unshare_in_child(int flags)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        burst(32 * MIB, 1000);
        burst(32 * MIB, 300000);
        int failed = unshare(flags) == -1 ? errno : 0;
        _exit(failed == EINVAL ? 1 : failed == 0 ? 0 : 2);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    CHECK(WEXITSTATUS(status) != 1);
    if (WEXITSTATUS(status) == 2)
        check_note("unshare(%#x) is not permitted here", flags);
}

int main(int argument_count, char **arguments)
{
    size_t total = (argument_count > 1 ? strtoull(arguments[1], NULL, 10) : 1024) * MIB;
    check_watchdog(170);
    need_own_memory();
    churn();
    burst(total, 1000);
    burst(total, 300000);
    for (int i = 0; i < 30; i++) {
        CHECK(proc_threads() == 1);
        proc_sleep_ms(50);
    }
    unshare_in_child(CLONE_THREAD);
    unshare_in_child(CLONE_NEWUSER);
    return 0;
}
