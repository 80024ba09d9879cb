/* SPDX-License-Identifier: MIT
 *
 * walls_options: the options of walls; rows of the table of base/options.h.
 */
#ifndef HK_LARGE_WALLS_OPTIONS_H
#define HK_LARGE_WALLS_OPTIONS_H

#define HK_WALLS_OPTIONS(CHOICE, NUMBER, TEXT, WORD, PATH)        \
    CHOICE(WALLS, HK_GUARDS, "guards=enabled", "guards=disabled") \
    NUMBER(WALL_EVERY, 64, 1, 1000000, "runs", WALLS,             \
           "one page run in so many ends before a page that nobody may touch")

#endif
