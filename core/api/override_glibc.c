/* SPDX-License-Identifier: MIT
 *
 * glibc's questions and switches: mallinfo, mallopt, malloc_stats, malloc_info, with true figures in glibc's form. They
 * make no system call but for what they write. Left out with -Doverride=false, and where the C library has none of
 * them.
 */
#include "api/entry.h"
#include "api/usage.h"
#include "base/fmt.h"
#include "base/options.h"
#include "hakmem/hakmem.h"

#include <limits.h>
#include <malloc.h>

HK_EXPORT struct mallinfo2 mallinfo2(void)
{
    struct hk_usage u;
    hk_usage_read(&u, HK_USAGE_COUNTED);
    size_t small = u.live - u.huge;
    size_t free_bytes = u.slab_free + u.empty + u.run_free + u.front;
    struct mallinfo2 info = {
        .arena = small + free_bytes,
        .ordblks = u.free_blocks,
        .hblks = u.huge_blocks,
        .hblkhd = u.huge,
        .fsmblks = u.front,
        .uordblks = small,
        .fordblks = free_bytes,
        .keepcost = u.empty + u.run_free,
    };
    return info;
}

static int clip_to_int(size_t n)
{
    return n > INT_MAX ? INT_MAX : (int)n;
}

/* Superseded by mallinfo2, because its figures are ints; those are clipped and do not wrap. */
HK_EXPORT struct mallinfo mallinfo(void)
{
    struct mallinfo2 wide = mallinfo2();
    struct mallinfo info = {
        .arena = clip_to_int(wide.arena),
        .ordblks = clip_to_int(wide.ordblks),
        .hblks = clip_to_int(wide.hblks),
        .hblkhd = clip_to_int(wide.hblkhd),
        .fsmblks = clip_to_int(wide.fsmblks),
        .uordblks = clip_to_int(wide.uordblks),
        .fordblks = clip_to_int(wide.fordblks),
        .keepcost = clip_to_int(wide.keepcost),
    };
    return info;
}

HK_EXPORT struct mallinfo __libc_mallinfo(void) __attribute__((alias("mallinfo")));

/* M_TRIM_THRESHOLD is what may stay free; the thresholds and counts of glibc's own machinery have no counterpart and
 * are accepted, M_PERTURB too (a test on the fast path is not worth it). Unknown parameters: 1, as glibc. */
HK_EXPORT int mallopt(int param, int value)
{
    if (param == M_TRIM_THRESHOLD && value >= 0)
        hk_option_store(HK_OPT_MIN_KEEP, value);
    if (param == M_MXFAST && (value < 0 || (size_t)value > 80 * sizeof(size_t) / 4))
        return 0;
    return 1;
}

HK_EXPORT int __libc_mallopt(int param, int value) HK_ALIAS(mallopt);

/* glibc's lines; our own page is hak_stats_print. */
HK_EXPORT void malloc_stats(void)
{
    struct mallinfo2 info = mallinfo2();
    struct hk_fmt f;
    hk_fmt_start(&f, 2);
    hk_fmt(&f, "Arena 0:\nsystem bytes     = %10zu\nin use bytes     = %10zu\n", info.arena, info.uordblks);
    hk_fmt(&f, "Total (incl. mmap):\nsystem bytes     = %10zu\nin use bytes     = %10zu\n", info.arena + info.hblkhd,
           info.uordblks + info.hblkhd);
    hk_fmt(&f, "max mmap regions = %10zu\nmax mmap bytes   = %10zu\n", info.hblks, info.hblkhd);
    hk_fmt_end(&f);
}

/* One "heap" with what is free, then the system totals, as glibc's version 1. */
HK_EXPORT int malloc_info(int options, FILE *file)
{
    if (options != 0)
        return EINVAL;
    struct hk_usage u;
    hk_usage_read(&u, HK_USAGE_COUNTED);
    size_t free_bytes = u.slab_free + u.empty + u.run_free;
    fprintf(file, "<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n</sizes>\n");
    fprintf(file, "<total type=\"fast\" count=\"%zu\" size=\"%zu\"/>\n", u.front_blocks, u.front);
    fprintf(file, "<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n", u.free_blocks, free_bytes);
    fprintf(file, "<system type=\"current\" size=\"%zu\"/>\n<system type=\"max\" size=\"%zu\"/>\n", u.resident,
            u.mapped);
    fprintf(file, "<aspace type=\"total\" size=\"%zu\"/>\n<aspace type=\"mprotect\" size=\"%zu\"/>\n</heap>\n",
            u.mapped, u.mapped);
    fprintf(file, "<total type=\"fast\" count=\"%zu\" size=\"%zu\"/>\n", u.front_blocks, u.front);
    fprintf(file, "<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n", u.free_blocks, free_bytes);
    fprintf(file, "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n", u.huge_blocks, u.huge);
    fprintf(file, "<system type=\"current\" size=\"%zu\"/>\n<system type=\"max\" size=\"%zu\"/>\n", u.resident,
            u.mapped);
    fprintf(file, "<aspace type=\"total\" size=\"%zu\"/>\n<aspace type=\"mprotect\" size=\"%zu\"/>\n</malloc>\n",
            u.mapped, u.mapped);
    return 0;
}
