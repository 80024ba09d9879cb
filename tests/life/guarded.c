/* SPDX-License-Identifier: MIT
 *
 * Guarded blocks beside all that a process does. Run with HAKMEM_GUARD, but reports, whose children begin by
 * themselves: in the child of a process with a second thread a double free may be glibc's, and nothing is said. A
 * guarded block is told by the pages beside its own, which not even the kernel may read.
 *
 * usage: guarded reports | handlers | forks | threads | begins | memory | seldom
 *
 * reports   each wrong use ends its process, and the report names who used, freed and asked for the block
 * handlers  the program has a handler of SIGSEGV from before, or takes the signal later: it is called, after the report
 * forks     a child finds what its parent guarded, and guards blocks of its own, while threads allocate
 * threads   four threads allocate in every way and free each other's blocks; what blocks hold is looked at
 * begins    hak_guard_start and hak_guard_stop again and again, beside profiles, while threads allocate
 * memory    blocks that stay: all slots become live, no more, and statistics say so
 * seldom    calls that ask once in 500 times are guarded far sooner than after 500 blocks of others
 */
#include "check.h"
#include "death.h"
#include "proc.h"
#include "slot.h"

#include <hakmem/hakmem.h>

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 100, THREADS = 4, SLOTS = 300 };

/* The compiler is not to know that these are wrong uses, nor to make them jumps at a function's end. */
static char *volatile hidden;
static volatile char seen;

__attribute__((noinline)) static char *asks_for_block(size_t size)
{
    hidden = malloc(size);
    return hidden;
}

__attribute__((noinline)) static void frees_block(char *block)
{
    hidden = block;
    free(hidden);
    hidden = block;
}

__attribute__((noinline)) static void writes_to(char *at)
{
    hidden = at;
    *hidden = 'w';
    hidden = NULL;
}

__attribute__((noinline)) static void reads_from(const char *at)
{
    hidden = (char *)(uintptr_t)at;
    seen = *hidden;
}

/* It begins or ends with a page, its end in a hardened build included. Most other blocks do neither, and need no call
 * of the system to be told. */
static bool may_be_guarded(const void *block)
{
    uintptr_t start = (uintptr_t)block, end = start + malloc_usable_size((void *)start);
    return start % 4096 == 0 || (end + 15) / 16 % 256 == 0 || (end + 23) / 16 % 256 == 0;
}

static bool is_guarded(const void *block)
{
    int saved = errno;
    if (!may_be_guarded(block))
        return false;
    const char *page = (const char *)block - (uintptr_t)block % 4096;
    bool alone = access(page + 4096, F_OK) != 0 && errno == EFAULT && access(page - 1, F_OK) != 0 && errno == EFAULT;
    errno = saved;
    return alone;
}

/* A guarded one, sooner or later. Several at once, so that fronts are empty now and then. */
static char *guarded_block(size_t size)
{
    static _Thread_local char *others[1000];
    unsigned n = 0;
    for (;;) {
        char *block = asks_for_block(size);
        CHECK(block != NULL && malloc_usable_size(block) >= size);
        bool found = is_guarded(block);
        if (!found)
            others[n++] = block;
        if (found || n == sizeof others / sizeof *others) {
            while (n > 0)
                free(others[--n]);
        }
        if (found)
            return block;
    }
}

/* One that ends where its page ends, but for what its alignment leaves; or begins where that begins. */
static char *guarded_at(bool start)
{
    for (;;) {
        char *block = guarded_block(SIZE);
        if (((uintptr_t)block % 4096 == 0) == start)
            return block;
        free(block);
    }
}

/* ---- reports ---- */

static void writes_after_free(void *arg)
{
    (void)arg;
    char *block = guarded_block(SIZE);
    frees_block(block);
    writes_to(block + 8);
}

static void reads_after_free(void *arg)
{
    (void)arg;
    char *block = guarded_block(SIZE);
    frees_block(block);
    reads_from(block + SIZE - 1);
}

static void writes_behind(void *arg)
{
    (void)arg;
    writes_to(guarded_at(false) + 112);
}

static void reads_before(void *arg)
{
    (void)arg;
    reads_from(guarded_at(true) - 1);
}

static void writes_just_behind(void *arg)
{
    (void)arg;
    char *block = guarded_at(false);
    writes_to(block + SIZE); /* on its page: found when it is freed */
    frees_block(block);
}

static void writes_zero_before(void *arg)
{
    (void)arg;
    char *block = guarded_at(false);
    hidden = block - 3;
    *hidden = 0;
    frees_block(block);
}

