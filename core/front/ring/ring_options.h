/* SPDX-License-Identifier: MIT
 *
 * ring_options: the options of the front ring; rows of the table of base/options.h.
 */
#ifndef HK_FRONT_RING_OPTIONS_H
#define HK_FRONT_RING_OPTIONS_H

#define HK_RING_OPTIONS(CHOICE, NUMBER, TEXT, WORD, PATH)                                             \
    CHOICE(FRONT_RING, HK_FRONT_RING, "front=ring", HK_FRONT_CHOICE)                                  \
    NUMBER(TINY_HOT_RING_ENABLE, 1, 0, 1, "", FRONT_RING, "0 takes this front's bins out of the way") \
    NUMBER(TINY_HOT_RING_C0, 255, 0, 255, "blocks", FRONT_RING,                                       \
           "entries for each class of C0 (16-64 bytes); 0 is none")                                   \
    NUMBER(TINY_HOT_RING_C1, 255, 0, 255, "blocks", FRONT_RING,                                       \
           "entries for each class of C1 (80-128 bytes); 0 is none")                                  \
    NUMBER(TINY_HOT_RING_C2, 128, 0, 255, "blocks", FRONT_RING,                                       \
           "entries for each class of C2 (144-192 bytes); 0 is none")                                 \
    NUMBER(TINY_HOT_RING_C3, 128, 0, 255, "blocks", FRONT_RING,                                       \
           "entries for each class of C3 (208-256 bytes); 0 is none")                                 \
    NUMBER(TINY_HOT_RING_C4, 128, 0, 255, "blocks", FRONT_RING,                                       \
           "entries for each class of C4 (288-384 bytes); 0 is none")                                 \
    NUMBER(TINY_HOT_RING_C5, 128, 0, 255, "blocks", FRONT_RING,                                       \
           "entries for each class of C5 (416-512 bytes); 0 is none")                                 \
    NUMBER(TINY_HOT_RING_C6, 128, 0, 255, "blocks", FRONT_RING,                                       \
           "entries for each class of C6 (576-768 bytes); 0 is none")                                 \
    NUMBER(TINY_HOT_RING_C7, 128, 0, 255, "blocks", FRONT_RING,                                       \
           "entries for each class of C7 (832-1024 bytes); 0 is none")

#endif
