/* SPDX-License-Identifier: MIT
 *
 * size_class: which sizes share a block size, and how blocks of a class lie in their slab. Constants and pure
 * functions.
 *
 * Classes from 1 on are tiny (16...1024 bytes); which block sizes they have is chosen by -Dclasses, and a choice is a
 * list of sizes in a folder of its own: classes_fine, classes_coarse, classes_dense or classes_pow2. The classes after
 * HK_TINY_LAST are Mid, up to 32 KiB, and wide, up to 256 KiB, the same with every choice. Class 0 is "no class": NULL,
 * foreign pointers, page runs and huge blocks have it. Must not know what a slab is but its size.
 */
#ifndef HK_SUPERSLAB_SIZE_CLASS_H
#define HK_SUPERSLAB_SIZE_CLASS_H

#include "base/bits.h"
#include "pages/space.h"

/* A list of block sizes is a macro that applies X(size, n) to each of them, in rising order. */
#define HK_FOUR(X, n, first, step) \
    X((first), n) X((first) + (step), n) X((first) + 2 * (step), n) X((first) + 3 * (step), n)
#define HK_EIGHT(X, n, first, step) HK_FOUR(X, n, first, step) HK_FOUR(X, n, (first) + 4 * (step), step)

#include "size_class_list.h" /* HK_TINY_CLASSES(X, n) */

/* Eight per doubling up to 4096. Above, what a slab holds 14, 12, 10, 9, ... 4, 3, 2 equal blocks of, rounded down to
 * 64: a smaller size of which no more fit would only leave a tail, and every class in use has a slab that is not full.
 * Where two slabs hold one block more than twice one slab's, spans of two (seven and five). 28672 is the exception:
 * half of a slab is too far from 26176. */
#define HK_MID_CLASSES(X, n)  \
    HK_EIGHT(X, n, 1152, 128) \
    HK_EIGHT(X, n, 2304, 256) \
    X(4672, n)                \
    X(5440, n)                \
    X(6528, n)                \
    X(7232, n)                \
    X(8192, n)                \
    X(9344, n) X(10880, n) X(13056, n) X(16384, n) X(18688, n) X(21824, n) X(26176, n) X(28672, n) X(32768, n)

/* Four or five per doubling: of each so many lie in a span of at most five slabs that little is left. They are for
 * blocks that go between threads (front/front.h says when a size has a class): a span has one to five. */
#define HK_WIDE_CLASSES(X, n) \
    X(43008, n) X(52224, n) X(65536, n) X(87040, n) X(108544, n) X(131072, n) X(163840, n) X(196608, n) X(262144, n)

#define HK_ONE_MORE(size, n) +1u
#define HK_TINY_LAST (0u HK_TINY_CLASSES(HK_ONE_MORE, 0))
#define HK_MID_LAST (HK_TINY_LAST HK_MID_CLASSES(HK_ONE_MORE, 0))
#define HK_CLASS_COUNT (HK_MID_LAST + 1u HK_WIDE_CLASSES(HK_ONE_MORE, 0)) /* class 0 included */
#define HK_TINY_MAX ((size_t)1024)
#define HK_MID_MAX ((size_t)32768)
#define HK_WIDE_MAX ((size_t)262144)
#define HK_BLOCK_MIN ((size_t)16)

#define HK_SPAN_MAX 5u /* slabs in one span */

struct hk_class_info {
    uint32_t size;  /* bytes of a block */
    uint32_t slabs; /* so many neighbouring slabs make a span. Of Mid classes two above 16 KiB where they hold more than
                     * twice as many blocks as one; of wide ones the fewest of which less than a sixteenth of a block is
                     * left. Neighbours are harder to find, and what starts behind the first slab is freed on the slow
                     * path */
};

extern HK_HIDDEN const struct hk_class_info hk_class_table[HK_CLASS_COUNT];

/* Class of (n + 15) / 16 sixteenths of a tiny size. */
extern HK_HIDDEN const uint8_t hk_tiny_class[HK_TINY_MAX / 16 + 1];

/* Class of (n + 63) / 64 times 64 bytes; used above HK_TINY_MAX. */
extern HK_HIDDEN const uint8_t hk_mid_class[HK_MID_MAX / 64 + 1];

/* Class of (n + 1023) / 1024 KiB, from 32 KiB on; used above HK_MID_MAX. */
extern HK_HIDDEN const uint8_t hk_wide_class[(HK_WIDE_MAX - HK_MID_MAX) / 1024 + 1];

/* A number `inv`, more than 2^32 / size, with: offset % size == 0 exactly when (uint32_t)(offset * inv) < inv, for
 * offsets below 64 KiB. These products of the starts rise by the same small number from one start to the next, which
 * makes a smaller bound mean "one of the first so many" (hk_slab_bound). In the first slab of a span. */
extern HK_HIDDEN const uint32_t hk_class_inverse[HK_CLASS_COUNT];

/* ceil(2^64 / size): the same test for spans of any length, with 64-bit arithmetic. */
extern HK_HIDDEN const uint64_t hk_class_inverse64[HK_CLASS_COUNT];

static inline size_t hk_class_size(unsigned cls)
{
    return hk_class_table[cls].size;
}

static inline unsigned hk_class_slabs(unsigned cls)
{
    return hk_class_table[cls].slabs;
}

/* Blocks in one span of the class. */
static inline unsigned hk_class_capacity(unsigned cls)
{
    return (unsigned)(hk_class_slabs(cls) * HK_SLAB_SIZE / hk_class_size(cls));
}

/* Is a block of the class at that offset from the start of its span? (The offset's range is the caller's business.) */
static inline bool hk_class_divides(unsigned cls, size_t offset)
{
    return offset * hk_class_inverse64[cls] < hk_class_inverse64[cls];
}

/* n in 1025...32768 */
static inline unsigned hk_class_of_mid(size_t n)
{
    return hk_mid_class[(n + 63) / 64];
}

/* n in 32769...262144 */
static inline unsigned hk_class_of_wide(size_t n)
{
    return hk_wide_class[(n - HK_MID_MAX + 1023) / 1024];
}

/* n in 0...262144 */
static inline unsigned hk_class_of(size_t n)
{
    if (n <= HK_TINY_MAX)
        return hk_tiny_class[(n + 15) / 16];
    return n <= HK_MID_MAX ? hk_class_of_mid(n) : hk_class_of_wide(n);
}

/* The class group of a class other than 0: C0...C7 by its block size, whatever the choice, or 8 for Mid and wide. */
#define HK_CLASS_GROUPS 9u

static inline unsigned hk_class_group(unsigned cls)
{
    size_t size = hk_class_size(cls);
    return (size > 64) + (size > 128) + (size > 192) + (size > 256) + (size > 384) + (size > 512) + (size > 768) +
           (size > 1024);
}

/* The smallest class whose blocks hold n bytes, up to 32 KiB, and all start at multiples of `align` (a power of two up
 * to 4096). */
unsigned hk_class_of_aligned(size_t n, size_t align);

#endif
