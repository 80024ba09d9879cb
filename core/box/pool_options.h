/* SPDX-License-Identifier: MIT
 *
 * pool_options: the options of the pool; rows of the table of base/options.h.
 */
#ifndef HK_BOX_POOL_OPTIONS_H
#define HK_BOX_POOL_OPTIONS_H

#define HK_POOL_OPTIONS(CHOICE, NUMBER, TEXT, WORD, PATH)                                                   \
    CHOICE(EMPTY_REUSE, HK_EMPTY_REUSE, "empty_reuse=enabled", "empty_reuse=disabled")                      \
    NUMBER(SS_EMPTY_REUSE, 1, 0, 1, "", EMPTY_REUSE, "take EMPTY slabs of any class before untouched ones") \
    NUMBER(SS_EMPTY_SCAN_LIMIT, 1, 1, 64, "SuperSlabs", EMPTY_REUSE,                                        \
           "SuperSlabs compared when an EMPTY slab is taken, from the lowest address up; the fullest is chosen")

#endif
