/* SPDX-License-Identifier: MIT
 *
 * What every benchmark program shares: arguments, pinning, random numbers, timing and the result line.
 *
 * A benchmark is a plain C program that calls malloc and free of the C library, so that LD_PRELOAD chooses the
 * allocator. It keeps its own tables in mappings (bench_table), never in the allocator under test and never in large
 * static arrays, and it prints exactly one line. Include this header first: it asks for the GNU extensions.
 */
#ifndef BENCH_SUPPORT_H
#define BENCH_SUPPORT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BENCH_INLINE static inline __attribute__((always_inline, unused))
#define BENCH_FUNCTION static __attribute__((unused))
#if defined(__clang__)
#define BENCH_OPAQUE __attribute__((noinline, unused))
#else
#define BENCH_OPAQUE __attribute__((noipa, unused))
#endif
#define BENCH_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define BENCH_MAX_ITERATIONS (UINT64_C(1) << 48)
#define BENCH_MAX_SIZE (UINT64_C(1) << 40)
#define BENCH_MAX_THREADS 1024

_Noreturn BENCH_FUNCTION void bench_die(const char *what)
{
    dprintf(2, "bench: %s\n", what);
    exit(2);
}

/* ---- Arguments ---- */

/* One argument. All can be written as `--name VALUE` or `--name=VALUE`; those that are no flag can also be given by
 * position, in the order of the array. Numbers take the suffixes k, m and g (powers of 1024). */
struct bench_arg {
    const char *name;
    uint64_t value;    /* the default, then what was given; for a choice its index; for a flag 0 or 1 */
    uint64_t min, max; /* both included */
    const char *help;
    const char *const *choices; /* NULL-terminated words instead of a number */
    bool flag;
};

BENCH_FUNCTION void bench_help(const char *program, const char *summary, const struct bench_arg *args, size_t count)
{
    dprintf(1, "%s: %s\n\nusage: %s", program, summary, program);
    for (size_t i = 0; i < count; i++)
        dprintf(1, args[i].flag ? " [--%s]" : " [%s]", args[i].name);
    dprintf(1, "\n\n");
    for (size_t i = 0; i < count; i++) {
        const struct bench_arg *arg = &args[i];
        dprintf(1, "  --%-12s %s", arg->name, arg->help);
        if (arg->choices != NULL) {
            for (size_t c = 0; arg->choices[c] != NULL; c++)
                dprintf(1, "%s%s", c == 0 ? ": " : ", ", arg->choices[c]);
            dprintf(1, " (default %s)", arg->choices[arg->value]);
        } else if (!arg->flag) {
            dprintf(1, " (default %" PRIu64 ")", arg->value);
        }
        dprintf(1, "\n");
    }
    dprintf(1,
            "\nArguments are given by position or by name; numbers take the suffixes k, m and g (powers of 1024).\n");
}

BENCH_FUNCTION bool bench_number(const char *text, uint64_t *value)
{
    static const char suffixes[] = "kmg";
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    uint64_t number = strtoull(text, &end, 10);
    const char *suffix = *end != '\0' ? strchr(suffixes, *end | 0x20) : NULL;
    unsigned shift = suffix != NULL ? 10 * (unsigned)(suffix - suffixes + 1) : 0;
    if (end[suffix != NULL] != '\0' || number > UINT64_MAX >> shift)
        return false;
    *value = number << shift;
    return true;
}

BENCH_FUNCTION bool bench_set(struct bench_arg *arg, const char *text)
{
    if (arg->choices != NULL) {
        for (size_t c = 0; arg->choices[c] != NULL; c++) {
            if (strcmp(arg->choices[c], text) == 0) {
                arg->value = c;
                return true;
            }
        }
        return false;
    }
    return bench_number(text, &arg->value) && arg->value >= arg->min && arg->value <= arg->max;
}

_Noreturn BENCH_FUNCTION void bench_usage(const char *program, const char *what, const char *word)
{
    dprintf(2, "%s: %s: %s (see %s --help)\n", program, what, word, program);
    exit(2);
}

