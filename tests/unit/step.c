/* SPDX-License-Identifier: MIT */
#include "step.h"

#include "base/atomic.h"
#include "base/compiler.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

/* A call is interrupted before each instruction of this program that it comes by, the first time; and, as loops come
 * round, after so many steps besides, spread evenly. */
#define PLACES_MOST 16384u
#define SPREAD 20u

/* Of each pair of calls: it takes long where others are at work. */
#define LIMIT_S 200

static const struct step_pair *now;
static unsigned steps, meet_at;            /* by the trap flag */
static unsigned char *places[PLACES_MOST]; /* instructions, each once, in the order of the call */
static unsigned place_count;
static unsigned char *planted, was; /* where a breakpoint is, and what it stands for; NULL: there is none */
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

static void call_here(void)
{
    hk_store_relaxed(&begun, true);
    now->other();
    hk_store_relaxed(&done, true);
}

static void ask_other(void)
{
    hk_store_relaxed(&begun, false);
    hk_store_release(&done, false);
    sem_post(&wanted);
}

/* Makes the other call, to its end or until it waits. */
static void let_other(void)
{
    if (now->in_handler) {
        call_here();
        return;
    }
    ask_other();
    while (!hk_load_acquire(&done) && !other_waits())
        sched_yield();
}

static void note_place(unsigned char *ip)
{
    extern unsigned char __executable_start[], etext[];
    bool known = ip < __executable_start || ip >= etext;
    for (unsigned i = 0; i < place_count && !known; i++)
        known = places[i] == ip;
    if (!known && place_count < PLACES_MOST)
        places[place_count++] = ip;
}

static void plant(unsigned char *ip)
{
    planted = ip;
    was = *ip;
    *ip = 0xcc;
}

static void clear_planted(void)
{
    *planted = was;
    planted = NULL;
}

static void take_step(void *context)
{
    if (++steps == meet_at) {
        let_other();
        end_trap(context); /* the rest needs no stepping */
    } else if (meet_at == 0) {
        note_place((unsigned char *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP]);
    }
}

static HK_NOINLINE void trapped(bool hit, void *context)
{
    int saved = errno;
    if (hit)
        let_other();
    else
        take_step(context);
    errno = saved;
}

/* The breakpoint goes first: what is called here may come by, and the other thread. */
static void on_trap(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number;
    (void)info;
    greg_t *ip = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    bool there = planted != NULL && (const unsigned char *)*ip == planted + 1;
    bool hit = there || (planted != NULL && now->without_sequences != NULL); /* or the kernel has moved it already */
    if (hit)
        clear_planted();
    if (there)
        *ip -= 1;
    trapped(hit, context);
}

/* Both calls have been made, whether they met or not. */
static bool finish(void)
{
    bool met = hk_load_relaxed(&begun);
    if (!met)
        now->other();
    while (met && !hk_load_acquire(&done))
        sched_yield();
    now->check();
    return met;
}

/* ---- a call in a thread of its own ---- */

static pthread_key_t last_key; /* made after that of the box: its destructor comes later */

static void end_of_thread(void *arg)
{
    (void)arg;
    now->late();
    end_trap_here();
}

static void *make_mine(void *stepped)
{
    EXPECT(pthread_setspecific(last_key, &last_key) == 0);
    if (stepped != NULL)
        begin_trap();
    now->mine();
    return NULL;
}

static void call_mine(bool stepped)
{
    pthread_t thread;
    if (now->late != NULL) {
        EXPECT(pthread_create(&thread, NULL, make_mine, stepped ? &last_key : NULL) == 0);
        EXPECT(pthread_join(thread, NULL) == 0);
        return;
    }
    if (stepped)
        begin_trap();
    now->mine();
    end_trap_here();
}

/* One run; false: the call had ended before. */
static bool meet(unsigned at)
{
    now->prepare();
    steps = 0;
    meet_at = at;
    hk_store_relaxed(&begun, false);
    call_mine(true);
    return finish();
}

/* One run; false: the call did not come by. */
static bool meet_before(unsigned char *place)
{
    now->prepare();
    hk_store_relaxed(&begun, false);
    plant(place);
    call_mine(false);
    if (planted != NULL)
        clear_planted();
    return finish();
}

static void make_writable(void)
{
    extern unsigned char __executable_start[], etext[];
    uintptr_t from = (uintptr_t)__executable_start & ~(uintptr_t)4095;
    EXPECT(mprotect((void *)from, (uintptr_t)etext - from, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
}

static void begin_steps(const struct step_pair *pair)
{
    static bool writable;
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    EXPECT(sigaction(SIGTRAP, &action, NULL) == 0);
    now = pair;
    if (!writable)
        make_writable();
    writable = true;
}

static void begin_other(void)
{
    static bool there;
    pthread_t thread;
    if (there)
        return;
    EXPECT(sem_init(&wanted, 0, 0) == 0 && pthread_create(&thread, NULL, be_other, NULL) == 0);
    while (!hk_load_acquire(&done))
        sched_yield();
    there = true;
}

static void note_places(void)
{
    place_count = 0;
    if (now->without_sequences != NULL)
        now->without_sequences(true);
    EXPECT(!meet(0) && place_count < PLACES_MOST);
    if (now->without_sequences != NULL)
        now->without_sequences(false);
}

unsigned step_through(const struct step_pair *pair)
{
    begin_steps(pair);
    alarm(LIMIT_S * unit_slowness());
    if (!pair->in_handler)
        begin_other();
    if (pair->late != NULL)
        EXPECT(pthread_key_create(&last_key, end_of_thread) == 0);
    note_places();
    unsigned met = 0;
    for (unsigned i = 0, n = place_count; i < n; i++)
        met += meet_before(places[i]);
    /* A later call may be much longer than the first one: it is not followed to its end then. */
    unsigned steady = pair->without_sequences == NULL ? 2 * SPREAD : 0;
    for (unsigned stride = steps / SPREAD + 1, at = 1; at <= steady * stride && meet(at); at += stride)
        met++;
    if (pair->late != NULL)
        pthread_key_delete(last_key);
    return met;
}

/* What it returns is 0 or 1. */
static bool in_fork(unsigned (*body)(unsigned), unsigned arg)
{
    int status;
    pid_t pid = unit_fork();
    EXPECT(pid >= 0);
    if (pid == 0)
        _exit((int)(2 + body(arg)));
    EXPECT(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) >= 2);
    return WEXITSTATUS(status) == 3;
}

static struct shared {
    unsigned char *places[PLACES_MOST];
    unsigned count;
} * shared;

static unsigned note_shared(unsigned nothing)
{
    (void)nothing;
    note_places();
    memcpy(shared->places, places, sizeof places);
    shared->count = place_count;
    return 0;
}

static unsigned meet_shared(unsigned i)
{
    return meet_before(shared->places[i]);
}

unsigned step_through_forks(const struct step_pair *pair, unsigned most)
{
    begin_steps(pair);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    EXPECT(shared != MAP_FAILED);
    in_fork(note_shared, 0);
    unsigned met = 0;
    for (unsigned i = 0; i < shared->count; i += 1 + shared->count / most)
        met += in_fork(meet_shared, i);
    munmap(shared, sizeof *shared);
    return met;
}
