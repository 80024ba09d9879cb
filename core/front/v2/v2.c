/* SPDX-License-Identifier: MIT
 *
 * The array magazine: which classes have bins, and how large.
 */
#include "front/bin.h"

unsigned hk_v2_most(unsigned cls)
{
    return HK_BIN_MAX(hk_class_size(cls));
}

unsigned hk_bin_set_up(struct hk_thread *thread, unsigned cls)
{
    if (hk_opt(HK_OPT_FRONT_V2_OFF) >> hk_class_group(cls) & 1)
        return 0;
    hk_array_set_up(thread, cls, hk_v2_most(cls));
    return hk_v2_most(cls);
}
