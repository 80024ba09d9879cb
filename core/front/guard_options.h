/* SPDX-License-Identifier: MIT
 *
 * guard_options: the options of guarded blocks; rows of the table of base/options.h.
 */
#ifndef HK_FRONT_GUARD_OPTIONS_H
#define HK_FRONT_GUARD_OPTIONS_H

#define HK_GUARD_OPTIONS(CHOICE, NUMBER, TEXT, WORD, PATH)                                                          \
    NUMBER(GUARD, 0, 0, 2, "", ANY,                                                                                 \
           "1 puts some blocks between pages that nobody may touch; no-thread: without a thread that chooses them") \
    NUMBER(GUARD_COST, 5, 1, 1000, "per mille", ANY, "how much of the time guarded blocks may take")                \
    NUMBER(GUARD_SLOTS, 512, 16, 16384, "", ANY, "guarded blocks, live and freed ones together")                    \
    WORD(GUARD, "no-thread", 2)

#endif