static void frees_twice(void *arg)
{
    (void)arg;
    char *block = guarded_block(SIZE);
    frees_block(block);
    frees_block(block);
}

static void frees_middle(void *arg)
{
    (void)arg;
    frees_block(guarded_block(SIZE) + 32);
}

static void resizes_freed(void *arg)
{
    (void)arg;
    char *block = guarded_block(SIZE);
    frees_block(block);
    hidden = realloc(hidden, 2 * SIZE);
}

static void uses_moved(void *arg)
{
    (void)arg;
    char *block = guarded_block(SIZE);
    hidden = block;
    hidden = realloc(hidden, SIZE - 50); /* moves, though there is room */
    writes_to(block);
}

static void *uses_in_thread(void *block)
{
    writes_to(block);
    return NULL;
}

static void other_thread_uses(void *arg)
{
    (void)arg;
    pthread_t thread;
    char *block = guarded_block(SIZE);
    frees_block(block);
    CHECK(pthread_create(&thread, NULL, uses_in_thread, block) == 0);
    pthread_join(thread, NULL);
}

static const struct wrong {
    void (*body)(void *);
    int signal;
    const char *line, *found, *freed; /* functions, or NULL: it is not said */
    const char *with_end;             /* the line with -Dtail=enabled, where the block has an end; NULL: the same */
} wrongs[] = {
    {writes_after_free, SIGSEGV, "use after free: somebody ", "writes_to", "frees_block", NULL},
    {reads_after_free, SIGSEGV, " 99 bytes into the 100-byte block at 0x", "reads_from", "frees_block",
     " 99 bytes into the 112-byte block at 0x"},
    {writes_behind, SIGSEGV, " 12 bytes behind the 100-byte block at 0x", "writes_to", NULL,
     " 0 bytes behind the 112-byte block at 0x"},
    {reads_before, SIGSEGV, " 1 bytes before the 100-byte block at 0x", "reads_from", NULL,
     " 1 bytes before the 112-byte block at 0x"},
    {writes_just_behind, SIGABRT, " 0 bytes behind the 100-byte block at 0x", "frees_block", NULL,
     "hakmem: write past the end of 0x"},
    {writes_zero_before, SIGABRT, " 3 bytes before the 100-byte block at 0x", "frees_block", NULL,
     " 3 bytes before the 112-byte block at 0x"},
    {frees_twice, SIGABRT, "hakmem: double free of 0x", "frees_block", "frees_block", NULL},
    {frees_middle, SIGABRT, "hakmem: free of an interior pointer 0x", "frees_block", NULL, NULL},
    {resizes_freed, SIGABRT, "hakmem: realloc of the free block 0x", "resizes_freed", "frees_block", NULL},
    {uses_moved, SIGSEGV, "use after free: somebody ", "writes_to", "uses_moved", NULL},
    {other_thread_uses, SIGSEGV, "use after free: somebody ", "uses_in_thread", "frees_block", NULL},
};

/* Is there a line of the function between the heading and the next one? */
static bool has_frame(const char *text, const char *heading, const char *function)
{
    const char *start = strstr(text, heading), *end = start != NULL ? strstr(start, ":\n") : NULL;
    end = end != NULL ? strstr(end, "\nhakmem:") : NULL;
    const char *frame = start != NULL ? strstr(start, function) : NULL;
    return frame != NULL && (end == NULL || frame < end);
}

static void begins_and_does(void *body)
{
    CHECK(hak_guard_start() == 0);
    ((const struct wrong *)body)->body(NULL);
}

static void check_report(const struct wrong *w)
{
    static struct death death;
    const char *line = w->with_end != NULL && hak_good_size(SIZE) == SIZE ? w->with_end : w->line;
    death_run(&death, begins_and_does, (void *)(uintptr_t)w);
    CHECKF(WIFSIGNALED(death.status) && WTERMSIG(death.status) == w->signal && strstr(death.text, line) != NULL,
           "%s, not signal %d after \"%s\":\n%s", death_describe(&death), w->signal, line, death.text);
    CHECKF(has_frame(death.text, "hakmem: found in thread ", w->found), "no %s:\n%s", w->found, death.text);
    CHECKF(has_frame(death.text, "hakmem: the block was asked for by thread ", "asks_for_block"), "who asked?\n%s",
           death.text);
    if (w->freed != NULL)
        CHECKF(has_frame(death.text, "hakmem: the block was freed by thread ", w->freed), "no %s:\n%s", w->freed,
               death.text);
    else
        CHECKF(strstr(death.text, "was freed by") == NULL, "it is live:\n%s", death.text);
}

