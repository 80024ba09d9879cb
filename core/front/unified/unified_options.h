/* SPDX-License-Identifier: MIT
 *
 * unified_options: the options of the front unified; rows of the table of base/options.h.
 */
#ifndef HK_FRONT_UNIFIED_OPTIONS_H
#define HK_FRONT_UNIFIED_OPTIONS_H

#define HK_UNIFIED_OPTIONS(CHOICE, NUMBER, TEXT, WORD, PATH)                                           \
    CHOICE(FRONT_UNIFIED, HK_FRONT_UNIFIED, "front=unified", HK_FRONT_CHOICE)                          \
    NUMBER(TINY_UNIFIED_CACHE, 1, 0, 1, "", FRONT_UNIFIED, "0 takes this front's bins out of the way") \
    NUMBER(TINY_UNIFIED_C0, 256, 0, 256, "blocks", FRONT_UNIFIED,                                      \
           "entries for each class of C0 (16-64 bytes); 0 is none")                                    \
    NUMBER(TINY_UNIFIED_C1, 256, 0, 256, "blocks", FRONT_UNIFIED,                                      \
           "entries for each class of C1 (80-128 bytes); 0 is none")                                   \
    NUMBER(TINY_UNIFIED_C2, 128, 0, 256, "blocks", FRONT_UNIFIED,                                      \
           "entries for each class of C2 (144-192 bytes); 0 is none")                                  \
    NUMBER(TINY_UNIFIED_C3, 128, 0, 256, "blocks", FRONT_UNIFIED,                                      \
           "entries for each class of C3 (208-256 bytes); 0 is none")                                  \
    NUMBER(TINY_UNIFIED_C4, 64, 0, 256, "blocks", FRONT_UNIFIED,                                       \
           "entries for each class of C4 (288-384 bytes); 0 is none")                                  \
    NUMBER(TINY_UNIFIED_C5, 64, 0, 256, "blocks", FRONT_UNIFIED,                                       \
           "entries for each class of C5 (416-512 bytes); 0 is none")                                  \
    NUMBER(TINY_UNIFIED_C6, 32, 0, 256, "blocks", FRONT_UNIFIED,                                       \
           "entries for each class of C6 (576-768 bytes); 0 is none")                                  \
    NUMBER(TINY_UNIFIED_C7, 32, 0, 256, "blocks", FRONT_UNIFIED,                                       \
           "entries for each class of C7 (832-1024 bytes); 0 is none")

#endif
