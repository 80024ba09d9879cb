/* SPDX-License-Identifier: MIT
 *
 * numa_options: the options of NUMA; rows of the table of base/options.h.
 */
#ifndef HK_OS_NUMA_OPTIONS_H
#define HK_OS_NUMA_OPTIONS_H

#define HK_NUMA_OPTIONS(CHOICE, NUMBER, TEXT, WORD, PATH) \
    CHOICE(NUMA, HK_NUMA, "numa=auto", "numa=disabled")   \
    NUMBER(NUMA, 1, 0, 1, "", NUMA,                       \
           "memory from the node that a thread runs on, where there are two or more; 0 leaves it to the system")

#endif
