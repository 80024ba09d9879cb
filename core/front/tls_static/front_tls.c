/* SPDX-License-Identifier: MIT */
#include "front/front.h"

/* Named in HK_TLS_PTR's assembly. */
HK_TLS struct hk_front hk_front_tls HK_ALIGNED(HK_TLS_ALIGNMENT) __attribute__((used));
