/* SPDX-License-Identifier: MIT
 *
 * Sizes at and around every border a block can fall on: class steps, the end of the small classes (1 KiB), of the Mid
 * classes (32 KiB), of page runs (32 MiB), pages and SuperSlabs.
 */
#ifndef HK_TEST_SIZES_H
#define HK_TEST_SIZES_H

#include <stddef.h>

static const size_t border_sizes[] = {
    1,       7,       8,       9,       15,      16,      17,       24,       31,       32,       33,
    48,      63,      64,      65,      100,     127,     128,      129,      255,      256,      257,
    288,     511,     512,     513,     575,     576,     1000,     1008,     1023,     1024,     1025,
    1040,    1151,    1152,    1153,    2047,    2048,    2049,     3000,     4080,     4095,     4096,
    4097,    6000,    8191,    8192,    8193,    12288,   16383,    16384,    16385,    20000,    28672,
    28673,   32767,   32768,   32769,   40000,   65535,   65536,    65537,    100000,   131071,   131072,
    200000,  262143,  262144,  262145,  500000,  524288,  1000000,  1048575,  1048576,  1048577,  2097151,
    2097152, 2097153, 3000000, 4194304, 8388608, 8388609, 16777216, 33554431, 33554432, 33554433, 40000000,
};
#define BORDER_SIZES (sizeof(border_sizes) / sizeof(border_sizes[0]))

#endif
