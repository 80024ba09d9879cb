/* SPDX-License-Identifier: MIT
 *
 * A seccomp filter that refuses every system call an allocator can do without (madvise, mremap, getrandom, rseq,
 * membarrier, prctl, mincore, the NUMA calls) from before the program's start: blocks work as ever. And processes
 * whose filter refuses, from the middle of their lives on, one of the calls that it needs: malloc may be NULL then, and
 * that is all. And one in which the system says that it has given pages back, and has not.
 */
#include "check.h"
#include "needs.h"
#include "filter.h"
#include "pattern.h"
#include "proc.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const long refused[] = {SYS_madvise, SYS_mremap, SYS_getrandom,     SYS_membarrier,    SYS_prctl, SYS_mincore,
                               SYS_mbind,   SYS_getcpu, SYS_get_mempolicy, SYS_set_mempolicy, SYS_mlock, SYS_munlock,
                               SYS_sysinfo, 334 /* rseq on x86-64 */};
enum { REFUSED = sizeof(refused) / sizeof(refused[0]) };

static void *use_everything(void *argument)
{
    enum { SLOTS = 400 };
    static _Thread_local unsigned char *blocks[SLOTS];
    static _Thread_local size_t sizes[SLOTS];
    uint64_t random = (uint64_t)(uintptr_t)argument;
    for (int i = 0; i < 8000; i++) {
        size_t slot = random_below(&random, SLOTS);
        CHECK(!blocks[slot] || pattern_check(blocks[slot], sizes[slot], slot) == sizes[slot]);
        size_t size = 1 + random_below(&random, (size_t)1 << (4 + random_below(&random, i % 100 ? 12 : 20)));
        if (i % 3) {
            free(blocks[slot]);
            blocks[slot] = i % 2 ? malloc(size) : calloc(1, size);
            CHECK(blocks[slot] && (i % 2 || pattern_nonzero(blocks[slot], size) == size));
        } else {
            blocks[slot] = realloc(blocks[slot], size);
            CHECK(blocks[slot]);
        }
        sizes[slot] = size;
        pattern_fill(blocks[slot], size, slot);
    }
    for (size_t i = 0; i < SLOTS; i++)
        free(blocks[i]);
    return NULL;
}

/* As use_everything, where a block need not be had. */
static void use_what_is_there(void)
{
    enum { SLOTS = 400 };
    static unsigned char *blocks[SLOTS];
    static size_t sizes[SLOTS];
    uint64_t random = 9;
    for (int i = 0; i < 3000; i++) {
        size_t slot = random_below(&random, SLOTS), size = 1 + random_below(&random, i % 50 ? 5000 : 2 * MIB);
        unsigned char *block = blocks[slot];
        CHECK(!block || pattern_check(block, sizes[slot], slot) == sizes[slot]);
        errno = 0;
        unsigned char *resized = i % 3 ? NULL : realloc(block, size);
        if (i % 3 == 0 && !resized) {
            CHECK(errno == ENOMEM);
            continue; /* and the block is as it was */
        }
        if (i % 3) {
            free(block);
            CHECK(errno == 0);
            resized = i % 3 == 1 ? malloc(size) : aligned_alloc(256, size);
            CHECK(resized || errno == ENOMEM);
        }
        blocks[slot] = resized;
        sizes[slot] = size;
        if (resized)
            pattern_fill(resized, size, slot);
    }
    for (size_t i = 0; i < SLOTS; i++)
        free(blocks[i]);
    malloc_trim(0);
}

static void refuse_later(long call, int error)
{
    int status = -1;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        check_watchdog(60);
        free(malloc(100));
        filter_refuse(&call, 1, error);
        use_what_is_there();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECKF(status == 0, "system call %ld refused with errno %d: status 0x%x", call, error, (unsigned)status);
}

static void refuse_each_later(void)
{
    static const long needed[] = {SYS_mmap, SYS_munmap, SYS_mprotect, SYS_madvise, SYS_mremap, SYS_futex};
    static const int errors[] = {EPERM, ENOSYS, ENOMEM};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        for (size_t j = 0; j < sizeof errors / sizeof errors[0]; j++)
            refuse_later(needed[i], errors[j]);
    }
}

static void fill_and_free(unsigned char **blocks, size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        blocks[i] = malloc(size);
        CHECK(blocks[i]);
        memset(blocks[i], 0xab, size);
    }
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
}

/* As emulators of processes do, for which this advice is only a hint. */
static void give_back_in_vain(void)
{
    static const size_t sizes[] = {64, 2000, 20000, 100000, MIB, 20 * MIB, 40 * MIB};
    enum { SLOTS = 20000 };
    static unsigned char *blocks[SLOTS];
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = sizes[i / 2], count = 40 * MIB / size < SLOTS ? 40 * MIB / size : SLOTS;
        fill_and_free(blocks, count, size);
        malloc_trim(0);
        for (size_t k = 0; k < count; k++) {
            blocks[k] = calloc(1, size);
            CHECK(blocks[k] && pattern_nonzero(blocks[k], size) == size);
        }
        for (size_t k = 0; k < count; k++)
            free(blocks[k]);
    }
}

static void say_that_it_was_done(void)
{
    int status = -1;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        static const long call = SYS_madvise;
        check_watchdog(60);
        filter_refuse(&call, 1, 0);
        give_back_in_vain();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECKF(status == 0, "madvise in vain: status 0x%x", (unsigned)status);
}

int main(int count, char **arguments)
{
    if (count == 1) {
        need_filters();
        say_that_it_was_done();
        refuse_each_later();
        filter_refuse(refused, REFUSED, EPERM);
        execl("/proc/self/exe", arguments[0], "filtered", (char *)NULL);
        check_failed(__FILE__, __LINE__, "exec: errno %d", errno);
    }
    check_watchdog(60);
    CHECKF(syscall(SYS_madvise, &count, 0, 0) == -1 && errno == EPERM, "the filter is not there");
    use_everything(NULL);
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++)
        CHECK(pthread_create(&threads[i], NULL, use_everything, (void *)(uintptr_t)(i + 1)) == 0);
    for (size_t i = 0; i < 3; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);

    /* A huge block that cannot be remapped is copied. */
    unsigned char *huge = malloc(34 * MIB);
    CHECK(huge);
    pattern_fill(huge, 34 * MIB, 5);
    huge = realloc(huge, 200 * MIB);
    CHECK(huge && pattern_check(huge, 34 * MIB, 5) == 34 * MIB);
    huge = realloc(huge, 2 * MIB);
    CHECK(huge && pattern_check(huge, 2 * MIB, 5) == 2 * MIB);
    free(huge);
    malloc_trim(0);
    unsigned char *zeroed = calloc(1, 10 * MIB);
    CHECK(zeroed && pattern_nonzero(zeroed, 10 * MIB) == 10 * MIB);
    free(zeroed);
    return 0;
}
