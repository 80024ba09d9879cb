/* SPDX-License-Identifier: MIT
 *
 * slot: a block that comes and goes, whose contents are known: looked at before it is freed, and after it was resized.
 */
#ifndef HK_TEST_SLOT_H
#define HK_TEST_SLOT_H

#include "check.h"
#include "pattern.h"

#include <stdlib.h>

struct slot {
    unsigned char *block; /* NULL: none */
    size_t size;
    uint64_t seed;
};

static inline void slot_check(const struct slot *s)
{
    CHECK(s->block == NULL || pattern_check(s->block, s->size, s->seed) == s->size);
}

/* By realloc or the like; slot_fill is to follow. */
static inline void slot_resize(struct slot *s, void *(*resize)(void *, size_t), size_t size)
{
    size_t kept = (size < s->size ? size : s->size) & ~(size_t)7;
    s->block = resize(s->block, size);
    CHECK(s->block != NULL && pattern_check(s->block, kept, s->seed) == kept);
}

/* Its block is a new one, or has another size. */
static inline void slot_fill(struct slot *s, size_t size, uint64_t *random)
{
    CHECK(s->block != NULL);
    s->size = size;
    s->seed = random_next(random);
    pattern_fill(s->block, size, s->seed);
}

/* Looks at its block, and puts one of `size` bytes in its place, by chance in one of the ways there are; so many powers
 * of two from 32 on are alignments. */
static inline void slot_change(struct slot *s, size_t size, unsigned powers, uint64_t *random)
{
    uint64_t how = random_below(random, 8);
    size_t align = 16;
    slot_check(s);
    if (how < 2 && s->block != NULL && size != 0) {
        slot_resize(s, realloc, size);
    } else {
        free(s->block);
        if (how == 2) {
            s->block = calloc(1, size);
            CHECK(s->block != NULL && pattern_nonzero(s->block, size) == size);
        } else if (how == 3) {
            align = (size_t)32 << random_below(random, powers);
            s->block = aligned_alloc(align, size);
        } else {
            s->block = malloc(size);
        }
    }
    CHECK(s->block != NULL && (uintptr_t)s->block % align == 0);
    slot_fill(s, size, random);
}

#endif
