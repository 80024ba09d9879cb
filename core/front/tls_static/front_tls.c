/* SPDX-License-Identifier: MIT */
#include "front/front.h"

#include <string.h>

/* Named in HK_TLS_PTR's assembly. */
HK_TLS struct hk_front hk_front_tls HK_ALIGNED(HK_CACHE_LINE) __attribute__((used));

void hk_front_leave(struct hk_front *front)
{
    memset(front, 0, sizeof *front);
    front->thread = HK_THREAD_ENDED;
}
