/* SPDX-License-Identifier: MIT */
#include "step.h"

#include "base/atomic.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* A call of more instructions is interrupted after some of them only, spread evenly. */
#define RUNS_MOST 60u

static const struct step_pair *now;
static unsigned steps, meet_at;
static sem_t wanted;
static _Atomic bool begun, done;
static int state_file; /* /proc/self/task/TID/stat of the other thread */

/* The red zone is the caller's. */
static void begin_trap(void)
{
    __asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; orq $0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
                         : "memory", "cc");
}

static void end_trap(void *context)
{
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~0x100L;
}

static void end_trap_here(void)
{
    __asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; andq $-0x101, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
                         : "memory", "cc");
}

static void *be_other(void *arg)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%ld/stat", (long)syscall(SYS_gettid));
    state_file = open(path, O_RDONLY | O_CLOEXEC);
    EXPECT(state_file >= 0);
    hk_store_release(&done, true);
    for (;;) {
        while (sem_wait(&wanted) != 0)
            ;
        hk_store_release(&begun, true);
        now->other();
        hk_store_release(&done, true);
    }
    return arg;
}

/* It has begun, and sleeps: for a lock that this thread holds. */
static bool other_waits(void)
{
    char text[128] = "";
    if (!hk_load_acquire(&begun))
        return false;
    ssize_t n = pread(state_file, text, sizeof text - 1, 0);
    const char *state = n > 0 ? strrchr(text, ')') : NULL;
    return state != NULL && state[1] == ' ' && state[2] == 'S';
}

static void ask_other(void)
{
    hk_store_relaxed(&begun, false);
    hk_store_release(&done, false);
    sem_post(&wanted);
}

static void on_trap(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number;
    (void)info;
    int saved = errno;
    if (++steps == meet_at) {
        ask_other();
        while (!hk_load_acquire(&done) && !other_waits())
            sched_yield();
        end_trap(context); /* the rest needs no stepping */
    }
    errno = saved;
}

/* One run; false: the call had ended before. */
static bool meet(unsigned at)
{
    now->prepare();
    steps = 0;
    meet_at = at;
    hk_store_relaxed(&begun, false);
    begin_trap();
    now->mine();
    end_trap_here();
    bool met = hk_load_relaxed(&begun);
    if (!met)
        now->other();
    while (met && !hk_load_acquire(&done))
        sched_yield();
    now->check();
    return met;
}

unsigned step_through(const struct step_pair *pair)
{
    static bool there;
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    pthread_t thread;
    EXPECT(sigaction(SIGTRAP, &action, NULL) == 0);
    now = pair;
    if (!there) {
        EXPECT(sem_init(&wanted, 0, 0) == 0 && pthread_create(&thread, NULL, be_other, NULL) == 0);
        while (!hk_load_acquire(&done))
            sched_yield();
        there = true;
    }
    unsigned met = 0;
    EXPECT(!meet(0));
    for (unsigned stride = steps / RUNS_MOST + 1, at = 1; meet(at); at += stride)
        met++;
    return met;
}
