/* SPDX-License-Identifier: MIT
 *
 * purge_options: the options of purge; rows of the table of base/options.h.
 */
#ifndef HK_BOX_PURGE_OPTIONS_H
#define HK_BOX_PURGE_OPTIONS_H

#define HK_PURGE_OPTIONS(CHOICE, NUMBER, TEXT, WORD, PATH)                     \
    NUMBER(PURGE_DELAY_MS, 500, 0, 3600000, "ms", ANY,                         \
           "how long free memory is kept before it goes back to the system")   \
    NUMBER(MIN_KEEP, 1048576, 0, 1073741824, "bytes", ANY,                     \
           "free resident memory that is never purged while the program runs") \
    NUMBER(PURGE_THREAD, 0, 0, 1, "", ANY,                                     \
           "1 starts a thread that gives free memory back, in the place of the calls that free")

#endif
