/* SPDX-License-Identifier: MIT
 *
 * Hand-over: threads that do nothing but add to one word. What an addition takes then is what a word costs that every
 * thread writes, and what a lock costs beside the time that it is held: its line goes from processor to processor, and
 * there it can be changed so often in a second and no more often, however many processors there are. Times are in ticks
 * of the processor's constant counter too, as `./hakmem bench scale` counts them.
 */
#include "support.h"

#include <stdatomic.h>

enum { ADDITIONS, THREADS };

static struct {
    _Alignas(128) _Atomic uint64_t word;
    _Alignas(128) _Atomic unsigned ready;
    uint64_t additions;
    unsigned threads;
} shared;

static uint64_t ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t now;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(now));
    return now;
#else
    return bench_clock();
#endif
}

static void *add(void *argument)
{
    unsigned turns = 0;
    bench_pin((unsigned)(uintptr_t)argument);
    atomic_fetch_add(&shared.ready, 1);
    while (atomic_load(&shared.ready) < shared.threads)
        bench_wait(&turns);
    for (uint64_t i = 0; i < shared.additions; i++)
        atomic_fetch_add_explicit(&shared.word, 1, memory_order_relaxed);
    return NULL;
}

int main(int argc, char **argv)
{
    struct bench_arg args[] = {
        [ADDITIONS] = {.name = "additions", .value = 5000000, .min = 1, .max = UINT32_MAX, .help = "of each thread"},
        [THREADS] = {.name = "threads", .value = 2, .min = 1, .max = BENCH_MAX_THREADS, .help = "at once"},
    };
    pthread_t threads[BENCH_MAX_THREADS];
    bench_args(argc, argv, "threads add to one word", args, BENCH_COUNT(args));
    shared.additions = args[ADDITIONS].value;
    shared.threads = (unsigned)args[THREADS].value;
    uint64_t start = bench_clock(), first = ticks();
    for (unsigned t = 0; t < shared.threads; t++)
        threads[t] = bench_thread(add, (void *)(uintptr_t)t);
    for (unsigned t = 0; t < shared.threads; t++)
        bench_join(threads[t]);
    uint64_t all = shared.threads * shared.additions;
    struct bench_line line = bench_stop(start, all);
    uint64_t passed = ticks() - first;
    bench_add(&line, "ticks_per_100", passed * 100 / all);
    bench_add(&line, "ticks_per_sec", (uint64_t)((double)passed * 1e9 / (double)(bench_clock() - start)));
    bench_print(&line);
    return 0;
}
