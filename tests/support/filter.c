/* SPDX-License-Identifier: MIT */
#include "filter.h"

#include "check.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CALLS_MAX = 100 };

static void say_which(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    check_failed(__FILE__, __LINE__, "system call %d was made", info->si_syscall);
}

/* A handler, and not SECCOMP_RET_KILL_PROCESS, so that there is a line. Who has the signal blocked is killed by it. */
static void catch (void)
{
    struct sigaction action = {.sa_sigaction = say_which, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSYS, &action, NULL) == 0);
}

static void install(const long *calls, size_t count, uint32_t listed, uint32_t other)
{
    struct sock_filter filter[2 * CALLS_MAX + 2];
    size_t n = 0;
    CHECK(count <= CALLS_MAX);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < count; i++) {
        filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i], 0, 1);
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, listed);
    }
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, other);
    struct sock_fprog program = {.len = (unsigned short)n, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
        check_skip("seccomp is not permitted here (errno %d)", errno);
}

void filter_allow_only(const long *calls, size_t count)
{
    catch ();
    install(calls, count, SECCOMP_RET_ALLOW, SECCOMP_RET_TRAP);
}

void filter_forbid(const long *calls, size_t count)
{
    catch ();
    install(calls, count, SECCOMP_RET_TRAP, SECCOMP_RET_ALLOW);
}

void filter_refuse(const long *calls, size_t count, int error)
{
    install(calls, count, SECCOMP_RET_ERRNO | ((uint32_t)error & SECCOMP_RET_DATA), SECCOMP_RET_ALLOW);
}
