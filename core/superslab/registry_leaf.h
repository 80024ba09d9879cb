/* SPDX-License-Identifier: MIT
 *
 * registry_leaf: the tables of -Dregistry=two_level, and of flat beside its own: a root with a 4-byte offset per GiB of
 * the address space and, where something was covered, a leaf with a byte per 64 KiB and a pointer per 2 MiB.
 *
 * Offset 0 is a leaf of zeros that all other GiB share, so a lookup asks no question but whether the address is one
 * (HK_ADDRESS_BITS). Leaves are numbered in the order in which they came into use, and a unit by its leaf and its place
 * there. They are a table that grows where it is (pages/space.h). The root is 512 KiB of the library's own zero
 * memory, of which a program touches a page.
 *
 * Root entries are written under the pool's lock and read by anybody. Part of the registry box.
 * Included by superslab/registry_leaf.c and superslab/ANY/registry_lookup.h only.
 */
#ifndef HK_SUPERSLAB_REGISTRY_LEAF_H
#define HK_SUPERSLAB_REGISTRY_LEAF_H

#define HK_LEAF_SPAN_BITS 30                                     /* of addresses that one leaf describes */
#define HK_LEAVES_MAX ((HK_SPACE_MOST >> HK_LEAF_SPAN_BITS) + 2) /* that of zeros, and a GiB more for the ends */
#define HK_LEAF_UNITS (((size_t)1 << HK_LEAF_SPAN_BITS) / HK_SUPERSLAB_SIZE)
#define HK_UNITS_MAX (HK_LEAVES_MAX * HK_LEAF_UNITS)

struct hk_leaf {
    _Atomic uint8_t code[((size_t)1 << HK_LEAF_SPAN_BITS) / HK_SLAB_SIZE]; /* 2 * class while owned, else 0 */
    struct hk_superslab *_Atomic unit[HK_LEAF_UNITS];                      /* the SuperSlab there, or NULL */
};

/* Bytes from hk_leaves to the leaf of each GiB. */
extern HK_HIDDEN _Atomic uint32_t hk_leaf_root[(size_t)1 << (HK_ADDRESS_BITS - HK_LEAF_SPAN_BITS)];

/* The table, which begins with the leaf of zeros. Before the first unit: a leaf of zeros alone. */
extern HK_HIDDEN char *_Atomic hk_leaves;

/* Is it an address at all? */
static HK_ALWAYS_INLINE bool hk_leaf_reaches(const void *ptr)
{
    return HK_LIKELY((uintptr_t)ptr >> HK_LEAF_SPAN_BITS < HK_COUNT(hk_leaf_root));
}

/* The leaf of an address. Whoever sees an offset other than 0 sees the table too. */
static HK_ALWAYS_INLINE struct hk_leaf *hk_leaf_of(const void *ptr)
{
    uint32_t offset = hk_load_acquire(&hk_leaf_root[(uintptr_t)ptr >> HK_LEAF_SPAN_BITS]); /* pairs with new_leaf */
    return (struct hk_leaf *)(void *)(hk_load_relaxed(&hk_leaves) + offset);
}

static HK_ALWAYS_INLINE unsigned hk_leaf_code(const void *ptr)
{
    const struct hk_leaf *leaf = hk_leaf_of(ptr);
    return hk_load_relaxed(&leaf->code[((uintptr_t)ptr >> 16) % HK_COUNT(leaf->code)]); /* came with the block */
}

static inline size_t hk_registry_unit(const void *ptr)
{
    size_t number = hk_load_relaxed(&hk_leaf_root[(uintptr_t)ptr >> HK_LEAF_SPAN_BITS]) / sizeof(struct hk_leaf);
    return number * HK_LEAF_UNITS +
           (uintptr_t)ptr / HK_SUPERSLAB_SIZE % HK_LEAF_UNITS; /* the caller knows it is ours */
}

static inline struct hk_superslab *hk_registry_superslab(const void *ptr)
{
    if (!hk_leaf_reaches(ptr))
        return NULL;
    return hk_load_relaxed(&hk_leaf_of(ptr)->unit[(uintptr_t)ptr / HK_SUPERSLAB_SIZE % HK_LEAF_UNITS]); /* as a code */
}

static inline struct hk_superslab *hk_registry_superslab_at(size_t unit)
{
    const struct hk_leaf *leaf = (const struct hk_leaf *)(void *)hk_load_relaxed(&hk_leaves) + unit / HK_LEAF_UNITS;
    return hk_load_relaxed(&leaf->unit[unit % HK_LEAF_UNITS]); /* under the pool's lock, or came with the block */
}

/* Gives every GiB of [ptr, ptr + size) a leaf. As hk_registry_cover. */
bool hk_leaf_cover(void *ptr, size_t size);

void hk_leaf_set_code(void *ptr, unsigned slabs, unsigned code);

/* As hk_registry_visit. */
void hk_leaf_visit(void (*visit)(void *ctx, void *start, size_t size), void *ctx);

#endif
