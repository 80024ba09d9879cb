/* SPDX-License-Identifier: MIT
 *
 * options: what the user sets at run time: environment variables HAKMEM_<NAME>, read once at the start of the process,
 * and hak_option_set.
 *
 * Values are plain words, read without order by any thread at any time: each is one number whose change need not be
 * seen together with anything else. Texts are set once, at the start. Knows no box: a row names the box that it is for,
 * and whether that is built in is a constant of the build.
 */
#ifndef HK_BASE_OPTIONS_H
#define HK_BASE_OPTIONS_H

#include "base/atomic.h"
#include "base/compiler.h"
#include "config.h"

/* The boxes that an option may need: name, built in (0 or 1), the build options that put it in, what this build has */
#define HK_OPTION_BOXES(X)                                                        \
    X(ANY, 1, "", "")                                                             \
    X(FRONT_BINS, HK_FRONT_BINS, "front=v2", HK_FRONT_CHOICE)                     \
    X(FRONT_V2, HK_FRONT_V2, "front=v2", HK_FRONT_CHOICE)                         \
    X(FRONT_UNIFIED, HK_FRONT_UNIFIED, "front=unified", HK_FRONT_CHOICE)          \
    X(FRONT_RING, HK_FRONT_RING, "front=ring", HK_FRONT_CHOICE)                   \
    X(HOT_COLD, HK_HOT_COLD, "hot_cold=enabled", "hot_cold=disabled")             \
    X(HOT_SPAN, HK_HOT_SPAN, "hot_span=enabled", "hot_span=disabled")             \
    X(EMPTY_REUSE, HK_EMPTY_REUSE, "empty_reuse=enabled", "empty_reuse=disabled") \
    X(NUMA, HK_NUMA, "numa=auto", "numa=disabled")                                \
    X(STATS, HK_STATS, "stats=enabled", "stats=disabled")

/* Numbers: name, default, least, most, unit, box, sentence */
#define HK_OPTIONS(X)                                                                                                  \
    X(STATS, 0, 0, 1, "", STATS, "1 prints a page about the heap to stderr at exit; json:PATH writes it as JSON")      \
    X(TINY_FRONT_METRICS, 0, 0, 1, "", STATS, "1 prints what the fronts did, a line a class, to stderr at exit")       \
    X(SHARED_POOL_STAGE_STATS, 0, 0, 1, "", STATS,                                                                     \
      "1 prints where slabs came from, a line a class, to stderr at exit")                                             \
    X(PURGE_DELAY_MS, 500, 0, 3600000, "ms", ANY, "how long free memory is kept before it goes back to the system")    \
    X(FRONT_BYTES, 131072, 4096, 16777216, "bytes", ANY,                                                               \
      "the most that one thread's front cache holds, and that may wait for it from other threads")                     \
    X(TINY_FRONT_SLIM, 0, 0, 1, "", FRONT_BINS, "1 takes all bins out of the way, whichever front is built in")        \
    X(TINY_FRONT_V2, 1, 0, 1, "", FRONT_V2, "0 takes this front's bins out of the way")                                \
    X(TINY_UNIFIED_CACHE, 1, 0, 1, "", FRONT_UNIFIED, "0 takes this front's bins out of the way")                      \
    X(TINY_HOT_RING_ENABLE, 1, 0, 1, "", FRONT_RING, "0 takes this front's bins out of the way")                       \
    X(FRONT_V2_CAP, 256, 8, 256, "blocks", FRONT_V2, "the most blocks of one class in one thread's front cache")       \
    X(FRONT_V2_OFF, 0, 0, 511, "", FRONT_V2,                                                                           \
      "class groups without bins, a sum: 1 is C0, 2 is C1, 4 is C2 ... 128 is C7, 256 is Mid")                         \
    X(TINY_UNIFIED_C0, 256, 0, 256, "blocks", FRONT_UNIFIED, "entries for each class of C0 (16-64 bytes); 0 is none")  \
    X(TINY_UNIFIED_C1, 256, 0, 256, "blocks", FRONT_UNIFIED, "entries for each class of C1 (80-128 bytes); 0 is none") \
    X(TINY_UNIFIED_C2, 128, 0, 256, "blocks", FRONT_UNIFIED,                                                           \
      "entries for each class of C2 (144-192 bytes); 0 is none")                                                       \
    X(TINY_UNIFIED_C3, 128, 0, 256, "blocks", FRONT_UNIFIED,                                                           \
      "entries for each class of C3 (208-256 bytes); 0 is none")                                                       \
    X(TINY_UNIFIED_C4, 64, 0, 256, "blocks", FRONT_UNIFIED, "entries for each class of C4 (288-384 bytes); 0 is none") \
    X(TINY_UNIFIED_C5, 64, 0, 256, "blocks", FRONT_UNIFIED, "entries for each class of C5 (416-512 bytes); 0 is none") \
    X(TINY_UNIFIED_C6, 32, 0, 256, "blocks", FRONT_UNIFIED, "entries for each class of C6 (576-768 bytes); 0 is none") \
    X(TINY_UNIFIED_C7, 32, 0, 256, "blocks", FRONT_UNIFIED,                                                            \
      "entries for each class of C7 (832-1024 bytes); 0 is none")                                                      \
    X(TINY_HOT_RING_C0, 64, 0, 64, "blocks", FRONT_RING, "entries for each class of C0 (16-64 bytes); 0 is none")      \
    X(TINY_HOT_RING_C1, 64, 0, 64, "blocks", FRONT_RING, "entries for each class of C1 (80-128 bytes); 0 is none")     \
    X(TINY_HOT_RING_C2, 64, 0, 64, "blocks", FRONT_RING, "entries for each class of C2 (144-192 bytes); 0 is none")    \
    X(TINY_HOT_RING_C3, 64, 0, 64, "blocks", FRONT_RING, "entries for each class of C3 (208-256 bytes); 0 is none")    \
    X(TINY_HOT_RING_C4, 32, 0, 64, "blocks", FRONT_RING, "entries for each class of C4 (288-384 bytes); 0 is none")    \
    X(TINY_HOT_RING_C5, 32, 0, 64, "blocks", FRONT_RING, "entries for each class of C5 (416-512 bytes); 0 is none")    \
    X(TINY_HOT_RING_C6, 16, 0, 64, "blocks", FRONT_RING, "entries for each class of C6 (576-768 bytes); 0 is none")    \
    X(TINY_HOT_RING_C7, 16, 0, 64, "blocks", FRONT_RING, "entries for each class of C7 (832-1024 bytes); 0 is none")   \
    X(MIN_KEEP, 1048576, 0, 1073741824, "bytes", ANY,                                                                  \
      "free resident memory that is never purged while the program runs")                                              \
    X(PURGE_THREAD, 0, 0, 1, "", ANY,                                                                                  \
      "1 starts a thread that gives free memory back, in the place of the calls that free")                            \
    X(MEMORY_LIMIT, 0, 0, INT64_MAX, "bytes", ANY,                                                                     \
      "allocations beyond it fail; 0 is no limit, auto takes the cgroup's")                                            \
    X(MISUSE, 1, 0, 1, "", ANY,                                                                                        \
      "abort (1) ends the process at a wrong free; warn (0) prints, ignores the call, goes on")                        \
    X(SS_EMPTY_REUSE, 1, 0, 1, "", EMPTY_REUSE, "take EMPTY slabs of any class before untouched ones")                 \
    X(THP, 0, 0, 1, "", ANY, "1 lets the kernel use huge pages in the first 64 MiB too")                               \
    X(NUMA, 1, 0, 1, "", NUMA,                                                                                         \
      "memory from the node that a thread runs on, where there are two or more; 0 leaves it to the system")            \
    X(HEAP_PICTURE_SIGNAL, 0, 0, 64, "", ANY,                                                                          \
      "the signal that asks for a picture of the heap while the program runs; 0 is none")                              \
    X(SS_EMPTY_SCAN_LIMIT, 4, 1, 64, "slabs", HOT_COLD,                                                                \
      "slabs compared when a class needs another one; the fullest is taken")

