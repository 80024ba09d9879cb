/* SPDX-License-Identifier: MIT
 *
 * stats_options: the options of statistics; rows of the table of base/options.h.
 */
#ifndef HK_API_STATS_OPTIONS_H
#define HK_API_STATS_OPTIONS_H

#define HK_STATS_OPTIONS(CHOICE, NUMBER, TEXT, WORD, PATH)                                                             \
    CHOICE(STATS, HK_STATS, "stats=enabled", "stats=disabled")                                                         \
    NUMBER(STATS, 0, 0, 1, "", STATS, "1 prints a page about the heap to stderr at exit; json:PATH writes it as JSON") \
    PATH(STATS, "json:", hk_stats_path)                                                                                \
    NUMBER(TINY_FRONT_METRICS, 0, 0, 1, "", STATS, "1 prints what the fronts did, a line a class, to stderr at exit")  \
    NUMBER(SHARED_POOL_STAGE_STATS, 0, 0, 1, "", STATS,                                                                \
           "1 prints where slabs came from, a line a class, to stderr at exit")

#endif
