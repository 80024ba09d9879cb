/* SPDX-License-Identifier: MIT
 *
 * registry: address -> size class in a few instructions, address -> SuperSlab on slow paths.
 *
 * Every 64 KiB slab has a byte, its code, and every 2 MiB unit a pointer to its SuperSlab. Addresses that were never
 * covered, foreign ones and NULL have code 0. How the byte is found, and which addresses can be covered at all, is
 * chosen by -Dregistry; a choice is a folder with registry_lookup.h and registry.c:
 *
 *   window     one table for the addresses from our first unit on
 *   two_level  a root with an entry per GiB, and a leaf where something was covered
 *   flat       one table for all addresses; leaves where its reservation is refused
 *
 * Addresses are covered for the first SuperSlab there, before a block of it exists. Codes are written by whoever owns
 * the slab while no block of it is out, so every reader that holds a block got the code with it. All else is written
 * under the pool's lock. Must not know slabs (only their pointer), pools or fronts, nor who has other memory.
 */
#ifndef HK_SUPERSLAB_REGISTRY_H
#define HK_SUPERSLAB_REGISTRY_H

#include "base/atomic.h"
#include "superslab/size_class.h"
#include "pages/space.h"

struct hk_superslab;

/* The choice's inline part:
 *
 *   bool hk_registry_lookup(const void *ptr, unsigned *code)
 *       False: the address has no code here; ask hk_registry_code. Else *code is the doubled class of the slab it lies
 *       in, or 0.
 *   unsigned hk_registry_code(const void *ptr)
 *       The same for any address, 0 where there is none.
 *   struct hk_superslab *hk_registry_superslab(const void *ptr)
 *       The SuperSlab that any address lies in, or NULL.
 *   size_t hk_registry_unit(const void *ptr)
 *       Number of the 2 MiB unit of a covered address, below HK_UNITS_MAX. Neighbours within a GiB have neighbouring
 *       numbers.
 *   struct hk_superslab *hk_registry_superslab_at(size_t unit)
 *       The SuperSlab of a unit that has a number, or NULL.
 *   const void *hk_registry_base_at(void)
 *       Where the first address of all stands as a word, or NULL. (For leaks: it looks like a pointer to a block.)
 */
#include "registry_lookup.h"

/* The class is kept doubled: a bin has 16 bytes and an address can be scaled by 8 for nothing. */
static inline unsigned hk_code_of_class(unsigned cls)
{
    return cls * 2;
}

/* The code of all slabs of a span but the first: of a class that has no blocks, so that the fast path finds no start
 * there. */
#define HK_CODE_SECOND (HK_CLASS_COUNT * 2)
_Static_assert(HK_CODE_SECOND <= UINT8_MAX, "a code is a byte");

/* The class of the slab that any address lies in, 0 where there is none. */
static inline unsigned hk_registry_class(const void *ptr)
{
    unsigned code = hk_registry_code(ptr);
    for (const char *at = ptr; code == HK_CODE_SECOND; code = hk_registry_code(at))
        at -= HK_SLAB_SIZE;
    return code / 2;
}

/* The SuperSlab of a block of ours: its code is not 0. */
static inline struct hk_superslab *hk_registry_superslab_of_block(const void *block)
{
    return hk_registry_superslab_at(hk_registry_unit(block));
}

/* Makes [ptr, ptr + size), units of the space, registrable. Again does no harm. False: no memory. Caller holds the
 * pool's lock. */
bool hk_registry_cover(void *ptr, size_t size);

/* Sets the code of `slabs` neighbouring slabs from `ptr` on. */
void hk_registry_set_code(void *ptr, unsigned slabs, unsigned code);

/* Enters or removes (NULL) the SuperSlab at `ptr`. Caller holds the pool's lock. */
void hk_registry_set_superslab(void *ptr, struct hk_superslab *ss);

/* Calls `visit` for each mapping of the tables. Caller holds the pool's lock. */
void hk_registry_visit(void (*visit)(void *ctx, void *start, size_t size), void *ctx);

#endif
