/* SPDX-License-Identifier: MIT
 *
 * What happens to a process while it is profiled, looked through for leaks, or has guarded blocks. The process is a
 * child of this one, started with that in its environment; then what it has left is looked at.
 *
 * usage: events profile|leaks|guard execs | unloaded LIBRARY | refused | threads | signals
 *
 * execs     it executes itself ten times, with live blocks, while threads allocate; the last one's report is whole
 * unloaded  who asked for blocks has been unloaded since: the report counts them, and a wrong use is told
 * refused   from its middle on, all system calls are refused that only these make: it goes on, and ends as ever
 * threads   10,000 threads, 50 at a time, whose blocks are freed by others
 * signals   a timer's signal each 200 us, while it allocates
 */
#include "check.h"
#include "needs.h"
#include "death.h"
#include "filter.h"
#include "pattern.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXECS = 10, THREADS = 10000, TOGETHER = 50, KEPT = 64, SIZE = 100 };

static char *volatile hidden; /* the compiler is not to know what becomes of blocks */

/* ---- work ---- */

static void work(unsigned steps, uint64_t random)
{
    unsigned char *kept[KEPT] = {NULL};
    for (unsigned i = 0; i < steps; i++) {
        unsigned at = (unsigned)random_below(&random, KEPT);
        size_t size = 1 + random_below(&random, random_below(&random, 100) == 0 ? 100000 : 2000);
        if (kept[at] != NULL)
            CHECK(kept[at][0] == at);
        free(kept[at]);
        kept[at] = malloc(size);
        CHECK(kept[at] != NULL);
        memset(kept[at], (int)at, size);
    }
    for (unsigned at = 0; at < KEPT; at++)
        free(kept[at]);
}

static void *work_for_ever(void *seed)
{
    for (;;)
        work(1000, (uint64_t)(uintptr_t)seed);
    return NULL;
}

/* ---- events ---- */

static void execute_again(char **arguments)
{
    const char *left = getenv("EVENTS_LEFT");
    char number[16];
    int n = left != NULL ? atoi(left) : EXECS;
    for (unsigned i = 1; i <= 2; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, work_for_ever, (void *)(uintptr_t)i) == 0);
    }
    work(20000, 7);
    if (n == 0)
        return;
    snprintf(number, sizeof number, "%d", n - 1);
    setenv("EVENTS_LEFT", number, 1);
    execv("/proc/self/exe", arguments);
    CHECK(errno == 0);
}

typedef void *take(size_t size);

static char *take_guarded(take *from)
{
    for (;;) {
        char *block = from(SIZE);
        CHECK(block != NULL);
        if (malloc_usable_size(block) == SIZE)
            return block;
        free(block);
    }
}

static void free_and_write(void *block)
{
    free(block);
    hidden = block;
    hidden[8] = 'w';
}

/* Two libraries, or as many as EVENTS_ROUNDS says, one after the other; the next may lie where the one before did. */
static void unload(const char *feature, const char *path)
{
    static void *blocks[2000];
    static struct death death;
    char *guarded = NULL;
    const char *rounds = getenv("EVENTS_ROUNDS");
    for (unsigned round = 0; round < (rounds != NULL ? (unsigned)atoi(rounds) : 2); round++) {
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        CHECKF(library != NULL, "%s", dlerror());
        take *from;
        *(void **)&from = dlsym(library, "events_take");
        CHECK(from != NULL);
        for (unsigned i = round % 2; i < 2000; i += 2) {
            free(blocks[i]);
            blocks[i] = from(1000);
        }
        if (strcmp(feature, "guard") == 0)
            guarded = take_guarded(from);
        CHECK(dlclose(library) == 0);
        work(2000, round);
    }
    for (unsigned i = 0; i < 1900; i++)
        free(blocks[i]);
    memset(blocks, 0, sizeof blocks); /* the rest is lost */
    if (guarded == NULL)
        return;
    death_run(&death, free_and_write, guarded);
    CHECKF(WIFSIGNALED(death.status) && WTERMSIG(death.status) == SIGSEGV && strstr(death.text, "use after free") &&
               strstr(death.text, "was asked for by thread ") && strstr(death.text, "    #0 0x"),
           "%s\n%s", death_describe(&death), death.text);
}

static void refuse(void)
{
    static const long calls[] = {SYS_prctl,  SYS_gettid, SYS_mprotect, SYS_rt_sigprocmask,
                                 SYS_openat, SYS_ptrace, SYS_wait4,    SYS_getdents64,
                                 SYS_clone,  SYS_clone3, SYS_mincore,  SYS_sched_yield};
    work(20000, 1);
    filter_refuse(calls, sizeof calls / sizeof *calls, EPERM);
    work(200000, 2);
}

static void *short_thread(void *from)
{
    void **place = from;
    free(*place);
    *place = malloc(SIZE + (size_t)(uintptr_t)place % 3000);
    work(20, (uint64_t)(uintptr_t)from);
    return NULL;
}

