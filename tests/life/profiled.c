/* SPDX-License-Identifier: MIT
 *
 * Profiles beside all that a process does. What blocks hold is looked at when they are freed, and so is their
 * alignment.
 *
 * usage: profiled begins | exact | forks N | threads N | handler | ends | wrongs
 *
 * begins   four threads allocate while a profile begins, is written and ends again and again, with each interval
 * exact    every block is recorded: sums of functions that are known, by each way to a block
 * forks    the same threads, and so many children that go on profiling, some with a profile of their own
 * threads  so many threads, each with a few blocks, some of which outlive it
 * handler  written in signal handlers, of which some interrupt malloc, while another thread writes
 * ends     the process ends while threads allocate
 * wrongs   of a block that is recorded a report of its wrong use names who asked for it; of another it does not
 */
#include "check.h"
#include "death.h"
#include "slot.h"

#include <hakmem/hakmem.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, SLOTS = 400 };

static char folder[] = "/tmp/hakmem-profiled-XXXXXX";
static atomic_bool stop;

static const char *file(const char *name)
{
    static _Thread_local char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* ---- work ---- */

static size_t random_size(uint64_t *random)
{
    uint64_t kind = random_below(random, 1000);
    return random_below(random, kind < 800 ? 500 : kind < 980 ? 40000 : kind < 999 ? 400000 : 3000000);
}

static void change(struct slot *s, uint64_t *random)
{
    size_t size = random_size(random);
    slot_change(s, size, 10, random);
    CHECK(hak_malloc_usable_size(s->block) >= size);
}

static struct slot shared[THREADS][SLOTS]; /* freed by another thread than took them */
static pthread_mutex_t shared_lock[THREADS] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
                                               PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};

static void *work(void *arg)
{
    static _Thread_local struct slot mine[SLOTS];
    uint64_t random = (uint64_t)(uintptr_t)arg + 1;
    while (!atomic_load(&stop)) {
        for (unsigned i = 0; i < 200; i++)
            change(&mine[random_below(&random, SLOTS)], &random);
        unsigned other = (unsigned)random_below(&random, THREADS);
        pthread_mutex_lock(&shared_lock[other]);
        for (unsigned i = 0; i < 50; i++)
            change(&shared[other][random_below(&random, SLOTS)], &random);
        pthread_mutex_unlock(&shared_lock[other]);
    }
    for (unsigned i = 0; i < SLOTS; i++)
        free(mine[i].block);
    return NULL;
}

static void start_work(pthread_t *thread)
{
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, work, (void *)i) == 0);
}

static void end_work(pthread_t *thread)
{
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
}

/* ---- begins ---- */

static void begin_and_end(void)
{
    static const size_t intervals[] = {1, 300, 4096, 0, 100000, 1 << 30};
    static const char *const names[] = {"a.folded", "a.pb.gz", "a.html", "a.live.txt", "a-%p-%n.folded"};
    pthread_t thread[THREADS];
    CHECK(hak_profile_write(file("none.folded")) == -1 && errno == EINVAL);
    hak_profile_stop();
    start_work(thread);
    for (unsigned i = 0; i < 60; i++) {
        CHECK(hak_profile_start(intervals[i % 6]) == 0);
        usleep(20000);
        if (i % 3 != 0)
            hak_profile_stop();
        if (i % 4 == 0)
            CHECK(hak_profile_write(file(names[i % 5])) == 0);
        if (i % 7 == 0)
            hak_trim(0);
    }
    end_work(thread);
    CHECK(hak_profile_write("/nowhere/at/all.folded") == -1 && errno == ENOENT);
    CHECK(hak_profile_write(file("a.svg")) == -1 && errno == EINVAL);
    CHECK(hak_profile_start(SIZE_MAX) == -1 && errno == EINVAL);
}

/* ---- exact ---- */

/* Bytes of the lines of a file of collapsed stacks that have a name in them. */
static unsigned long long sum_of(const char *path, const char *name)
{
    static char line[65536];
    unsigned long long sum = 0;
    FILE *f = fopen(path, "r");
    CHECKF(f != NULL, "%s", path);
    while (fgets(line, sizeof line, f) != NULL) {
        if (strstr(line, name) != NULL)
            sum += strtoull(strrchr(line, ' '), NULL, 10);
    }
    fclose(f);
    return sum;
}

