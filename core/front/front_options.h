/* SPDX-License-Identifier: MIT
 *
 * front_options: the options of all fronts; rows of the table of base/options.h.
 */
#ifndef HK_FRONT_FRONT_OPTIONS_H
#define HK_FRONT_FRONT_OPTIONS_H

#define HK_FRONT_OPTIONS(CHOICE, NUMBER, TEXT, WORD, PATH)                                                             \
    CHOICE(FRONT_BINS, HK_FRONT_BINS, "front=v2", HK_FRONT_CHOICE)                                                     \
    NUMBER(FRONT_BYTES, 1048576, 4096, 16777216, "bytes", ANY,                                                         \
           "the most that a front cache holds, and that waits between them; shares of it with more than four threads") \
    NUMBER(TINY_FRONT_SLIM, 0, 0, 1, "", FRONT_BINS, "1 takes all bins out of the way, whichever front is built in")

#endif