/* Texts: name, box, sentence. */
#define HK_TEXT_OPTIONS(X) \
    X(HEAP_PICTURE, ANY,   \
      "PATH of the page that shows the heap at exit; %p is the process id, %n the number of the page")

enum hk_option {
#define X(name, def, least, most, unit, box, text) HK_OPT_##name,
    HK_OPTIONS(X)
#undef X
        HK_OPTION_COUNT
};

enum hk_text_option {
#define X(name, box, text) HK_TEXT_##name,
    HK_TEXT_OPTIONS(X)
#undef X
        HK_TEXT_COUNT
};

#define HK_TEXT_BYTES 256u /* room for one text and its final zero */

extern HK_HIDDEN char hk_option_texts[HK_TEXT_COUNT][HK_TEXT_BYTES];

/* Where HAKMEM_STATS=json:PATH points; empty when not asked for. */
extern HK_HIDDEN char hk_stats_path[HK_TEXT_BYTES];

extern HK_HIDDEN _Atomic int64_t hk_option_values[HK_OPTION_COUNT];

static inline int64_t hk_opt(enum hk_option option)
{
    return hk_load_relaxed(&hk_option_values[option]);
}

/* Empty when not asked for. Set before the program's main, constant from then on. */
static inline const char *hk_opt_text(enum hk_text_option option)
{
    return hk_option_texts[option];
}

/* Reads HAKMEM_ variables from envp. One line says that a value is wrong (the option keeps what it had), that a name is
 * unknown, or that the option's box is not built in; HAKMEM_OPTIONS=help prints the table. Called once, before the
 * program's main; never in set-uid programs. */
HK_ONCE void hk_options_init(char **envp);

/* By name without HAKMEM_; false for an unknown name. */
bool hk_option_find(const char *name, enum hk_option *option);

/* Whether the box that the option is for is part of this build. */
bool hk_option_is_built(enum hk_option option);

/* False when out of bounds. */
bool hk_option_store(enum hk_option option, int64_t value);

#endif
