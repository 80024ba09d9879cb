/* SPDX-License-Identifier: MIT
 *
 * The structures of statistics in C++, where the function hak_stats hides the structure of that name unless it is asked
 * for as one: declared empty, filled, and compared, with every warning an error.
 */
#include <hakmem/hakmem.h>

bool hk_test_braces();

bool hk_test_braces()
{
    /* clang-format takes it for a definition. */
    /* clang-format off */
    struct hak_stats s{};
    /* clang-format on */
    s.size = sizeof s;
    struct hak_class_stats classes[4]{};
    struct hak_class_stats one = {};
    int count = hak_stats_classes(classes, sizeof classes[0], 4);
    return hak_stats(&s) == 0 && count > 0 && s.peak_live_bytes >= s.live_bytes &&
           classes[0].block_bytes != one.block_bytes;
}
