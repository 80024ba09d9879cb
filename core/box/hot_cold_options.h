/* SPDX-License-Identifier: MIT
 *
 * hot_cold_options: the options of the classifier; rows of the table of base/options.h.
 */
#ifndef HK_BOX_HOT_COLD_OPTIONS_H
#define HK_BOX_HOT_COLD_OPTIONS_H

#define HK_HOT_COLD_OPTIONS(CHOICE, NUMBER, TEXT, WORD, PATH)              \
    CHOICE(HOT_COLD, HK_HOT_COLD, "hot_cold=enabled", "hot_cold=disabled") \
    NUMBER(HOT_COLD_SCAN, 4, 1, 64, "slabs", HOT_COLD,                     \
           "slabs compared when a class needs another one; the fullest is taken")

#endif
