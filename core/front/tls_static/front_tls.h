/* SPDX-License-Identifier: MIT
 *
 * front_tls, static: a thread's bins lie in the library's static thread-local memory, which fast paths reach without a
 * load. Included by front/front.h only.
 */
#ifndef HK_FRONT_TLS_H
#define HK_FRONT_TLS_H

#include <stddef.h>
#include <string.h>

extern HK_HIDDEN HK_TLS struct hk_front hk_front_tls HK_ALIGNED(HK_TLS_ALIGNMENT);

/* A thread's record has no place for bins. */
struct hk_front_place {
    char none[0];
};

static HK_ALWAYS_INLINE struct hk_front HK_TLS_SPACE *hk_front_self(void)
{
    return HK_TLS_PTR(struct hk_front, hk_front_tls);
}

static inline struct hk_front *hk_front_mine(void)
{
    return &hk_front_tls;
}

static inline struct hk_front *hk_front_open(struct hk_front_place *place)
{
    return &hk_front_tls;
}

static inline void hk_front_enter(struct hk_front *front)
{
}

static inline void hk_front_leave(struct hk_front *front)
{
    front->thread = HK_THREAD_ENDED; /* first: a handler that finds NULL would make another record */
    hk_fence_signal();
    memset(front, 0, offsetof(struct hk_front, thread));
}

#endif