static void check_reports(void)
{
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++)
        check_report(&wrongs[i]);
}

/* ---- handlers ---- */

static sigjmp_buf back;
static volatile sig_atomic_t calls;
static struct sigaction earlier;

static void leave(int signum)
{
    (void)signum;
    calls++;
    siglongjmp(back, 1);
}

/* As crash reporters do: what it is not for goes to who had the signal before. */
static void pass_on(int signum, siginfo_t *info, void *context)
{
    calls++;
    CHECK(calls < 10);
    if ((earlier.sa_flags & SA_SIGINFO) != 0)
        earlier.sa_sigaction(signum, info, context);
    else
        CHECK(sigaction(signum, &earlier, NULL) == 0);
}

static void take(void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    CHECK(sigaction(SIGSEGV, &action, &earlier) == 0);
}

static void touch_nothing(void)
{
    writes_to((char *)8);
}

/* Whatever is touched the handler is called, as often as that happens, and leaves. */
static void leaves_each_time(void *arg)
{
    (void)arg;
    take(leave, 0);
    for (volatile int i = 0; i < 6; i++) {
        char *block = guarded_block(SIZE);
        frees_block(block);
        if (sigsetjmp(back, 1) != 0)
            continue;
        if (i % 2 == 0)
            writes_to(block);
        else
            touch_nothing();
        _exit(1);
    }
    _exit(calls == 6 ? 0 : 2);
}

static void takes_later(void *arg)
{
    free(guarded_block(SIZE)); /* the signal is ours */
    leaves_each_time(arg);
}

/* Its handler calls ours, which had called it. */
static void passes_in_a_ring(void *arg)
{
    struct sigaction action = {.sa_sigaction = pass_on, .sa_flags = SA_SIGINFO};
    (void)arg;
    free(guarded_block(SIZE));
    CHECK(sigaction(SIGSEGV, &action, &earlier) == 0);
    free(guarded_block(SIZE)); /* ours stands before it */
    touch_nothing();
}

static void ignores_what_is_sent(void *arg)
{
    (void)arg;
    signal(SIGSEGV, SIG_IGN);
    free(guarded_block(SIZE));
    kill(getpid(), SIGSEGV);
    _exit(3);
}

static void is_sent_one(void *arg)
{
    (void)arg;
    free(guarded_block(SIZE));
    kill(getpid(), SIGSEGV);
    _exit(3);
}

static void ends_with(void (*body)(void *), int status, const char *says)
{
    static struct death death;
    death_run(&death, body, NULL);
    CHECKF(death.status == status && (says == NULL ? death.lines == 0 : strstr(death.text, says) != NULL), "%s:\n%s",
           death_describe(&death), death.text);
}

static void check_handlers(void)
{
    ends_with(leaves_each_time, 0, "use after free");
    ends_with(takes_later, 0, "use after free");
    ends_with(passes_in_a_ring, SIGSEGV, NULL);
    ends_with(ignores_what_is_sent, 3 << 8, NULL);
    ends_with(is_sent_one, SIGSEGV, NULL);
}

/* ---- work ---- */

static atomic_bool stop;
static struct slot shared[THREADS][SLOTS]; /* freed by another thread than took them */
static pthread_mutex_t shared_lock[THREADS] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
                                               PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};
static atomic_uint exact; /* blocks that are guarded, surely */

static void change(struct slot *s, uint64_t *random)
{
    size_t size = random_below(random, random_below(random, 10) == 0 ? 5000 : 500);
    errno = EDOM;
    slot_change(s, size, 8, random);
    CHECK(errno == EDOM && malloc_usable_size(s->block) >= size);
    exact += is_guarded(s->block);
}

static void *work(void *arg)
{
    static _Thread_local struct slot mine[SLOTS];
    uint64_t random = (uint64_t)(uintptr_t)arg + 1;
    while (!stop) {
        unsigned whose = (unsigned)random_below(&random, THREADS);
        change(&mine[random_below(&random, SLOTS)], &random);
        pthread_mutex_lock(&shared_lock[whose]);
        change(&shared[whose][random_below(&random, SLOTS)], &random);
        pthread_mutex_unlock(&shared_lock[whose]);
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        slot_check(&mine[i]);
        free(mine[i].block);
    }
    return NULL;
}

static pthread_t workers[THREADS];

static void start_work(void)
{
    stop = false;
    for (unsigned i = 0; i < THREADS; i++)
        CHECK(pthread_create(&workers[i], NULL, work, (void *)(uintptr_t)i) == 0);
}

