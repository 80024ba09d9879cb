/* SPDX-License-Identifier: MIT
 *
 * `hakmem-trace replay`: replays a trace on one allocator after the other, some rounds, each time in a process of its
 * own (play.c), and prints what these tell: as a table, or as JSON.
 */
#define _GNU_SOURCE

#include "trace.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIBRARIES 32
#define ROUNDS_MOST 1000

extern char **environ;

enum { SECONDS, CALLS, HEAP, FAULTS, LIVE, RECORDED, EVENTS, TURNS, THREADS, REFUSED, FIGURES };

static const struct {
    const char *word; /* in play's line */
    const char *name; /* in the JSON */
} figures[FIGURES] = {
    [SECONDS] = {"elapsed_ns", "elapsed_ns"},
    [CALLS] = {"ops", "allocations"},
    [HEAP] = {"heap_peak_kib", "heap_peak_kib"},
    [FAULTS] = {"minor_faults", "minor_faults"},
    [LIVE] = {"peak_live_bytes", "peak_live_bytes"},
    [RECORDED] = {"recorded_peak_bytes", "recorded_peak_bytes"},
    [EVENTS] = {"events", "events"},
    [TURNS] = {"turns", "turns"},
    [THREADS] = {"threads", "threads"},
    [REFUSED] = {"refused", "refused"},
};

struct library {
    char name[64];
    const char *path; /* NULL: the C library's own malloc */
    uint64_t (*runs)[FIGURES];
};

static struct {
    struct library libraries[LIBRARIES];
    unsigned count, rounds;
    bool json;
    const char *output;
    char *trace;
} asked = {.rounds = 3};

/* ---- Arguments ---- */

_Noreturn static void usage(const char *what, const char *word)
{
    fprintf(stderr, "hakmem: replay: %s%s\nhakmem: hakmem replay --help tells more\n", what, word);
    exit(125);
}

/* A name that LD_PRELOAD can hold: the loader splits at blanks and colons. Links stay; one may be there for that. */
static char *absolute(const char *path)
{
    char *folder = NULL, *whole = NULL;
    if (access(path, R_OK) != 0)
        trace_die("replay: %s: %s", path, strerror(errno));
    if (*path != '/' && (folder = getcwd(NULL, 0)) == NULL)
        trace_die("replay: %s: %s", path, strerror(errno));
    if (asprintf(&whole, "%s%s%s", folder != NULL ? folder : "", folder != NULL ? "/" : "", path) < 0)
        trace_die("no memory");
    if (strpbrk(whole, " \t\n:$") != NULL)
        trace_die("replay: %s has a letter that a preload cannot have: make a link to it", whole);
    free(folder);
    return whole;
}

static void add_library(const char *text)
{
    const char *equals = strchr(text, '=');
    size_t length = equals != NULL ? (size_t)(equals - text) : strlen(text);
    struct library *library = &asked.libraries[asked.count];
    if (asked.count == LIBRARIES)
        usage("so many --lib are too many", "");
    if ((equals == NULL && strcmp(text, "glibc") != 0 && strcmp(text, "libc") != 0) || length == 0 ||
        length >= sizeof(library->name) || strcspn(text, "\"\\ ") < length)
        usage("--lib needs NAME=PATH, or libc for the C library's own malloc, not ", text);
    memcpy(library->name, text, length);
    library->name[length] = '\0';
    library->path = equals != NULL ? absolute(equals + 1) : NULL;
    asked.count++;
}

static const char *value_of(char ***words)
{
    const char *name = **words;
    if (*++*words == NULL)
        usage("a value is missing behind ", name);
    return **words;
}

