/* SPDX-License-Identifier: MIT
 *
 * model: a table of live blocks, as whoever asked for them knows them: no two overlap, each is aligned, whole, and as
 * large as asked for. Calls no allocator. One thread at a time.
 */
#ifndef HK_TEST_MODEL_H
#define HK_TEST_MODEL_H

#include <stddef.h>
#include <stdint.h>

enum { MODEL_SLOTS = 256 };

struct model_block {
    unsigned char *start; /* NULL: nothing lives in the slot */
    size_t size, usable;
    uint64_t pattern; /* of its contents */
};

extern struct model_block model[MODEL_SLOTS];
extern size_t model_bytes; /* asked for, all together */

/* A new block in an empty slot: checks it, and fills it. */
void model_add(size_t slot, void *start, size_t size, size_t usable, size_t alignment);

/* The block is as it was filled. */
void model_check(size_t slot);

/* Checks it and empties the slot; the caller frees it. */
struct model_block model_take(size_t slot);

/* `start` begins with what the block, taken before, held, up to `size` bytes. */
void model_kept(const struct model_block *before, const void *start, size_t size);

/* All of the block is zero; of a large one the head, pages behind it, and some bytes. */
void model_zero(const void *start, size_t size);

#endif