/* Not static: their names are looked for. */
void profiled_malloc(void);
void profiled_calloc(void);
void profiled_aligned(void);
void profiled_large(void);
void profiled_grown(void);
void profiled_grown_large(void);
void profiled_freed(void);
void *profiled_thread(void *arg);

#define KEPT 1000
static void *kept[8][KEPT];

__attribute__((noinline)) void profiled_malloc(void)
{
    for (unsigned i = 0; i < KEPT; i++)
        kept[0][i] = malloc(100);
}

__attribute__((noinline)) void profiled_calloc(void)
{
    for (unsigned i = 0; i < KEPT; i++)
        kept[1][i] = calloc(10, 200);
}

__attribute__((noinline)) void profiled_aligned(void)
{
    for (unsigned i = 0; i < KEPT; i++)
        kept[2][i] = aligned_alloc(256, 256);
}

__attribute__((noinline)) void profiled_large(void)
{
    for (unsigned i = 0; i < KEPT; i++)
        kept[3][i] = malloc(40000);
}

/* Each grows twice where it is, or moves: the last is what lives. */
__attribute__((noinline)) void profiled_grown(void)
{
    for (unsigned i = 0; i < KEPT; i++) {
        kept[4][i] = realloc(NULL, 50);
        kept[4][i] = realloc(kept[4][i], 200);
        kept[4][i] = realloc(kept[4][i], 500);
    }
}

__attribute__((noinline)) void profiled_grown_large(void)
{
    for (unsigned i = 0; i < 10; i++) {
        kept[5][i] = malloc(50000);
        kept[5][i] = realloc(kept[5][i], 3000000);
        kept[5][i] = realloc(kept[5][i], 60000);
        kept[5][i] = realloc(kept[5][i], 50 << 20);
    }
}

__attribute__((noinline)) void profiled_freed(void)
{
    for (unsigned i = 0; i < KEPT; i++)
        free(malloc(1000));
}

static void *free_all(void *arg)
{
    (void)arg;
    for (unsigned k = 0; k < 8; k++) {
        for (unsigned i = 0; i < KEPT; i++)
            free(kept[k][i]);
    }
    return NULL;
}

static void expect(const char *name, unsigned long long peak, unsigned long long total, unsigned long long live)
{
    static const char *const moment[] = {"live", "peak", "total"};
    unsigned long long expected[] = {live, peak, total};
    for (unsigned i = 0; i < 3; i++) {
        char to[64];
        snprintf(to, sizeof to, "e.%s.folded", moment[i]);
        CHECK(hak_profile_write(file(to)) == 0);
        unsigned long long sum = sum_of(file(to), name);
        CHECKF(sum == expected[i], "%s, %s: %llu bytes, not %llu", name, moment[i], sum, expected[i]);
    }
}

static void count_exactly(void)
{
    pthread_t thread;
    CHECK(hak_profile_start(1) == 0);
    profiled_malloc();
    profiled_calloc();
    profiled_aligned();
    profiled_large();
    profiled_grown();
    profiled_freed();
    size_t tiny = hak_good_size(100) * KEPT, mid = hak_good_size(2000) * KEPT;
    expect(";profiled_malloc", tiny, tiny, tiny);
    expect(";profiled_calloc", mid, mid, mid);
    expect(";profiled_aligned", 256 * KEPT, 256 * KEPT, 256 * KEPT);
    expect(";profiled_large", 40960ull * KEPT, 40960ull * KEPT, 40960ull * KEPT);
    size_t grown = hak_good_size(500) * KEPT, all = grown + (hak_good_size(50) + hak_good_size(200)) * KEPT;
    expect(";profiled_grown", grown, all, grown);
    expect(";profiled_freed", 0, hak_good_size(1000) * KEPT, 0);
    profiled_grown_large();
    CHECK(hak_profile_write(file("e.live.folded")) == 0);
    unsigned long long large = 0;
    for (unsigned i = 0; i < 10; i++)
        large += hak_malloc_usable_size(kept[5][i]);
    CHECKF(sum_of(file("e.live.folded"), ";profiled_grown_large") == large, "%llu", large);
    CHECK(pthread_create(&thread, NULL, free_all, NULL) == 0 && pthread_join(thread, NULL) == 0);
    expect(";profiled_malloc", tiny, tiny, 0);
    expect(";profiled_large", 40960ull * KEPT, 40960ull * KEPT, 0);
    memset(kept, 0, sizeof kept);
    hak_profile_stop();
    profiled_malloc(); /* nobody counts them */
    expect(";profiled_malloc", tiny, tiny, 0);
    free_all(NULL);
}

