/* SPDX-License-Identifier: MIT
 *
 * options: what the user sets at run time: environment variables HAKMEM_<NAME>, read once at the start of the process,
 * and hak_option_set.
 *
 * Values are plain words, read without order by any thread at any time: each is one number whose change need not be
 * seen together with anything else. Knows nobody.
 */
#ifndef HK_BASE_OPTIONS_H
#define HK_BASE_OPTIONS_H

#include "base/atomic.h"
#include "base/compiler.h"

/* name, default, least, most, unit, sentence */
#define HK_OPTIONS(X)                                                                                                \
    X(STATS, 0, 0, 1, "", "1 prints a page about the heap to stderr at exit; json:PATH writes it as JSON")           \
    X(PURGE_DELAY_MS, 500, 0, 3600000, "ms", "how long free memory is kept before it goes back to the system")       \
    X(FRONT_BYTES, 131072, 4096, 16777216, "bytes", "the most that one thread's front cache holds")                  \
    X(FRONT_V2_CAP, 64, 4, 64, "blocks", "the most blocks of one class in one thread's front cache")                 \
    X(MIN_KEEP, 1048576, 0, 1073741824, "bytes", "free resident memory that is never purged while the program runs") \
    X(MEMORY_LIMIT, 0, 0, INT64_MAX, "bytes", "allocations beyond it fail; 0 is no limit, auto takes the cgroup's")  \
    X(MISUSE, 1, 0, 1, "", "abort (1) ends the process at a wrong free; warn (0) prints, ignores the call, goes on") \
    X(SS_EMPTY_REUSE, 1, 0, 1, "", "take EMPTY slabs of any class before untouched ones")                            \
    X(THP, 0, 0, 1, "", "1 lets the kernel use huge pages in the first arena too")

enum hk_option {
#define X(name, def, least, most, unit, text) HK_OPT_##name,
    HK_OPTIONS(X)
#undef X
        HK_OPTION_COUNT
};

/* Where HAKMEM_STATS=json:PATH points; empty when not asked for. */
extern HK_HIDDEN char hk_stats_path[256];

extern HK_HIDDEN _Atomic int64_t hk_option_values[HK_OPTION_COUNT];

static inline int64_t hk_opt(enum hk_option option)
{
    return hk_load_relaxed(&hk_option_values[option]);
}

/* Reads HAKMEM_ variables from envp; a wrong value prints one line and keeps the default, HAKMEM_OPTIONS=help prints
 * the table. Called once, before the program's main; never in set-uid programs. */
void hk_options_init(char **envp);

/* By name without HAKMEM_; false for an unknown name. */
bool hk_option_find(const char *name, enum hk_option *option);

/* False when out of bounds. */
bool hk_option_store(enum hk_option option, int64_t value);

#endif
