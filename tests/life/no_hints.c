/* SPDX-License-Identifier: MIT
 *
 * A system that puts a mapping where it likes, whatever address is asked for, unless that is asked for as the only one
 * (kernels that place all at random do, and some tracers): memory is had all the same, by several threads, and in a
 * child. Here a tracer takes the address out of each such call of mmap.
 */
#include "check.h"
#include "needs.h"
#include "pattern.h"
#include "proc.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __x86_64__

/* ---- the program ---- */

static void *use(void *argument)
{
    enum { SLOTS = 300, STEPS = 6000 };
    unsigned char *block[SLOTS] = {0};
    size_t size[SLOTS];
    uint64_t random = (uintptr_t)argument;
    for (int i = 0; i < STEPS; i++) {
        size_t slot = random_below(&random, SLOTS);
        CHECK(!block[slot] || pattern_check(block[slot], size[slot], slot) == size[slot]);
        free(block[slot]);
        size[slot] = 1 + random_below(&random, i % 50 ? 3000 : MIB);
        block[slot] = malloc(size[slot]);
        CHECK(block[slot]);
        pattern_fill(block[slot], size[slot], slot);
    }
    for (size_t i = 0; i < SLOTS; i++)
        free(block[i]);
    return NULL;
}

/* Where units are not to be had each block is a mapping. */
static void small_blocks_share_pages(void)
{
    enum { BLOCKS = 100 };
    void *block[BLOCKS];
    size_t alone = 0;
    for (int i = 0; i < BLOCKS; i++) {
        block[i] = malloc(20);
        CHECK(block[i]);
        bool shares = false;
        for (int k = 0; k < i && !shares; k++)
            shares = (uintptr_t)block[i] / 4096 == (uintptr_t)block[k] / 4096;
        alone += !shares;
    }
    CHECKF(alone < BLOCKS / 2, "%zu blocks of %d have a page of their own", alone, BLOCKS);
    for (int i = 0; i < BLOCKS; i++)
        free(block[i]);
}

static void program(void)
{
    pthread_t thread[2];
    int status = -1;
    small_blocks_share_pages();
    use((void *)1);
    for (uintptr_t i = 0; i < 2; i++)
        CHECK(pthread_create(&thread[i], NULL, use, (void *)(i + 2)) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        use((void *)4);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    void *hint = (void *)(((uintptr_t)&use & -MIB) - GIB);
    CHECKF(mmap(hint, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != hint, "the tracer is not there");
}

/* ---- the tracer ---- */

static void ask_about_mmap(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog all = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 && raise(SIGSTOP) == 0);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all) == 0);
}

static void take_address_out(pid_t thread)
{
    struct user_regs_struct r;
    CHECK(ptrace(PTRACE_GETREGS, thread, NULL, &r) == 0);
    if ((r.r10 & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == 0)
        r.rdi = 0;
    CHECK(ptrace(PTRACE_SETREGS, thread, NULL, &r) == 0);
}

static int trace(pid_t first)
{
    long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_EXITKILL;
    int status;
    CHECK(waitpid(first, &status, 0) == first && WIFSTOPPED(status));
    CHECK(ptrace(PTRACE_SETOPTIONS, first, NULL, options) == 0 && ptrace(PTRACE_CONT, first, NULL, 0) == 0);
    for (;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        CHECK(thread > 0);
        if (!WIFSTOPPED(status)) {
            if (thread == first)
                return status;
            continue;
        }
        int signal = WSTOPSIG(status), event = status >> 16;
        if (event == PTRACE_EVENT_SECCOMP)
            take_address_out(thread);
        ptrace(PTRACE_CONT, thread, NULL, event != 0 || signal == SIGSTOP || signal == SIGTRAP ? 0 : signal);
    }
}

int main(int count, char **arguments)
{
    if (count > 1) {
        check_watchdog(60);
        program();
        return 0;
    }
    need_tracing();
    need_filters();
    check_watchdog(70);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        ask_about_mmap();
        execl("/proc/self/exe", arguments[0], "traced", (char *)NULL);
        check_failed(__FILE__, __LINE__, "no exec");
    }
    int status = trace(child);
    CHECKF(status == 0, "status 0x%x", (unsigned)status);
    return 0;
}

#else

int main(void)
{
    check_skip("the tracer knows the registers of x86-64 alone");
}

#endif