BENCH_FUNCTION void bench_args(int argc, char **argv, const char *summary, struct bench_arg *args, size_t count)
{
    const char *slash = strrchr(argv[0], '/');
    const char *program = slash != NULL ? slash + 1 : argv[0];
    size_t position = 0;
    for (int i = 1; i < argc; i++) {
        struct bench_arg *arg = NULL;
        const char *text = argv[i];
        if (strcmp(text, "--help") == 0) {
            bench_help(program, summary, args, count);
            exit(0);
        }
        if (strncmp(text, "--", 2) == 0) {
            size_t length = strcspn(text + 2, "=");
            for (size_t a = 0; a < count && arg == NULL; a++) {
                if (strlen(args[a].name) == length && strncmp(args[a].name, text + 2, length) == 0)
                    arg = &args[a];
            }
            if (arg == NULL)
                bench_usage(program, "unknown option", text);
            if (arg->flag && text[2 + length] == '\0') {
                arg->value = 1;
                continue;
            }
            if (arg->flag || (text[2 + length] == '\0' && i + 1 == argc))
                bench_usage(program, arg->flag ? "takes no value" : "needs a value", text);
            text = text[2 + length] == '=' ? text + 3 + length : argv[++i];
        } else {
            while (position < count && args[position].flag)
                position++;
            if (position == count)
                bench_usage(program, "one argument too many", text);
            arg = &args[position++];
        }
        if (!bench_set(arg, text))
            bench_usage(program, arg->name, text);
    }
}

/* ---- Memory of the benchmark itself ---- */

/* Zeroed and already touched, so that the timed loop pays for none of its page faults. */
BENCH_FUNCTION void *bench_table(size_t count, size_t size)
{
    void *table;
    if (count == 0 || size == 0 || count > BENCH_MAX_SIZE / size)
        bench_die("a table of this size is not possible");
    table = mmap(NULL, count * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (table == MAP_FAILED)
        bench_die("no memory for a table");
    return table;
}

/* ---- Random numbers: xorshift, 64 bits ---- */

BENCH_INLINE uint64_t bench_next(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

/* Different numbers for neighbouring seeds; never 0, where xorshift would stay. */
BENCH_INLINE uint64_t bench_seed(uint64_t seed)
{
    uint64_t state = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
    state = state != 0 ? state : 1;
    for (int i = 0; i < 8; i++)
        bench_next(&state);
    return state;
}

/* Maps 32 random bits to 0 ... range - 1 without a division. */
BENCH_INLINE uint32_t bench_scale(uint64_t random, uint32_t range)
{
    return (uint32_t)(((random & UINT32_MAX) * range) >> 32);
}

/* ---- Blocks ---- */

/* The first and the last byte. A malloc that failed ends in a segmentation fault, which the runner reports. */
BENCH_INLINE void bench_touch(char *block, size_t size, uint64_t value)
{
    block[0] = (char)value;
    block[size - 1] = (char)value;
}

/* --touch: what a program writes of a block. With `ends` an allocator that reuses memory at other offsets collects
 * pages that nobody but the bench would leave unwritten; `pages` is a program that fills its blocks, and its RSS tells
 * something about large ones. */
enum { BENCH_ENDS, BENCH_PAGES };
__attribute__((unused)) static const char *const bench_touch_words[] = {"ends", "pages", NULL};

/* The distance of the writes of bench_write: a page, or more than any block. */
BENCH_FUNCTION size_t bench_stride(uint64_t touch)
{
    return touch == BENCH_PAGES ? (size_t)sysconf(_SC_PAGESIZE) : SIZE_MAX;
}

BENCH_INLINE void bench_write(char *block, size_t size, uint64_t value, size_t stride)
{
    bench_touch(block, size, value);
    for (size_t at = stride; at < size; at += stride)
        block[at] = (char)value;
}

/* The inner step of several programs: frees a random slot if it holds a block and puts a new one of min ... min + span
 * - 1 bytes there. */
BENCH_INLINE void bench_replace(char **slots, uint32_t count, uint64_t *random, size_t min, uint32_t span)
{
    uint64_t bits = bench_next(random);
    char **slot = &slots[bench_scale(bits, count)];
    size_t size = min + bench_scale(bits >> 32, span);
    if (*slot != NULL)
        free(*slot);
    char *block = malloc(size);
    bench_touch(block, size, bits);
    *slot = block;
}

/* Stand for malloc and free in a loop that only counts itself (--loop-only). Calling one costs two instructions, the
 * call and the return, as much as the call of malloc and the jump through the PLT. So what callgrind counts more with
 * the real calls are the instructions inside malloc and free. */
BENCH_OPAQUE static void bench_no_malloc(size_t size)
{
    __asm__ volatile("" : : "r"(size) : "memory");
}

BENCH_OPAQUE static void bench_no_free(void *block)
{
    __asm__ volatile("" : : "r"(block) : "memory");
}

BENCH_FUNCTION void bench_free_all(char **slots, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(slots[i]);
        slots[i] = NULL;
    }
}

/* max - min + 1, checked to fit what bench_scale takes. */
BENCH_FUNCTION uint32_t bench_span(uint64_t min, uint64_t max)
{
    if (min > max || max - min >= UINT32_MAX)
        bench_die("MIN must not be above MAX");
    return (uint32_t)(max - min + 1);
}

/* ---- Threads ---- */

static cpu_set_t bench_cpus; /* what the process may run on, before any thread pinned itself */

/* Pins the calling thread to the index-th allowed processor, round robin. Every thread of a benchmark calls this first:
 * otherwise a virtual machine may pack two busy threads onto one core for seconds. The main thread calls it before it
 * starts others. */
BENCH_FUNCTION void bench_pin(unsigned index)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    if (CPU_COUNT(&bench_cpus) == 0 && sched_getaffinity(0, sizeof(bench_cpus), &bench_cpus) != 0)
        bench_die("sched_getaffinity failed");
    index %= (unsigned)CPU_COUNT(&bench_cpus);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &bench_cpus) && index-- == 0) {
            CPU_SET(cpu, &one);
            break;
        }
    }
    if (sched_setaffinity(0, sizeof(one), &one) != 0)
        bench_die("sched_setaffinity failed");
}

