/* SPDX-License-Identifier: MIT
 *
 * Blocks that are free already. A block may have left the allocator's hands for good once it is free (its slab is
 * EMPTY, its mapping gone), so where anything happened in between, "not a block" is as right as "double free".
 */
#include "misuse.h"

#include "check.h"
#include "pattern.h"

#include <string.h>

enum { OTHERS = 1000 };

static void expect_double(const char *verb, void *block, size_t usable, unsigned also)
{
    expect_block(SAYS_DOUBLE | also, verb, block, block, usable);
}

/* Page runs and own mappings join their free neighbours at once, so that nothing of the block is left to name. */
static unsigned may_be_gone(size_t size)
{
    return size > 32768 ? SAYS_INVALID : 0;
}

static void at_once(size_t size)
{
    void *block = take(size);
    size_t usable = e->usable_size(block);
    e->free(block);
    expect_double("free", block, usable, may_be_gone(size));
    e->free(block);
}

/* Others of its kind are live around it: a slab or run that is surely still in use. */
static void among_live_blocks(size_t size)
{
    void *blocks[9];
    for (int i = 0; i < 9; i++)
        blocks[i] = take(size);
    size_t usable = e->usable_size(blocks[4]);
    e->free(blocks[4]);
    expect_double("free", blocks[4], usable, may_be_gone(size));
    e->free(blocks[4]);
}

static void after_the_next_free(size_t size)
{
    void *block = take(size), *other = take(size);
    size_t usable = e->usable_size(block);
    e->free(block);
    e->free(other);
    expect_double("free", block, usable, may_be_gone(size));
    e->free(block);
}

static void after_1000_of_its_size(size_t size)
{
    static void *others[OTHERS];
    for (int i = 0; i < OTHERS / 2; i++)
        others[i] = take(size);
    void *block = take(size);
    for (int i = OTHERS / 2; i < OTHERS; i++)
        others[i] = take(size);
    size_t usable = e->usable_size(block);
    e->free(block);
    for (int i = 0; i < OTHERS; i++)
        e->free(others[i]);
    expect_double("free", block, usable, SAYS_INVALID);
    e->free(block);
}

static void after_1000_of_many_sizes(size_t size)
{
    static void *others[OTHERS];
    uint64_t random = 9;
    void *block = NULL;
    for (int i = 0; i < OTHERS; i++) {
        if (i == OTHERS / 2)
            block = take(size);
        others[i] = take(i % 3 ? 1 + random_below(&random, i % 10 ? 2000 : 300000) : size);
    }
    size_t usable = e->usable_size(block);
    e->free(block);
    for (int i = 0; i < OTHERS; i++)
        e->free(others[i]);
    expect_double("free", block, usable, SAYS_INVALID);
    e->free(block);
}

/* The first word is what an intrusive list would use, so a program that writes there hides a mark kept in it. */
static void after_1000_with_live_neighbours(size_t size)
{
    static void *others[OTHERS];
    for (int i = 0; i < OTHERS; i++)
        others[i] = take(size);
    void *block = others[OTHERS / 2];
    size_t usable = e->usable_size(block);
    e->free(block);
    for (int i = 0; i < OTHERS; i++) {
        if (i % 4 != 1 && i != OTHERS / 2)
            e->free(others[i]);
    }
    expect_double("free", block, usable, SAYS_INVALID);
    e->free(block);
}

static void *free_it(void *block)
{
    e->free(block);
    return NULL;
}

static void by_another_thread(size_t size)
{
    void *block = take(size);
    size_t usable = e->usable_size(block);
    e->free(block);
    expect_double("free", block, usable, may_be_gone(size));
    in_a_thread(free_it, block);
}

static void first_by_another_thread(size_t size)
{
    void *block = take(size);
    size_t usable = e->usable_size(block);
    in_a_thread(free_it, block);
    expect_double("free", block, usable, SAYS_INVALID);
    e->free(block);
}

