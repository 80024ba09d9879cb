/* SPDX-License-Identifier: MIT
 *
 * ss_arena_options: the options of the SSArena; rows of the table of base/options.h.
 */
#ifndef HK_PAGES_SS_ARENA_OPTIONS_H
#define HK_PAGES_SS_ARENA_OPTIONS_H

#define HK_SS_ARENA_OPTIONS(CHOICE, NUMBER, TEXT, WORD, PATH)                    \
    NUMBER(MEMORY_LIMIT, 0, 0, INT64_MAX, "bytes", ANY,                          \
           "allocations beyond it fail; 0 is no limit, auto takes the cgroup's") \
    WORD(MEMORY_LIMIT, "auto", INT64_MAX)                                        \
    NUMBER(THP, 0, 0, 1, "", ANY, "1 asks for huge pages for all memory")        \
    NUMBER(HUGE_FROM, 16777216, 0, INT64_MAX, "bytes", ANY,                      \
           "asks for huge pages: tiny blocks of a thread with so much in slabs, blocks of half as much; 0: none")

#endif
