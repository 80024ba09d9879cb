/* SPDX-License-Identifier: MIT
 *
 * Writes into freed blocks, and HAKMEM_MISUSE=warn.
 */
#include "misuse.h"

#include "check.h"
#include "pattern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 3000 };

static _Alignas(65536) unsigned char decoy[1 << 19];

/* Overwrites one word of every freed block with the value, then allocates: whatever the free blocks were chained by, no
 * block may come from the decoy or from nowhere (then the writes below would end the process by SIGSEGV), and none may
 * overlap another. Ending with the message about a corrupted list is right, too. */
static void scribble(size_t size, size_t word, uintptr_t value)
{
    static unsigned char *blocks[MANY];
    size_t count = size > 32768 ? 64 : size > 1024 ? 600 : MANY;
    expect(MAY_GO_ON | SAYS_CORRUPT | SAYS_DOUBLE | SAYS_WRITTEN | ANY_BLOCK, "free", NULL);
    for (size_t i = 0; i < count; i++)
        blocks[i] = take(size);
    for (size_t i = 0; i < count; i++)
        e->free(blocks[(i * 7) % count]);
    for (size_t i = 0; i < count; i++)
        memcpy(blocks[i] + word * sizeof(value), &value, sizeof(value));
    for (size_t i = 0; i < count; i++) {
        blocks[i] = e->malloc(size);
        CHECKF(blocks[i], "out of memory after a write into freed blocks");
        CHECKF(blocks[i] + size <= decoy || blocks[i] >= decoy + sizeof(decoy), "malloc returned the decoy");
        pattern_fill(blocks[i], size, i);
    }
    for (size_t i = 0; i < count; i++)
        CHECKF(pattern_check(blocks[i], size, i) == size, "blocks overlap after a write into freed blocks");
    for (size_t i = 0; i < count; i++)
        e->free(blocks[i]);
}

static void scribble_decoy_first(size_t size)
{
    scribble(size, 0, (uintptr_t)(decoy + 65536));
}

static void scribble_decoy_second(size_t size)
{
    scribble(size, 1, (uintptr_t)(decoy + 65536));
}

static void scribble_garbage_first(size_t size)
{
    scribble(size, 0, UINT64_C(0x4141414141414141));
}

static void scribble_garbage_second(size_t size)
{
    scribble(size, 1, UINT64_C(0x4141414141414141));
}

static void scribble_small_first(size_t size)
{
    scribble(size, 0, 16);
}

/* Half of a link, as a string or counter would overwrite it. */
static void scribble_zero_first(size_t size)
{
    scribble(size, 0, 0);
}

/* With HAKMEM_MISUSE=warn each wrong call costs one line and has no effect. */
static void warn_goes_on(size_t size)
{
    expected->lines = 7;
    char on_stack[64] = {0};
    void *freed = take(size), *live = take(size);
    pattern_fill(live, size, 3);
    e->free(freed);

    errno = 0;
    e->free(on_stack);
    e->free(freed);
    e->free((char *)live + 1);
    CHECK(errno == 0);
    CHECK(e->realloc(on_stack, 100) == NULL);
    CHECK(errno == EINVAL);
    errno = 0;
    CHECK(e->realloc(freed, 100) == NULL);
    CHECK(errno == EINVAL);
    CHECK(e->usable_size(on_stack) == 0);
    CHECK(e->usable_size(freed) == 0);

    /* The heap is as if none of that had been: no block is given out twice, and the live one is whole. */
    static unsigned char *blocks[MANY];
    size_t count = size > 32768 ? 64 : 600;
    for (size_t i = 0; i < count; i++) {
        blocks[i] = e->malloc(size);
        CHECK(blocks[i]);
        pattern_fill(blocks[i], size, i);
    }
    for (size_t i = 0; i < count; i++) {
        CHECK(pattern_check(blocks[i], size, i) == size);
        e->free(blocks[i]);
    }
    CHECK(pattern_check(live, size, 3) == size);
    e->free(live);
}

const struct misuse other_misuses[] = {
    {"scribble-decoy-first", scribble_decoy_first},
    {"scribble-decoy-second", scribble_decoy_second},
    {"scribble-garbage-first", scribble_garbage_first},
    {"scribble-garbage-second", scribble_garbage_second},
    {"scribble-small-first", scribble_small_first},
    {"scribble-zero-first", scribble_zero_first},
    {"warn", warn_goes_on},
    {NULL, NULL},
};