/* ---- forks ---- */

static void be_child(unsigned number)
{
    uint64_t random = number + 77;
    static struct slot slots[SLOTS];
    if (number % 3 == 1)
        CHECK(hak_profile_start(1) == 0);
    for (unsigned i = 0; i < 3000; i++)
        change(&slots[random_below(&random, SLOTS)], &random);
    if (number % 2 == 0)
        CHECK(hak_profile_write(file("child-%p.folded")) == 0);
    if (number % 4 == 3)
        hak_profile_stop();
    for (unsigned i = 0; i < SLOTS; i++)
        free(slots[i].block);
    if (number % 5 == 0)
        exit(0);
    _exit(0);
}

static void fork_beside(unsigned children)
{
    pthread_t thread[THREADS];
    CHECK(hak_profile_start(2000) == 0);
    start_work(thread);
    for (unsigned i = 0; i < children; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            check_watchdog(60);
            be_child(i);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child);
        CHECKF(status == 0, "child %u: status %#x", i, (unsigned)status);
    }
    end_work(thread);
    CHECK(hak_profile_write(file("parent.folded")) == 0);
}

/* ---- threads ---- */

static void *_Atomic left_behind[64];

__attribute__((noinline)) void *profiled_thread(void *arg)
{
    unsigned char *block[8];
    for (unsigned i = 0; i < 8; i++) {
        block[i] = malloc(16 << i);
        CHECK(block[i] != NULL);
        memset(block[i], (int)i, 16 << i);
    }
    free(atomic_exchange(&left_behind[(uintptr_t)arg % 64], block[3]));
    for (unsigned i = 0; i < 8; i++) {
        if (i != 3)
            free(block[i]);
    }
    return NULL;
}

static void end_threads(unsigned n)
{
    CHECK(hak_profile_start(1) == 0);
    for (uintptr_t i = 0; i < n; i += 8) {
        pthread_t thread[8];
        for (unsigned k = 0; k < 8; k++)
            CHECK(pthread_create(&thread[k], NULL, profiled_thread, (void *)(i + k)) == 0);
        for (unsigned k = 0; k < 8; k++)
            CHECK(pthread_join(thread[k], NULL) == 0);
    }
    CHECK(hak_profile_write(file("t.live.folded")) == 0 && hak_profile_write(file("t.total.folded")) == 0);
    unsigned long long live = sum_of(file("t.live.folded"), ";profiled_thread");
    unsigned long long total = sum_of(file("t.total.folded"), ";profiled_thread"), each = 0;
    for (unsigned i = 0; i < 8; i++)
        each += hak_good_size(16 << i);
    CHECKF(live == 64 * hak_good_size(128), "%llu bytes live", live);
    CHECKF(total == each * n, "%llu bytes in all, not %llu", total, each * n);
}

/* ---- handler ---- */

enum { ROUNDS = 10 };
static atomic_int told, refusals;

static void on_signal(int number)
{
    int saved = errno, result = hak_profile_write("/dev/null/no.folded"), error = errno;
    CHECKF(result == -1 && (error == ENOTDIR || error == EPERM), "signal %d: %d, error %d", number, result, error);
    if (error == EPERM) {
        hak_profile_stop(); /* nor does that anything here */
        CHECK(hak_profile_start(1) == -1 && errno == EPERM);
    }
    atomic_fetch_add(error == EPERM ? &refusals : &told, 1);
    errno = saved;
}

static void *interrupt_and_write(void *arg)
{
    for (int sent = 0; !atomic_load(&stop);) {
        if (told + refusals == sent) {
            usleep(300); /* so that it comes somewhere in the loop */
            CHECK(pthread_kill(*(pthread_t *)arg, SIGUSR1) == 0);
            sent++;
        }
        CHECK(hak_profile_write("/dev/null/no.folded") == -1 && errno == ENOTDIR);
        usleep(100); /* the lock goes round */
    }
    return NULL;
}

