/* SPDX-License-Identifier: MIT */
#include "front/front.h"

#include <string.h>

static const struct hk_front never_used;
static const struct hk_front ended = {.thread = HK_THREAD_ENDED};

HK_TLS struct hk_front *hk_front_pointer = (struct hk_front *)&never_used;

/* The record may be one of a thread that a fork left behind, with what its bins held. */
struct hk_front *hk_front_open(struct hk_front_place *place)
{
    memset(&place->front, 0, sizeof place->front);
    return &place->front;
}

void hk_front_leave(struct hk_front *front)
{
    hk_front_pointer = (struct hk_front *)&ended;
}
