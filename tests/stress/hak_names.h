/* SPDX-License-Identifier: MIT
 *
 * What the stress programs call, by the hak_ names: for libraries without the C library's (-Doverride=false).
 */
#ifndef HK_TEST_HAK_NAMES_H
#define HK_TEST_HAK_NAMES_H

#include <hakmem/hakmem.h>
#include <malloc.h>
#include <stdlib.h>

/* What it says is not asked for; that it is counted is. */
static inline struct mallinfo2 hak_names_mallinfo2(void)
{
    struct mallinfo2 m = {0};
    struct hak_stats stats = {.size = sizeof stats};
    if (hak_stats(&stats) == 0)
        m.uordblks = stats.live_bytes;
    return m;
}

#define mallinfo2 hak_names_mallinfo2
#define malloc hak_malloc
#define calloc hak_calloc
#define realloc hak_realloc
#define free hak_free
#define aligned_alloc hak_aligned_alloc
#define posix_memalign hak_posix_memalign
#define memalign hak_memalign
#define malloc_usable_size hak_malloc_usable_size
#define malloc_trim hak_trim

#endif
