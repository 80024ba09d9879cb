/* SPDX-License-Identifier: MIT
 *
 * A seccomp filter that refuses every system call an allocator can do without (madvise, mremap, getrandom, rseq,
 * membarrier, prctl, mincore, the NUMA calls) from before the program's start: blocks work as ever.
 */
#include "check.h"
#include "pattern.h"
#include "proc.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const long refused[] = {SYS_madvise, SYS_mremap, SYS_getrandom,     SYS_membarrier,    SYS_prctl, SYS_mincore,
                               SYS_mbind,   SYS_getcpu, SYS_get_mempolicy, SYS_set_mempolicy, SYS_mlock, SYS_munlock,
                               SYS_sysinfo, 334 /* rseq on x86-64 */};
enum { REFUSED = sizeof(refused) / sizeof(refused[0]) };

static void install(void)
{
    struct sock_filter filter[2 * REFUSED + 2];
    size_t n = 0;
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < REFUSED; i++) {
        filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)refused[i], 0, 1);
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    }
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = (unsigned short)n, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        check_skip("seccomp is not permitted here (errno %d)", errno);
}

static void *use_everything(void *argument)
{
    enum { SLOTS = 400 };
    static _Thread_local unsigned char *blocks[SLOTS];
    static _Thread_local size_t sizes[SLOTS];
    uint64_t random = (uint64_t)(uintptr_t)argument;
    for (int i = 0; i < 20000; i++) {
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

int main(int count, char **arguments)
{
    if (count == 1) {
        install();
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
    unsigned char *huge = malloc(48 * MIB);
    CHECK(huge);
    pattern_fill(huge, 48 * MIB, 5);
    huge = realloc(huge, 200 * MIB);
    CHECK(huge && pattern_check(huge, 48 * MIB, 5) == 48 * MIB);
    huge = realloc(huge, 2 * MIB);
    CHECK(huge && pattern_check(huge, 2 * MIB, 5) == 2 * MIB);
    free(huge);
    malloc_trim(0);
    unsigned char *zeroed = calloc(1, 10 * MIB);
    CHECK(zeroed && pattern_nonzero(zeroed, 10 * MIB) == 10 * MIB);
    free(zeroed);
    return 0;
}
