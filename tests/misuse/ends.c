/* SPDX-License-Identifier: MIT
 *
 * Writes past the end of a block, before its start and into a free one, and wrong sizes: what -Dtail and -Dfill see.
 * Each write changes what is there, whatever that is.
 */
#include "misuse.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

enum { AROUND = 20, MANY = 4000 };

static void spoil(char *at, size_t bytes)
{
    for (volatile char *byte = at; bytes-- > 0; byte++)
        *byte = (char)~*byte;
}

/* A block among others of its size: not the first of its slab, and not the last. */
static char *take_among(size_t size, char **before)
{
    char *blocks[AROUND], *block = NULL;
    *before = NULL;
    for (int i = 0; i < AROUND; i++)
        blocks[i] = take(size);
    for (int i = 0; i < AROUND && !block; i++) {
        for (int k = 0; k < AROUND && !*before; k++) {
            if (blocks[k] + e->usable_size(blocks[k]) < blocks[i] && blocks[k] + 2 * size + 64 >= blocks[i] &&
                (uintptr_t)blocks[i] % 65536 != 0)
                *before = blocks[k];
        }
        if (*before)
            block = blocks[i];
    }
    return block ? block : blocks[AROUND / 2];
}

static void overflow(size_t size, size_t bytes, unsigned also)
{
    char *before, *block = take_among(size, &before);
    expect(SAYS_PAST | also, "free", block);
    spoil(block + size, bytes);
    e->free(block);
}

static void overflow_1(size_t size)
{
    overflow(size, 1, 0);
}

static void overflow_8(size_t size)
{
    overflow(size, 8, 0);
}

static void overflow_32(size_t size)
{
    overflow(size, 32, 0);
}

static void overflow_1_mib(size_t size)
{
    overflow(size, (size_t)1 << 20, MAY_FAULT);
}

/* What ends a string. */
static void overflow_zero(size_t size)
{
    char *before, *block = take_among(size, &before);
    expect(SAYS_PAST, "free", block);
    block[size] = 0;
    e->free(block);
}

/* The block does not end where its bytes end any more. */
static void overflow_resized(size_t size)
{
    char *block = e->realloc(take(size), size * 2 + 3);
    CHECK(block);
    block = e->realloc(block, size * 2 + 2);
    CHECK(block);
    expect(SAYS_PAST, "free", block);
    spoil(block + size * 2 + 2, 1);
    e->free(block);
}

static void overflow_aligned(size_t size)
{
    char *block = e->memalign(256, size);
    CHECK(block);
    expect(SAYS_PAST, "free", block);
    spoil(block + size, 1);
    e->free(block);
}

static void overflow_zeroed(size_t size)
{
    char *block = e->calloc(1, size);
    CHECK(block);
    expect(SAYS_PAST, "free", block);
    spoil(block + size, 1);
    e->free(block);
}

static void overflow_then_realloc(size_t size)
{
    char *block = take(size);
    expect(SAYS_PAST, "realloc", block);
    spoil(block + size, 1);
    CHECK(!e->realloc(block, size * 3));
}

static void overflow_then_usable(size_t size)
{
    char *block = take(size);
    expect(SAYS_PAST, "malloc_usable_size", block);
    spoil(block + size, 1);
    CHECK(!e->usable_size(block));
}

static void *free_it(void *block)
{
    e->free(block);
    return NULL;
}

static void overflow_other_thread(size_t size)
{
    char *block = take(size);
    expect(SAYS_PAST, "free", block);
    spoil(block + size, 1);
    in_a_thread(free_it, block);
}

/* A block of a slab says so itself; of a page run the one before does, where there is one. */
static void underflow(size_t size, size_t bytes)
{
    char *before, *block = take_among(size, &before);
    expect(size > 32768 ? SAYS_PAST | ANY_BLOCK | MAY_FAULT : SAYS_BEFORE, "free", block);
    spoil(block - bytes, bytes);
    e->free(block);
    if (before)
        e->free(before);
}

static void underflow_1(size_t size)
{
    underflow(size, 1);
}

static void underflow_8(size_t size)
{
    underflow(size, 8);
}

/* Takes blocks of the size until it comes again; of those that are held back it is to be freed that others come. */
static void take_again(size_t size)
{
    for (int i = 0; i < MANY && size <= 32768; i++)
        take(size);
    for (int i = 0; i < AROUND && size > 32768; i++)
        e->free(take(size));
}

static void written(size_t size, size_t at, size_t bytes)
{
    char *before, *block = take_among(size, &before);
    e->free(block);
    expect(SAYS_WRITTEN, "malloc", block);
    spoil(block + at, bytes);
    take_again(size);
}

static void written_first(size_t size)
{
    written(size, 0, 1);
}

/* Where the front has its mark. */
static void written_second(size_t size)
{
    written(size, size > 15 ? 15 : size - 1, 1);
}

static void written_word(size_t size)
{
    written(size, size > 48 ? 40 : size - 8, 8);
}

/* It lies in its slab's list, or was in a list since. */
static void written_in_slab(size_t size)
{
    static char *blocks[MANY];
    for (int i = 0; i < MANY; i++)
        blocks[i] = take(size);
    for (int i = 0; i < MANY; i++) {
        if (i % 8 != 0)
            e->free(blocks[i]);
    }
    expect(SAYS_WRITTEN | SAYS_CORRUPT | ANY_BLOCK, "malloc", NULL);
    for (int i = 0; i < MANY; i++) {
        if (i % 8 != 0)
            spoil(blocks[i], 1);
    }
    take_again(size);
}

/* Nobody asks for it any more. */
static void written_at_the_end(size_t size)
{
    char *block = take(size);
    e->free(block);
    expect(SAYS_WRITTEN, "free", block);
    spoil(block, 1);
    exit(0);
}

static void size_wrong(size_t size, size_t given)
{
    void *block = take(size);
    expect(SAYS_SIZE, "free", block);
    e->free_sized(block, given);
}

static void size_less(size_t size)
{
    size_wrong(size, size - 1);
}

static void size_more(size_t size)
{
    size_wrong(size, size + 1);
}

const struct misuse end_misuses[] = {
    {"overflow-1", overflow_1},
    {"overflow-8", overflow_8},
    {"overflow-32", overflow_32},
    {"overflow-1-mib", overflow_1_mib},
    {"overflow-zero", overflow_zero},
    {"overflow-resized", overflow_resized},
    {"overflow-aligned", overflow_aligned},
    {"overflow-zeroed", overflow_zeroed},
    {"overflow-realloc", overflow_then_realloc},
    {"overflow-usable", overflow_then_usable},
    {"overflow-other-thread", overflow_other_thread},
    {"underflow-1", underflow_1},
    {"underflow-8", underflow_8},
    {"written-first", written_first},
    {"written-second", written_second},
    {"written-word", written_word},
    {"written-in-slab", written_in_slab},
    {"written-at-exit", written_at_the_end},
    {"size-less", size_less},
    {"size-more", size_more},
    {NULL, NULL},
};