static void end_work(void)
{
    stop = true;
    for (unsigned i = 0; i < THREADS; i++)
        CHECK(pthread_join(workers[i], NULL) == 0);
}

static void wait_for_guarded(unsigned more)
{
    for (unsigned before = exact; exact - before < more;)
        proc_sleep_ms(1);
}

static void check_threads(void)
{
    for (unsigned round = 0; round < 5; round++) {
        start_work();
        wait_for_guarded(100);
        end_work();
    }
}

/* ---- forks ---- */

static char *parents;

static void uses_parents_block(void *arg)
{
    (void)arg;
    frees_block(parents);
    writes_to(parents);
}

static void check_forks(void)
{
    static const struct wrong of_parent = {uses_parents_block, SIGSEGV, "use after free", "writes_to", "frees_block"};
    start_work();
    for (unsigned i = 0; i < 5; i++) {
        parents = guarded_block(SIZE);
        memset(parents, (int)i, SIZE);
        check_report(&of_parent);
        check_report(&wrongs[0]); /* one that the child guards */
        CHECK(parents[0] == (char)i && parents[SIZE - 1] == (char)i);
        free(parents);
    }
    end_work();
}

/* ---- begins ---- */

static void check_begins(void)
{
    start_work();
    for (unsigned i = 0; i < 40; i++) {
        CHECK(hak_guard_start() == 0 && hak_guard_start() == 0);
        wait_for_guarded(3);
        if (i % 4 == 1)
            CHECK(hak_profile_start(i % 8 == 1 ? 1 : 10000) == 0);
        if (i % 4 == 3)
            hak_profile_stop();
        wait_for_guarded(3);
        hak_guard_stop();
    }
    hak_profile_stop();
    end_work();
}

/* ---- memory ---- */

static struct hak_stats figures(void)
{
    struct hak_stats stats = {.size = sizeof stats};
    CHECK(hak_stats(&stats) == 0);
    return stats;
}

static void check_memory(void)
{
    enum { MOST = 16 }; /* HAKMEM_GUARD_SLOTS */
    static char *kept[MOST];
    struct hak_stats before = figures();
    for (unsigned i = 0; i < MOST; i++)
        kept[i] = guarded_block(SIZE);
    struct hak_stats all = figures();
    CHECKF(all.guarded_blocks == MOST && all.guarded_taken >= before.guarded_taken + MOST, "%zu live, %llu taken",
           all.guarded_blocks, (unsigned long long)all.guarded_taken);
    CHECK(all.live_blocks >= before.live_blocks + MOST && all.live_bytes >= before.live_bytes + MOST * SIZE);
    for (unsigned i = 0; i < 1000000; i++) {
        char *block = asks_for_block(SIZE);
        CHECK(!is_guarded(block));
        free(block);
    }
    for (unsigned i = 0; i < MOST; i++)
        free(kept[i]);
    CHECK(figures().guarded_blocks == 0);
    free(guarded_block(SIZE));
}

/* ---- calls that ask seldom ---- */

static bool was_guarded(char *block)
{
    bool guarded = is_guarded(block);
    free(block);
    return guarded;
}

/* The same call of malloc at each depth, for others. */
__attribute__((noinline)) static char *asks_at_depth(unsigned depth)
{
    char *block = depth == 0 ? asks_for_block(SIZE) : asks_at_depth(depth - 1);
    seen = block[0] = 1; /* no tail call */
    return block;
}

/* If all calls were alike there would be 5000 guarded blocks before all of these have had one, and hardly ever below
 * 2000. */
static void ask_seldom(void)
{
    enum { CALLS = 10, SELDOM = 500 };
    unsigned others = 0;
    for (unsigned call = 1; call <= CALLS; call++) {
        for (unsigned n = 1; n % SELDOM != 0 || !was_guarded(asks_at_depth(call)); n++)
            others += was_guarded(asks_at_depth(0));
    }
    check_note("%u blocks of others", others);
    CHECKF(others < 2000, "%u blocks of others were guarded", others);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*check)(void);
    } checks[] = {{"reports", check_reports}, {"handlers", check_handlers}, {"forks", check_forks},
                  {"threads", check_threads}, {"begins", check_begins},     {"memory", check_memory},
                  {"seldom", ask_seldom}};
    CHECK(argc == 2);
    check_watchdog(100);
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        if (strcmp(argv[1], checks[i].name) == 0)
            checks[i].check();
    }
    return 0;
}
