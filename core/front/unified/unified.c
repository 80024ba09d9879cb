/* SPDX-License-Identifier: MIT
 *
 * The large arrays: which classes have them, and how large.
 */
#include "front/bin.h"

/* Blocks that the options give a class. */
static unsigned by_option(unsigned cls)
{
    static const enum hk_option entries[HK_CLASS_GROUPS - 1] = {
        HK_OPT_TINY_UNIFIED_C0, HK_OPT_TINY_UNIFIED_C1, HK_OPT_TINY_UNIFIED_C2, HK_OPT_TINY_UNIFIED_C3,
        HK_OPT_TINY_UNIFIED_C4, HK_OPT_TINY_UNIFIED_C5, HK_OPT_TINY_UNIFIED_C6, HK_OPT_TINY_UNIFIED_C7,
    };
    return cls <= HK_TINY_LAST ? (unsigned)hk_opt(entries[hk_class_group(cls)]) : HK_MID_ROOM(hk_class_size(cls));
}

unsigned hk_bin_set_up(struct hk_thread *thread, unsigned cls)
{
    unsigned most = by_option(cls);
    if (most < 2) /* a bin with room for one is bypassed */
        return 0;
    hk_array_set_up(thread, cls, most);
    return most;
}
