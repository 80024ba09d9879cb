/* SPDX-License-Identifier: MIT
 *
 * front_tls, pointer: a thread's bins lie in its record, and thread-local memory holds one pointer to them: 8 bytes,
 * so that the library can be dlopened late whatever else was. Each fast path has one load more. Included by
 * front/front.h only.
 *
 * Before a thread's first use, and after its end, the pointer leads to a shared front of zeros. That is in read-only
 * memory: its bins are both empty and full, so every path leaves before it would write to them.
 */
#ifndef HK_FRONT_TLS_H
#define HK_FRONT_TLS_H

extern HK_HIDDEN HK_TLS struct hk_front *hk_front_pointer;

/* Where the bins are, in a thread's record. */
struct hk_front_place {
    struct hk_front front HK_ALIGNED(HK_CACHE_LINE);
};

static HK_ALWAYS_INLINE struct hk_front *hk_front_self(void)
{
    return hk_front_pointer;
}

static inline struct hk_front *hk_front_mine(void)
{
    return hk_front_pointer;
}

struct hk_front *hk_front_open(struct hk_front_place *place);

static inline void hk_front_enter(struct hk_front *front)
{
    hk_front_pointer = front;
}

void hk_front_leave(struct hk_front *front);

#endif
