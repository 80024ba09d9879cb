/* SPDX-License-Identifier: MIT
 *
 * The process that works shares all memory with the caller, the thread-local part of the C library too, of which it
 * uses nothing: the caller waits meanwhile. It has no thread of this process as its parent's child: no signal tells of
 * its end, and only who waits for clones sees it.
 */
#include "os/standstill.h"

#include "base/atomic.h"
#include "base/bits.h"
#include "base/sys.h"
#include "os/file.h"
#include "os/os.h"
#include "os/standstill_regs.h"
#include "os/thread.h"
#include "os/whole_file.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define PATIENCE_MS 5000u /* without a thread that stops */

_Static_assert(sizeof(hk_still_general) + sizeof(hk_still_vector) <= HK_STILL_WORDS * sizeof(uintptr_t),
               "registers have room");

struct stopping {
    void (*work)(void *ctx, const struct hk_still *still);
    void *ctx;
    struct hk_still *still;
    size_t stopped; /* of still->thread, the first so many stand still */
    int tasks;      /* the folder with the threads; a descriptor */
    bool alone;     /* there is no other thread */
    _Atomic uint32_t may_begin;
    _Atomic uint32_t lives; /* the process that works; the kernel sets it to 0 when that ends, however it does */
    enum hk_still_refusal outcome;
};

static long trace(long request, int thread, void *address, void *data)
{
    return hk_sys4(SYS_ptrace, request, thread, (long)address, (long)data);
}

/* ---- which threads there are ---- */

static bool is_known(const struct hk_still *still, int thread)
{
    for (size_t i = 0; i < still->threads; i++) {
        if (still->thread[i].number == thread)
            return true;
    }
    return false;
}

static struct hk_still_thread *add_thread(struct hk_still *still, int thread)
{
    if ((still->threads + 1) * sizeof *still->thread > still->mapped) {
        void *larger = hk_os_remap(still->thread, still->mapped, 2 * still->mapped);
        if (larger == NULL)
            return NULL;
        still->thread = larger;
        still->mapped *= 2;
    }
    struct hk_still_thread *t = &still->thread[still->threads++];
    memset(t, 0, sizeof *t);
    t->number = thread;
    return t;
}

/* Has it ended, and waits for the others? Then nobody can stop it, and it has no stack. */
static bool has_ended(const struct stopping *s, int thread)
{
    char path[32], text[512], digit[12];
    unsigned n = 0, at = 0;
    do
        digit[n++] = (char)('0' + thread % 10);
    while ((thread /= 10) != 0);
    while (n > 0)
        path[at++] = digit[--n];
    strcpy(path + at, "/stat");
    int fd = (int)hk_sys4(SYS_openat, s->tasks, (long)path, 0, 0);
    size_t size = fd >= 0 ? hk_file_read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0)
        hk_file_close(fd);
    text[size] = 0;
    const char *name_end = strrchr(text, ')');
    return size == 0 || (name_end != NULL && strchr("ZX", name_end[2]) != NULL && name_end[2] != 0);
}

/* ---- stopping one ---- */

/* False: it has gone, or is refused: s->outcome tells. */
static bool ask_to_stop(struct stopping *s, int thread)
{
    long r = trace(PTRACE_SEIZE, thread, NULL, NULL);
    if (r == 0 && (r = trace(PTRACE_INTERRUPT, thread, NULL, NULL)) == 0) {
        if (add_thread(s->still, thread) != NULL)
            return true;
        trace(PTRACE_DETACH, thread, NULL, NULL);
        s->outcome = HK_STILL_NO_MEMORY;
    } else if (r != -ESRCH && !has_ended(s, thread)) {
        s->outcome = HK_STILL_NO_TRACE;
        s->still->error = (int)-r;
    }
    return false;
}

static void read_set(int thread, long note, void *to, size_t size)
{
    struct iovec area = {to, size};
    trace(PTRACE_GETREGSET, thread, (void *)note, &area);
}

