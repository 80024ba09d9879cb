/* SPDX-License-Identifier: MIT */
#include "front/front.h"

#include <string.h>

HK_TLS struct hk_front hk_front_tls __attribute__((used)); /* named in HK_TLS_PTR's assembly */

void hk_front_leave(struct hk_front *front)
{
    memset(front, 0, sizeof *front);
    front->thread = HK_THREAD_ENDED;
}
