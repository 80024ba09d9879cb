/* SPDX-License-Identifier: MIT
 *
 * leaks_options: the options of the search for leaks; rows of the table of base/options.h.
 */
#ifndef HK_API_LEAKS_OPTIONS_H
#define HK_API_LEAKS_OPTIONS_H

#define HK_LEAKS_OPTIONS(CHOICE, NUMBER, TEXT, WORD, PATH)                                                       \
    TEXT(LEAKS, ANY, "PATH of a report at exit on blocks that nothing points to any more; 1: on stderr; %p, %n") \
    TEXT(LEAKS_IGNORED, ANY, "PATH of a file with lines leak:PATTERN: leaks with such a function or file are none")

#endif
