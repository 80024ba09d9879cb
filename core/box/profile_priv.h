/* SPDX-License-Identifier: MIT
 *
 * profile_priv: what the files of the box share. Included by box/profile_sample.c and box/profile.c only.
 */
#ifndef HK_BOX_PROFILE_PRIV_H
#define HK_BOX_PROFILE_PRIV_H

#include "box/profile.h"

extern HK_HIDDEN _Atomic size_t hk_profile_interval; /* of the profile that is being made, or was; relaxed */

double hk_profile_negative_log(uint64_t n);
double hk_profile_share(double x);

#endif