/* One turn of a wait for another thread: spins briefly, then gives the processor away, at once where there is only one.
 */
BENCH_INLINE void bench_wait(unsigned *turns)
{
    if (++*turns < 100 && CPU_COUNT(&bench_cpus) > 1) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#else
        __asm__ volatile("" ::: "memory");
#endif
    } else {
        sched_yield();
    }
}

BENCH_FUNCTION pthread_t bench_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, argument) != 0)
        bench_die("pthread_create failed");
    return thread;
}

BENCH_FUNCTION void bench_join(pthread_t thread)
{
    if (pthread_join(thread, NULL) != 0)
        bench_die("pthread_join failed");
}

/* One thread for each of `count` arguments of `size` bytes; returns when all have ended. */
BENCH_FUNCTION void bench_team(void *(*body)(void *), void *arguments, size_t size, size_t count)
{
    pthread_t threads[BENCH_MAX_THREADS];
    for (size_t t = 0; t < count; t++)
        threads[t] = bench_thread(body, (char *)arguments + t * size);
    for (size_t t = 0; t < count; t++)
        bench_join(threads[t]);
}

/* ---- Time and the result line ---- */

BENCH_INLINE uint64_t bench_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* The one line on stdout, before it is printed. */
struct bench_line {
    char text[512];
    size_t length;
};

BENCH_FUNCTION void bench_add(struct bench_line *line, const char *name, uint64_t value)
{
    size_t room = sizeof(line->text) - line->length;
    int length = snprintf(line->text + line->length, room, "%s%s=%" PRIu64, line->length != 0 ? " " : "", name, value);
    if (length < 0 || (size_t)length >= room)
        bench_die("the result is too long");
    line->length += (size_t)length;
}

/* `start` is bench_clock() before the measured loop; this function must be called right after it. One operation is one
 * malloc and one free. Peak RSS and faults are those of the whole program so far. */
BENCH_FUNCTION struct bench_line bench_stop(uint64_t start, uint64_t operations)
{
    uint64_t elapsed = bench_clock() - start;
    double rate = elapsed != 0 ? (double)operations * 1e9 / (double)elapsed : 0;
    struct rusage usage;
    struct bench_line line = {.length = 0};
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        bench_die("getrusage failed");
    bench_add(&line, "ops_per_sec", (uint64_t)rate);
    bench_add(&line, "ops", operations);
    bench_add(&line, "elapsed_ns", elapsed);
    bench_add(&line, "peak_rss_kib", (uint64_t)usage.ru_maxrss);
    bench_add(&line, "minor_faults", (uint64_t)usage.ru_minflt);
    bench_add(&line, "major_faults", (uint64_t)usage.ru_majflt);
    return line;
}

BENCH_FUNCTION void bench_print(struct bench_line *line)
{
    line->text[line->length] = '\n';
    if (write(1, line->text, line->length + 1) != (ssize_t)(line->length + 1))
        bench_die("cannot write the result");
}

/* Where there is nothing to add. */
BENCH_FUNCTION void bench_result(uint64_t start, uint64_t operations)
{
    struct bench_line line = bench_stop(start, operations);
    bench_print(&line);
}

#endif