static void read_registers(struct hk_still_thread *t)
{
    hk_still_general general;
    memset(&general, 0, sizeof general);
    read_set(t->number, NT_PRSTATUS, &general, sizeof general);
    t->sp = HK_STILL_SP(general);
    t->tp = HK_STILL_TP(general);
    memcpy(t->word, &general, sizeof general);
    read_set(t->number, NT_PRFPREG, t->word + sizeof general / sizeof *t->word, sizeof(hk_still_vector));
    if (HK_STILL_TP_NOTE != 0)
        read_set(t->number, HK_STILL_TP_NOTE, &t->tp, sizeof t->tp);
}

static void sleep_a_moment(void)
{
    struct timespec moment = {0, 500000};
    hk_sys2(SYS_nanosleep, (long)&moment, 0);
}

/* Waits until it stands still. One that ends meanwhile has no registers. */
static bool wait_for_stop(struct stopping *s, struct hk_still_thread *t)
{
    uint32_t began = hk_os_now_ms();
    for (;;) {
        int status = 0;
        long r = hk_sys4(SYS_wait4, t->number, (long)&status, __WALL | WNOHANG, 0);
        if (r == t->number && WIFSTOPPED(status)) {
            t->signal = status >> 16 == 0 ? WSTOPSIG(status) : 0; /* else it is the stop that was asked for */
            read_registers(t);
            return true;
        }
        if (r == t->number || r == -ECHILD)
            return true; /* it has ended */
        if (r < 0 && r != -EINTR) {
            s->outcome = HK_STILL_NO_TRACE;
            s->still->error = (int)-r;
            return false;
        }
        if (hk_os_now_ms() - began > PATIENCE_MS) {
            s->outcome = HK_STILL_NO_STOP;
            return false;
        }
        sleep_a_moment();
    }
}

/* ---- stopping all ---- */

struct task {
    uint64_t inode;
    int64_t next;
    uint16_t length;
    unsigned char type;
    char name[];
};

/* Asks each thread that is not known yet. False: refused. */
static bool ask_new(struct stopping *s, size_t *found)
{
    _Alignas(struct task) char text[4096];
    long size = hk_sys3(SYS_lseek, s->tasks, 0, 0);
    while (size >= 0 && (size = hk_sys3(SYS_getdents64, s->tasks, (long)text, sizeof text)) > 0) {
        for (long at = 0; at < size;) {
            const struct task *task = (const struct task *)(const void *)(text + at);
            int thread = (int)hk_file_number(task->name);
            at += task->length;
            if (thread <= 0 || is_known(s->still, thread))
                continue;
            *found += ask_to_stop(s, thread);
            if (s->outcome != HK_STILL_DONE)
                return false;
        }
    }
    if (size < 0)
        s->outcome = HK_STILL_NO_TASKS;
    return size == 0;
}

/* Threads that do not stand still yet may make others: until a look finds no new one. */
static bool stop_all(struct stopping *s)
{
    for (size_t found = 1; found != 0;) {
        found = 0;
        if (!ask_new(s, &found))
            return false;
        for (; s->stopped < s->still->threads; s->stopped++) {
            if (!wait_for_stop(s, &s->still->thread[s->stopped]))
                return false;
        }
    }
    return true;
}

static void let_all_go(struct stopping *s)
{
    for (size_t i = 1; i < s->still->threads; i++)
        trace(PTRACE_DETACH, s->still->thread[i].number, NULL, (void *)(intptr_t)s->still->thread[i].signal);
}