static void read_words(char **words)
{
    for (; *words != NULL; words++) {
        if (strcmp(*words, "--json") == 0) {
            asked.json = true;
        } else if (strcmp(*words, "-o") == 0) {
            asked.output = value_of(&words);
        } else if (strcmp(*words, "--rounds") == 0) {
            const char *text = value_of(&words);
            char *end;
            unsigned long number = strtoul(text, &end, 10);
            if (*end != '\0' || number == 0 || number > ROUNDS_MOST)
                usage("--rounds needs a number from 1 to 1000, not ", text);
            asked.rounds = (unsigned)number;
        } else if (strcmp(*words, "--lib") == 0) {
            add_library(value_of(&words));
        } else if (**words == '-' || asked.trace != NULL) {
            usage(**words == '-' ? "unknown option " : "one word too many: ", *words);
        } else {
            asked.trace = *words;
        }
    }
    if (asked.trace == NULL)
        usage("no TRACE given", "");
    if (asked.count == 0)
        add_library("libc");
}

/* ---- Runs ---- */

/* Runs this program with the library preloaded. What it prints goes to `output` where that is not NULL. */
static int run(const struct library *library, const char *command, const char *argument, char *output, size_t room)
{
    char name[] = "hakmem-trace";
    char *words[] = {name, (char *)command, (char *)argument, NULL};
    posix_spawn_file_actions_t actions;
    int pipes[2], status = 0;
    pid_t child;
    if (library->path != NULL ? setenv("LD_PRELOAD", library->path, 1) != 0 : unsetenv("LD_PRELOAD") != 0)
        trace_die("no memory");
    if (pipe(pipes) != 0 || posix_spawn_file_actions_init(&actions) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, pipes[1], 1) != 0 ||
        posix_spawn_file_actions_addclose(&actions, pipes[0]) != 0)
        trace_die("replay: no pipe: %s", strerror(errno));
    int failed = posix_spawn(&child, "/proc/self/exe", &actions, NULL, words, environ);
    if (failed != 0)
        trace_die("replay: a process cannot be started: %s", strerror(failed));
    close(pipes[1]);
    posix_spawn_file_actions_destroy(&actions);
    for (ssize_t done = 1; room > 1 && (done > 0 || (done < 0 && errno == EINTR));) {
        done = read(pipes[0], output, room - 1);
        output += done > 0 ? done : 0;
        room -= done > 0 ? (size_t)done : 0;
        *output = '\0';
    }
    close(pipes[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFSIGNALED(status))
        trace_die("replay: with %s it was ended by signal %d (%s)", library->name, WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
    return WEXITSTATUS(status);
}

static void run_once(const struct library *library, uint64_t values[FIGURES])
{
    char line[1024] = " ";
    int status = run(library, "play", asked.trace, line + 1, sizeof(line) - 1);
    if (status != 0)
        exit(status); /* it has said why */
    for (unsigned which = 0; which < FIGURES; which++) {
        char name[64];
        snprintf(name, sizeof(name), " %s=", figures[which].word);
        const char *at = strstr(line, name);
        if (at == NULL)
            trace_die("replay: with %s there is no result", library->name);
        values[which] = strtoull(at + strlen(name), NULL, 10);
    }
}

/* The loader goes on without a library that it cannot load; such a run would be of another allocator. */
static void check_library(const struct library *library)
{
    char nothing[2];
    if (library->path != NULL && run(library, "loads", library->path, nothing, sizeof(nothing)) != 0)
        trace_die("replay: %s cannot be preloaded", library->path);
}

int trace_loads(char **words)
{
    return dlopen(words[0], RTLD_LAZY | RTLD_NOLOAD) != NULL ? 0 : 1;
}

/* ---- Results ---- */

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* Of all rounds: the least (0), the middle one (1), the most (2). */
static uint64_t figure(const struct library *library, unsigned which, unsigned what)
{
    uint64_t values[ROUNDS_MOST];
    for (unsigned round = 0; round < asked.rounds; round++)
        values[round] = library->runs[round][which];
    qsort(values, asked.rounds, sizeof(*values), compare);
    return values[what == 0 ? 0 : what == 1 ? asked.rounds / 2 : asked.rounds - 1];
}

static void print_json(FILE *file)
{
    fprintf(file, "{\"version\": 1, \"rounds\": %u, \"allocators\": [", asked.rounds);
    for (unsigned at = 0; at < asked.count; at++) {
        const struct library *library = &asked.libraries[at];
        fprintf(file, "%s\n {\"name\": \"%s\"", at != 0 ? "," : "", library->name);
        for (unsigned which = 0; which < FIGURES; which++) {
            fprintf(file, ", \"%s\": %" PRIu64, figures[which].name, figure(library, which, 1));
            if (which == SECONDS || which == HEAP)
                fprintf(file, ", \"%s_least\": %" PRIu64 ", \"%s_most\": %" PRIu64, figures[which].name,
                        figure(library, which, 0), figures[which].name, figure(library, which, 2));
        }
        fprintf(file, "}");
    }
    fprintf(file, "\n]}\n");
}

static void print_table(FILE *file)
{
    const struct library *first = &asked.libraries[0];
    double live = (double)figure(first, LIVE, 1);
    fprintf(file, "%s: %" PRIu64 " events, peak %.1f MiB live (%" PRIu64 " bytes; recorded: %" PRIu64 ")\n",
            asked.trace, figure(first, EVENTS, 1), live / 0x1p20, figure(first, LIVE, 1), figure(first, RECORDED, 1));
    fprintf(file, "%-12s %8s %17s %8s %9s %10s %9s\n", "", "seconds", "least-most", "Mop/s", "heap MiB", "heap/live",
            "faults");
    for (unsigned at = 0; at < asked.count; at++) {
        const struct library *library = &asked.libraries[at];
        char range[64];
        snprintf(range, sizeof(range), "%.3f-%.3f", (double)figure(library, SECONDS, 0) / 1e9,
                 (double)figure(library, SECONDS, 2) / 1e9);
        fprintf(file, "%-12s %8.3f %17s %8.2f %9.1f %10.2f %9" PRIu64 "\n", library->name,
                (double)figure(library, SECONDS, 1) / 1e9, range,
                (double)figure(library, CALLS, 1) * 1e3 / (double)figure(library, SECONDS, 1),
                (double)figure(library, HEAP, 1) / 1024,
                (double)figure(library, HEAP, 1) * 1024 / (live > 0 ? live : 1), figure(library, FAULTS, 1));
        if (figure(library, REFUSED, 2) != 0)
            fprintf(file, "  %s refused up to %" PRIu64 " allocations\n", library->name, figure(library, REFUSED, 2));
    }
}

/* On a terminal: one line, written again and again. */
__attribute__((format(printf, 1, 2))) static void say_progress(const char *format, ...)
{
    va_list more;
    if (!isatty(2))
        return;
    va_start(more, format);
    vfprintf(stderr, format, more);
    va_end(more);
}

/* [--lib NAME=PATH]... [--rounds N] [--json] [-o FILE] TRACE */
int trace_replay(char **words)
{
    signal(SIGCHLD, SIG_DFL); /* whoever ignores it may have started us: then no child's status comes */
    FILE *file = stdout;
    read_words(words);
    for (unsigned at = 0; at < asked.count; at++) {
        check_library(&asked.libraries[at]);
        asked.libraries[at].runs = calloc(asked.rounds, sizeof(*asked.libraries[at].runs));
        if (asked.libraries[at].runs == NULL)
            trace_die("no memory");
    }
    if (asked.output != NULL && (file = fopen(asked.output, "a")) == NULL)
        trace_die("replay: %s cannot be written: %s", asked.output, strerror(errno));
    for (unsigned round = 0; round < asked.rounds; round++) {
        for (unsigned at = 0; at < asked.count; at++) {
            const struct library *library = &asked.libraries[(at + round) % asked.count]; /* who is first moves on */
            say_progress("\r\033[Kround %u of %u, %s", round + 1, asked.rounds, library->name);
            run_once(library, library->runs[round]);
        }
    }
    say_progress("\r\033[K");
    if (asked.output != NULL && (file = freopen(asked.output, "w", file)) == NULL)
        trace_die("replay: %s cannot be written: %s", asked.output, strerror(errno));
    asked.json ? print_json(file) : print_table(file);
    if (fflush(file) != 0 || ferror(file))
        trace_die("replay: the result cannot be written: %s", strerror(errno));
    return 0;
}