static void by_two_other_threads(size_t size)
{
    void *block = take(size);
    size_t usable = e->usable_size(block);
    in_a_thread(free_it, block);
    expect_double("free", block, usable, SAYS_INVALID);
    in_a_thread(free_it, block);
}

struct given {
    size_t size, usable;
    void *block;
};

static void *take_for_others(void *argument)
{
    struct given *given = argument;
    given->block = take(given->size);
    given->usable = e->usable_size(given->block);
    return NULL;
}

static void *take_and_free(void *argument)
{
    struct given *given = argument;
    take_for_others(argument);
    e->free(given->block);
    return NULL;
}

static void owner_ended_between(size_t size)
{
    struct given given = {.size = size};
    in_a_thread(take_and_free, &given);
    expect_double("free", given.block, given.usable, SAYS_INVALID);
    e->free(given.block);
}

static void owner_ended_before(size_t size)
{
    struct given given = {.size = size};
    in_a_thread(take_for_others, &given);
    e->free(given.block);
    expect_double("free", given.block, given.usable, SAYS_INVALID);
    e->free(given.block);
}

/* realloc moved the block; the old address is freed. */
static void after_realloc_moved_it(size_t size)
{
    void *block = take(size), *behind = take(size);
    size_t usable = e->usable_size(block);
    void *moved = e->realloc(block, size * 64 + 5000);
    CHECK(moved && behind);
    if (moved == block)
        check_skip("realloc grew the block in place");
    expect_double("free", block, usable, SAYS_INVALID);
    e->free(block);
}

static void aligned_block(size_t size)
{
    void *block = e->memalign(256, size);
    CHECK(block);
    size_t usable = e->usable_size(block);
    e->free(block);
    expect_double("free", block, usable, may_be_gone(size));
    e->free(block);
}

static void zeroed_block(size_t size)
{
    void *block = e->calloc(1, size);
    CHECK(block);
    size_t usable = e->usable_size(block);
    e->free(block);
    expect_double("free", block, usable, may_be_gone(size));
    e->free(block);
}

static void by_free_sized(size_t size)
{
    void *block = take(size);
    size_t usable = e->usable_size(block);
    e->free_sized(block, size);
    expect_double("free", block, usable, may_be_gone(size));
    e->free_sized(block, size);
}

static void realloc_of_freed(size_t size)
{
    void *block = take(size);
    size_t usable = e->usable_size(block);
    e->free(block);
    expect_double("realloc", block, usable, may_be_gone(size));
    CHECK(!e->realloc(block, size + size / 2 + 1));
}

static void realloc_of_freed_to_nothing(size_t size)
{
    void *block = take(size);
    size_t usable = e->usable_size(block);
    e->free(block);
    expect_double("realloc", block, usable, may_be_gone(size));
    CHECK(!e->realloc(block, 0));
}

static void usable_size_of_freed(size_t size)
{
    void *block = take(size);
    size_t usable = e->usable_size(block);
    e->free(block);
    expect_double("malloc_usable_size", block, usable, may_be_gone(size));
    CHECK(!e->usable_size(block));
}

const struct misuse double_misuses[] = {
    {"double-at-once", at_once},
    {"double-among-live", among_live_blocks},
    {"double-after-1", after_the_next_free},
    {"double-after-1000-same", after_1000_of_its_size},
    {"double-after-1000-mixed", after_1000_of_many_sizes},
    {"double-after-1000-neighbours", after_1000_with_live_neighbours},
    {"double-other-thread", by_another_thread},
    {"double-first-other-thread", first_by_another_thread},
    {"double-two-threads", by_two_other_threads},
    {"double-owner-ended-between", owner_ended_between},
    {"double-owner-ended-before", owner_ended_before},
    {"double-after-realloc", after_realloc_moved_it},
    {"double-aligned", aligned_block},
    {"double-zeroed", zeroed_block},
    {"double-free-sized", by_free_sized},
    {"realloc-freed", realloc_of_freed},
    {"realloc-freed-to-0", realloc_of_freed_to_nothing},
    {"usable-freed", usable_size_of_freed},
    {NULL, NULL},
};
