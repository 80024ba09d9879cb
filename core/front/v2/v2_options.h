/* SPDX-License-Identifier: MIT
 *
 * v2_options: the options of the front v2. Rows of the table of base/options.h, which says what is in a row, and sees
 * nothing else of the box.
 */
#ifndef HK_FRONT_V2_OPTIONS_H
#define HK_FRONT_V2_OPTIONS_H

#define HK_V2_OPTIONS(CHOICE, NUMBER, TEXT, WORD, PATH)                                                               \
    CHOICE(FRONT_V2, HK_FRONT_V2, "front=v2", HK_FRONT_CHOICE)                                                        \
    NUMBER(TINY_FRONT_V2, 1, 0, 1, "", FRONT_V2, "0 takes this front's bins out of the way")                          \
    NUMBER(FRONT_V2_CAP, 512, 8, 512, "blocks", FRONT_V2, "the most blocks of one class in one thread's front cache") \
    NUMBER(FRONT_V2_OFF, 0, 0, 511, "", FRONT_V2,                                                                     \
           "class groups without bins, a sum: 1 is C0, 2 is C1, 4 is C2 ... 128 is C7, 256 is Mid")

#endif
