/* SPDX-License-Identifier: MIT
 *
 * The tables of size_class.h, all made from the two lists of sizes; tests/unit/test_size_class.c checks them against
 * every rule of the header.
 */
#include "superslab/size_class.h"

#define MID_SLABS(size) ((size) > HK_SLAB_SIZE / 4 && 2 * HK_SLAB_SIZE / (size) > HK_SLAB_SIZE / (size)*2 ? 2 : 1)
#define INFO(size, n) {(size), MID_SLABS(size)},

#define IS_FILLED(size, slabs) ((slabs)*HK_SLAB_SIZE >= (size) && (slabs)*HK_SLAB_SIZE % (size) < (size) / 16)
#define WIDE_SLABS(size) \
    (IS_FILLED(size, 1) ? 1 : IS_FILLED(size, 2) ? 2 : IS_FILLED(size, 3) ? 3 : IS_FILLED(size, 4) ? 4 : HK_SPAN_MAX)
#define WIDE_INFO(size, n) {(size), WIDE_SLABS(size)},

const struct hk_class_info hk_class_table[HK_CLASS_COUNT] = {{0, 0}, /* no class */
                                                             HK_TINY_CLASSES(INFO, 0) HK_MID_CLASSES(INFO, 0)
                                                                 HK_WIDE_CLASSES(WIDE_INFO, 0)};

/* One more than the number of classes whose blocks are too small. */
#define TOO_SMALL(size, n) +((size) < (n))
#define CLASS_OF(n) (1 HK_TINY_CLASSES(TOO_SMALL, n))
#define EIGHT_FROM(n)                                                                                                \
    CLASS_OF(n), CLASS_OF((n) + 16), CLASS_OF((n) + 32), CLASS_OF((n) + 48), CLASS_OF((n) + 64), CLASS_OF((n) + 80), \
        CLASS_OF((n) + 96), CLASS_OF((n) + 112)

const uint8_t hk_tiny_class[HK_TINY_MAX / 16 + 1] = {
    EIGHT_FROM(0),   EIGHT_FROM(128), EIGHT_FROM(256), EIGHT_FROM(384),       EIGHT_FROM(512),
    EIGHT_FROM(640), EIGHT_FROM(768), EIGHT_FROM(896), CLASS_OF(HK_TINY_MAX),
};

#define MID_CLASS_OF(n) (1 HK_TINY_CLASSES(TOO_SMALL, n) HK_MID_CLASSES(TOO_SMALL, n))
#define FOUR_MID(n) MID_CLASS_OF(n), MID_CLASS_OF((n) + 64), MID_CLASS_OF((n) + 128), MID_CLASS_OF((n) + 192)
#define KIB_FROM(n) FOUR_MID(n), FOUR_MID((n) + 256), FOUR_MID((n) + 512), FOUR_MID((n) + 768)
#define FOUR_KIB(n) KIB_FROM(n), KIB_FROM((n) + 1024), KIB_FROM((n) + 2048), KIB_FROM((n) + 3072)

const uint8_t hk_mid_class[HK_MID_MAX / 64 + 1] = {
    FOUR_KIB(0),     FOUR_KIB(4096),  FOUR_KIB(8192),  FOUR_KIB(12288),          FOUR_KIB(16384),
    FOUR_KIB(20480), FOUR_KIB(24576), FOUR_KIB(28672), MID_CLASS_OF(HK_MID_MAX),
};

#define WIDE_CLASS_OF(n) (HK_MID_LAST + 1u HK_WIDE_CLASSES(TOO_SMALL, n))
#define FOUR_WIDE(n) WIDE_CLASS_OF(n), WIDE_CLASS_OF((n) + 1024), WIDE_CLASS_OF((n) + 2048), WIDE_CLASS_OF((n) + 3072)
#define WIDE_FROM(n)                                                                                            \
    FOUR_WIDE(n), FOUR_WIDE((n) + 4096), FOUR_WIDE((n) + 8192), FOUR_WIDE((n) + 12288), FOUR_WIDE((n) + 16384), \
        FOUR_WIDE((n) + 20480), FOUR_WIDE((n) + 24576), FOUR_WIDE((n) + 28672)

const uint8_t hk_wide_class[(HK_WIDE_MAX - HK_MID_MAX) / 1024 + 1] = {
    WIDE_FROM(32768),  WIDE_FROM(65536),  WIDE_FROM(98304),  WIDE_FROM(131072),
    WIDE_FROM(163840), WIDE_FROM(196608), WIDE_FROM(229376), WIDE_CLASS_OF(HK_WIDE_MAX),
};

#define INVERSE(size, n) (uint32_t)(((uint64_t)1 << 32) / (size) + 1),

const uint32_t hk_class_inverse[HK_CLASS_COUNT] = {0, HK_TINY_CLASSES(INVERSE, 0) HK_MID_CLASSES(INVERSE, 0)
                                                          HK_WIDE_CLASSES(INVERSE, 0)};

/* ceil(2^64 / size), as floor((2^64 - 1) / size) + 1 */
#define INVERSE64(size, n) UINT64_MAX / (size) + 1,

const uint64_t hk_class_inverse64[HK_CLASS_COUNT] = {0, HK_TINY_CLASSES(INVERSE64, 0) HK_MID_CLASSES(INVERSE64, 0)
                                                            HK_WIDE_CLASSES(INVERSE64, 0)};

unsigned hk_class_of_aligned(size_t n, size_t align)
{
    size_t least = hk_max(n, align);
    unsigned cls = least <= HK_TINY_MAX ? hk_tiny_class[(least + 15) / 16] : hk_class_of_mid(least);
    while (hk_class_size(cls) % align != 0) /* the last one's is */
        cls++;
    return cls;
}
