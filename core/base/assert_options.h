/* SPDX-License-Identifier: MIT
 *
 * assert_options: the options of every build, and what a wrong free does; rows of the table of base/options.h.
 */
#ifndef HK_BASE_ASSERT_OPTIONS_H
#define HK_BASE_ASSERT_OPTIONS_H

#define HK_ASSERT_OPTIONS(CHOICE, NUMBER, TEXT, WORD, PATH)                                          \
    CHOICE(ANY, 1, "", "")                                                                           \
    NUMBER(MISUSE, 1, 0, 1, "", ANY,                                                                 \
           "abort (1) ends the process at a wrong free; warn (0) prints, ignores the call, goes on") \
    WORD(MISUSE, "abort", 1)                                                                         \
    WORD(MISUSE, "warn", 0)

#endif