/* Some of the interrupted calls hold a lock that the other thread needs for its copy of the profile. */
static void write_in_handlers(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    pthread_t thread, mine = pthread_self();
    CHECK(hak_profile_start(1) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
    CHECK(pthread_create(&thread, NULL, interrupt_and_write, &mine) == 0);
    while (told < ROUNDS || refusals < ROUNDS) {
        void *block = malloc(100);
        CHECK(block != NULL);
        for (unsigned i = 0; i < 50; i++)
            *(volatile unsigned char *)block = (unsigned char)i;
        free(block);
    }
    atomic_store(&stop, true);
    CHECK(pthread_join(thread, NULL) == 0);
    check_note("told %d times, refused %d times", told, refusals);
}

/* ---- wrong uses ---- */

static char *volatile hidden; /* the compiler is not to know that these are wrong */

__attribute__((noinline)) static char *asks_for_block(size_t size)
{
    hidden = malloc(size);
    memset(hidden, 'x', size);
    return hidden;
}

__attribute__((noinline)) static void frees_block(char *block)
{
    hidden = block;
    free(hidden);
    hidden = block;
}

static void frees_twice(size_t size)
{
    char *block = asks_for_block(size);
    frees_block(block);
    frees_block(block);
}

static void frees_middle(size_t size)
{
    frees_block(asks_for_block(size) + 48);
}

static void frees_unaligned(size_t size)
{
    frees_block(asks_for_block(size) + 5);
}

static void resizes_freed(size_t size)
{
    frees_block(asks_for_block(size));
    hidden = realloc(hidden, 2 * size);
}

static const struct wrong {
    void (*body)(size_t size);
    const char *line, *found;
} wrongs[] = {
    {frees_twice, "hakmem: double free of 0x", "frees_block"},
    {frees_middle, "hakmem: free of an interior pointer 0x", "frees_block"},
    {frees_unaligned, "hakmem: free of an interior pointer 0x", "frees_block"},
    {resizes_freed, "hakmem: realloc of the free block 0x", "resizes_freed"},
};

static const struct wrong *wrong;
static size_t wrong_size;

static void does_wrong(void *interval)
{
    if (*(size_t *)interval != 0)
        CHECK(hak_profile_start(*(size_t *)interval) == 0);
    wrong->body(wrong_size);
}

static void check_wrong(size_t interval)
{
    static struct death death;
    death_run(&death, does_wrong, &interval);
    const char *found = strstr(death.text, "\nhakmem: found in thread "),
               *asked = strstr(death.text, "\nhakmem: the block was asked for by ");
    CHECKF(WIFSIGNALED(death.status) && WTERMSIG(death.status) == SIGABRT && strstr(death.text, wrong->line) != NULL,
           "%s of %zu bytes: %s\n%s", wrong->line, wrong_size, death_describe(&death), death.text);
    if (interval == 1) {
        CHECKF(found != NULL && asked != NULL && found < asked, "who?\n%s", death.text);
        const char *here = strstr(found, wrong->found);
        CHECKF(here != NULL && here < asked, "not %s\n%s", wrong->found, death.text);
        CHECKF(strstr(asked, "asks_for_block") != NULL, "who asked?\n%s", death.text);
    } else {
        CHECKF(found == NULL && asked == NULL && death.lines == 1, "not known\n%s", death.text);
    }
}

static void do_wrongs(void)
{
    static const size_t sizes[] = {100, 3000, 20000, 100000};
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            wrong = &wrongs[i];
            wrong_size = sizes[j];
            check_wrong(1);
            check_wrong(0);
            check_wrong((size_t)1 << 40);
        }
    }
}

static void end_beside(void)
{
    static pthread_t thread[THREADS];
    CHECK(rmdir(folder) == 0 && hak_profile_start(500) == 0);
    start_work(thread);
    usleep(100000);
    exit(0);
}

int main(int count, char **arguments)
{
    const char *what = count > 1 ? arguments[1] : "";
    check_watchdog(150);
    CHECK(mkdtemp(folder) != NULL);
    if (strcmp(what, "begins") == 0)
        begin_and_end();
    else if (strcmp(what, "exact") == 0)
        count_exactly();
    else if (strcmp(what, "forks") == 0)
        fork_beside((unsigned)strtoul(arguments[2], NULL, 10));
    else if (strcmp(what, "handler") == 0)
        write_in_handlers();
    else if (strcmp(what, "wrongs") == 0)
        do_wrongs();
    else if (strcmp(what, "threads") == 0)
        end_threads((unsigned)check_fewer(strtoul(arguments[2], NULL, 10) / 8) * 8); /* eight at a time */
    else
        end_beside();
    char command[160];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) != 0;
}
