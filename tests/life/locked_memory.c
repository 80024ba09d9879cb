/* SPDX-License-Identifier: MIT
 *
 * locked_memory WHEN [user]: mlockall(MCL_CURRENT | MCL_FUTURE), WHEN before the first allocation or after it. What the
 * allocator maps ahead is filled at once then, so it must not be much. With `user` it is an ordinary user, who may lock
 * 8 MiB, and has as many blocks as with glibc: where a whole unit is too much, pages serve.
 */
#include "check.h"
#include "needs.h"
#include "pattern.h"
#include "proc.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { NOBODY = 65534 };

static int lock_error, is_user;
static size_t rss_before;

static void become_a_user(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || (geteuid() != 0 && limit.rlim_max < 8 * MIB))
        lock_error = EPERM;
    limit.rlim_cur = limit.rlim_max = 8 * MIB;
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || (geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)))
        lock_error = errno;
}

static void lock(void)
{
    if (!lock_error && mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        lock_error = errno ? errno : EPERM;
    rss_before = proc_rss();
}

/* Before anything that could allocate. */
static void lock_first(int count, char **arguments, char **environment)
{
    (void)environment;
    is_user = count == 3 && strcmp(arguments[2], "user") == 0;
    if (is_user)
        become_a_user();
    else if (geteuid() != 0)
        lock_error = EPERM;
    if (count > 1 && strcmp(arguments[1], "before") == 0)
        lock();
}

__attribute__((section(".preinit_array"), used)) static void (*first)(int, char **, char **) = lock_first;

/* A slab for each size, and all of a unit that has one, is locked. */
static size_t size_of(size_t i)
{
    if (is_user)
        return 1000;
    return i % 100 == 0 ? 30000 : 16 + i % 900;
}

int main(int count, char **arguments)
{
    CHECK(count > 1 && first == lock_first);
    check_watchdog(60);
    if (strcmp(arguments[1], "after") == 0) {
        free(malloc(100));
        lock();
        if (lock_error == ENOMEM)
            need_own_memory();
        CHECKF(lock_error != ENOMEM && lock_error != EAGAIN, "mlockall: errno %d with %zu KiB", lock_error,
               proc_status_bytes(0, "VmSize:") / KIB);
    }
    if (lock_error)
        check_skip("mlockall is not allowed (errno %d)", lock_error);
    enum { BLOCKS = 3000, OF_USER = 4096 };
    static void *blocks[OF_USER];
    size_t bytes = 0, number = is_user ? OF_USER : BLOCKS;
    for (size_t i = 0; i < number; i++) {
        size_t size = size_of(i);
        blocks[i] = calloc(1, size);
        CHECKF(blocks[i], "%zu bytes are refused after %zu KiB, %zu KiB are mapped", size, bytes / KIB,
               proc_status_bytes(0, "VmSize:") / KIB);
        CHECK(pattern_nonzero(blocks[i], size) == size);
        memset(blocks[i], 1, size);
        bytes += size;
    }
    size_t grown = proc_rss() - rss_before;
    check_note("%zu KiB of blocks cost %zu KiB", bytes / KIB, grown / KIB);
    CHECK(grown <= (is_user ? 8 : 32) * MIB);
    for (size_t i = 0; i < number; i++)
        free(blocks[i]);
    /* The purge fails on locked pages; they must not be taken for zero. */
    number /= is_user ? 4 : 1;
    for (size_t i = 0; i < number; i++) {
        blocks[i] = calloc(1, 3000);
        CHECK(blocks[i] && pattern_nonzero(blocks[i], 3000) == 3000);
        memset(blocks[i], 1, 3000);
    }
    for (size_t i = 0; i < number; i++)
        free(blocks[i]);
    return 0;
}
