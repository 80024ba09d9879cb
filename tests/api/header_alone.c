/* SPDX-License-Identifier: MIT
 *
 * The public header, first and alone: compiled as C11 and as C++17 with every warning an error.
 */
#include <hakmem/hakmem.h>

struct hak_stats hk_test_stats;

int hk_test_header(void);

int hk_test_header(void)
{
    void *block = hak_malloc(HAKMEM_VERSION_MAJOR + 1);
    hak_free(block);
    hk_test_stats.size = sizeof(hk_test_stats);
    return hak_stats(&hk_test_stats);
}