static void start_threads(void)
{
    static void *blocks[TOGETHER];
    pthread_t thread[TOGETHER];
    for (unsigned i = 0; i < check_fewer(THREADS / TOGETHER); i++) {
        for (unsigned n = 0; n < TOGETHER; n++)
            CHECK(pthread_create(&thread[n], NULL, short_thread, &blocks[n]) == 0);
        for (unsigned n = 0; n < TOGETHER; n++)
            CHECK(pthread_join(thread[n], NULL) == 0);
    }
}

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
    signals += number != 0;
}

static void be_interrupted(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
    while (signals < 500)
        work(1000, (uint64_t)signals);
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
}

/* ---- the two processes ---- */

static void happen(char **arguments)
{
    const char *event = arguments[2];
    if (strcmp(event, "signals") != 0)
        check_watchdog(120); /* SIGALRM is its own */
    if (strcmp(event, "execs") == 0)
        execute_again(arguments);
    else if (strcmp(event, "unloaded") == 0)
        unload(arguments[1], arguments[3]);
    else if (strcmp(event, "refused") == 0)
        refuse();
    else if (strcmp(event, "threads") == 0)
        start_threads();
    else
        be_interrupted();
    exit(0);
}

/* Bytes of all stacks in a file of collapsed ones, and of those that have a word. */
static double folded_bytes(const char *path, const char *word)
{
    static char line[65536];
    double sum = 0;
    FILE *file = fopen(path, "r");
    CHECKF(file != NULL, "no %s", path);
    while (fgets(line, sizeof line, file) != NULL) {
        const char *blank = strrchr(line, ' ');
        CHECK(blank != NULL);
        if (strstr(line, word) != NULL)
            sum += strtod(blank, NULL);
    }
    fclose(file);
    return sum;
}

static void check_profile(const char *path, const char *event)
{
    double sum = folded_bytes(path, "");
    CHECKF(sum > 1e6, "%.0f bytes", sum);
    if (strcmp(event, "unloaded") == 0) /* 1008 bytes each; main and unload are behind a frame without a name */
        CHECKF(folded_bytes(path, ";unload;") >= 2000 * 1008.0, "%.0f bytes", folded_bytes(path, ";unload;"));
}

static void check_leaks(const char *path, const char *event)
{
    static char text[1 << 20];
    FILE *file = fopen(path, "r");
    CHECKF(file != NULL, "no %s", path);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    CHECKF(strstr(text, "hakmem: ") != NULL && text[strlen(text) - 1] == '\n', "cut: %s", text);
    if (strcmp(event, "unloaded") == 0)
        CHECKF(strstr(text, " blocks, asked for by") != NULL && strstr(text, " in unload ") != NULL, "%s", text);
}

static void look_at_what_is_left(const char *folder, char **arguments)
{
    char path[128];
    bool refused = strcmp(arguments[2], "refused") == 0; /* no file can be opened */
    snprintf(path, sizeof path, "%s/%s", folder, arguments[1]);
    if (strcmp(arguments[1], "profile") == 0) {
        strcat(path, ".total.folded");
        CHECK((access(path, F_OK) != 0) == refused);
        if (!refused)
            check_profile(path, arguments[2]);
    } else if (strcmp(arguments[1], "leaks") == 0) {
        CHECK((access(path, F_OK) != 0) == refused);
        if (!refused)
            check_leaks(path, arguments[2]);
    }
}

static void set(const char *folder, const char *feature)
{
    char value[160];
    snprintf(value, sizeof value, "%s/profile.total.folded,1", folder);
    if (strcmp(feature, "profile") == 0)
        setenv("HAKMEM_PROFILE", value, 1);
    snprintf(value, sizeof value, "%s/leaks", folder);
    if (strcmp(feature, "leaks") == 0)
        setenv("HAKMEM_LEAKS", value, 1);
    if (strcmp(feature, "guard") == 0) {
        setenv("HAKMEM_GUARD", "1", 1);
        setenv("HAKMEM_GUARD_COST", "1000", 1);
    }
}

int main(int count, char **arguments)
{
    char folder[] = "/tmp/hakmem-events-XXXXXX", command[64];
    CHECK(count > 2);
    if (getenv("EVENTS_INSIDE") != NULL)
        happen(arguments);
    check_watchdog(140);
    need_execution();
    CHECK(mkdtemp(folder) != NULL);
    setenv("EVENTS_INSIDE", "1", 1);
    set(folder, arguments[1]);
    pid_t child = fork();
    if (child == 0) {
        execv("/proc/self/exe", arguments);
        _exit(127);
    }
    int status;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECKF(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
    look_at_what_is_left(folder, arguments);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    unsetenv("HAKMEM_PROFILE");
    unsetenv("HAKMEM_LEAKS");
    return system(command) != 0;
}