/* What the new process does. */
static int stop_and_work(void *arg)
{
    struct stopping *s = arg;
    hk_sys5(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    while (hk_load_acquire(&s->may_begin) == 0) /* pairs with work_in_process */
        hk_thread_sleep(&s->may_begin, 0, 100);
    s->outcome = HK_STILL_DONE;
    if (s->alone || stop_all(s)) {
        s->outcome = HK_STILL_DIED;
        s->work(s->ctx, s->still);
        s->outcome = HK_STILL_DONE;
    }
    let_all_go(s);
    return 0;
}

/* ---- the caller's part ---- */

/* How many threads there are, this one included; 0: not known. This process must be the one that is listed. */
static size_t count_tasks(const struct stopping *s)
{
    _Alignas(struct task) char text[4096];
    long size;
    size_t n = 0;
    bool leader = false;
    while ((size = hk_sys3(SYS_getdents64, s->tasks, (long)text, sizeof text)) > 0) {
        for (long at = 0; at < size; at += ((const struct task *)(const void *)(text + at))->length) {
            int thread = (int)hk_file_number(((const struct task *)(const void *)(text + at))->name);
            n += thread > 0;
            leader |= thread == hk_os_pid();
        }
    }
    return size == 0 && leader ? n : 0;
}

/* Waits for the process `child`, which may use this thread's memory from now on. */
static void wait_for(struct stopping *s, int child)
{
    hk_sys5(SYS_prctl, PR_SET_PTRACER, child, 0, 0, 0); /* where only parents may trace; elsewhere refused */
    hk_store_release(&s->may_begin, 1);                 /* pairs with stop_and_work */
    hk_thread_wake(&s->may_begin);
    while (hk_sys4(SYS_wait4, child, 0, __WALL, 0) == -EINTR) {
    }
    while (hk_load_acquire(&s->lives) != 0) /* that was refused; pairs with what the kernel writes */
        hk_thread_sleep(&s->lives, 1, 1);
    hk_sys5(SYS_prctl, PR_SET_PTRACER, 0, 0, 0, 0);
}

/* In a process of its own; where there can be none and no other thread is, here. */
static enum hk_still_refusal work_in_process(struct stopping *s)
{
    uint64_t all = UINT64_MAX, before;
    int saved = errno;
    bool blocked = hk_sys4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before, sizeof all) == 0;
    s->outcome = HK_STILL_DIED;
    hk_store_relaxed(&s->lives, 1);
    void *top = (char *)s->still->stack + HK_STILL_STACK - HK_CACHE_LINE; /* not the end, as said of it */
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_UNTRACED | CLONE_CHILD_CLEARTID;
    int child = clone(stop_and_work, top, flags, s, NULL, NULL, &s->lives);
    if (child > 0) {
        wait_for(s, child);
    } else if (s->alone) {
        s->work(s->ctx, s->still);
        s->outcome = HK_STILL_DONE;
    } else {
        s->still->error = errno;
        s->outcome = HK_STILL_NO_PROCESS;
    }
    if (blocked)
        hk_sys4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof all);
    errno = saved;
    return s->outcome;
}

/* Its frame ends below all that its callers keep on the stack, their registers included. */
static HK_NOINLINE enum hk_still_refusal stop_from_here(struct stopping *s)
{
    struct hk_still_thread *mine = add_thread(s->still, (int)hk_sys0(SYS_gettid));
    mine->sp = (uintptr_t)__builtin_frame_address(0);
    mine->tp = hk_thread_self();
    s->stopped = 1;
    return work_in_process(s);
}

static bool prepare(struct stopping *s, size_t threads)
{
    struct hk_still *still = s->still;
    still->mapped = hk_align_up((threads + threads / 8 + 16) * sizeof *still->thread, hk_os_page_size());
    still->thread = hk_os_map(still->mapped);
    char *stack = hk_os_map(HK_STILL_STACK);
    still->stack = (uintptr_t)stack;
    return still->thread != NULL && stack != NULL;
}

static void clean_up(struct hk_still *still)
{
    if (still->thread != NULL)
        hk_os_unmap(still->thread, still->mapped);
    if (still->stack != 0)
        hk_os_unmap((void *)still->stack, HK_STILL_STACK);
    still->thread = NULL;
}

HK_NOINLINE enum hk_still_refusal hk_stand_still(void (*work)(void *ctx, const struct hk_still *still), void *ctx,
                                                 struct hk_still *still)
{
    __builtin_unwind_init(); /* the registers that are the callers' go to the stack */
    *still = (struct hk_still){.threads = 0};
    struct stopping s = {.work = work, .ctx = ctx, .still = still, .tasks = hk_file_open("/proc/self/task")};
    if (s.tasks < 0)
        return HK_STILL_NO_TASKS;
    size_t threads = count_tasks(&s);
    s.alone = threads == 1;
    enum hk_still_refusal outcome = threads == 0           ? HK_STILL_NO_TASKS
                                    : prepare(&s, threads) ? stop_from_here(&s)
                                                           : HK_STILL_NO_MEMORY;
    clean_up(still);
    hk_file_close(s.tasks);
    return outcome;
}
