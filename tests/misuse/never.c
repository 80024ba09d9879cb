/* SPDX-License-Identifier: MIT
 *
 * Addresses where a block could start and that were never handed out: starts that a slab has not come to yet, and the
 * tail behind its last block. They must be stopped before anybody else gets the address.
 */
#include "misuse.h"

#include "check.h"
#include "taken.h"

#include <string.h>

enum { SLAB = 65536, PAGE = 4096, MOST = 3 * SLAB / 16 };

static char *blocks[MOST];
static unsigned count;

static char *next(size_t size)
{
    CHECK(count < MOST);
    return blocks[count++] = take(size);
}

static char *slab_of(const char *block)
{
    return (char *)((uintptr_t)block & ~(uintptr_t)(SLAB - 1));
}

/* The last start of the first slab of this size, of which one block is handed out. */
static char *last_start(size_t size)
{
    char *block = next(size);
    size_t apart = taken_for(e->usable_size(block));
    return slab_of(block) + (SLAB / apart - 1) * apart;
}

static void expect_never(const char *verb, const char *wild)
{
    expect(SAYS_INVALID | SAYS_DOUBLE | ANY_BLOCK, verb, wild);
}

static void free_never(char *wild)
{
    expect_never("free", wild);
    e->free(wild);
}

/* Takes more than a slab of a size, and until another slab has just been begun: its last start. */
static char *last_start_after_many(size_t size)
{
    char *block = next(size);
    size_t apart = taken_for(e->usable_size(block));
    for (size_t n = 0; n <= SLAB / apart || block != slab_of(block); n++)
        block = next(size);
    return block + (SLAB / apart - 1) * apart;
}

static bool is_handed_out(const char *block)
{
    for (unsigned i = 0; i < count; i++) {
        if (blocks[i] == block)
            return true;
    }
    return false;
}

/* On the page of a block that is handed out. Where a refill is shuffled all of a page may be. */
static void never_beside(size_t size)
{
    char *block, *wild;
    do {
        last_start_after_many(size);
        block = blocks[count - 1];
        size_t apart = taken_for(e->usable_size(block));
        wild = block + (PAGE - 1) / apart * apart;
        while (is_handed_out(wild) && wild != block)
            wild -= apart;
    } while (wild == block);
    free_never(wild);
}

/* Nothing of its size was ever handed out so far from the start of a slab, nor from its page. */
static void never_far(size_t size)
{
    free_never(last_start(size));
}

/* It has a bin of the class. */
static void *free_beside_another(void *wild)
{
    e->free(next(e->usable_size(blocks[0])));
    e->free(wild);
    return NULL;
}

static void never_far_by_another_thread(size_t size)
{
    char *wild = last_start(size);
    expect_never("free", wild);
    in_a_thread(free_beside_another, wild);
}

static void never_realloc(size_t size)
{
    char *wild = last_start_after_many(size);
    expect_never("realloc", wild);
    CHECK(!e->realloc(wild, size * 4));
}

static void never_usable(size_t size)
{
    char *wild = last_start_after_many(size);
    expect_never("malloc_usable_size", wild);
    CHECK(!e->usable_size(wild));
}

/* What is freed goes back to its slab sooner or later, from this thread or, at its end, from another. */
static void free_all(void)
{
    for (unsigned i = 0; i < count; i++)
        e->free(blocks[i]);
    e->trim(0);
}

static void never_flushed(size_t size)
{
    free_never(last_start_after_many(size));
    free_all();
}

static void *free_it(void *wild)
{
    e->free(wild);
    return NULL;
}

static void never_flushed_by_another_thread(size_t size)
{
    char *wild = last_start_after_many(size);
    expect_never("free", wild);
    in_a_thread(free_it, wild);
}

/* Behind the last block of a slab, before and after that was handed out. */
static char *tail(size_t size)
{
    char *start = last_start(size);
    size_t apart = taken_for(e->usable_size(blocks[0]));
    if (SLAB % apart == 0)
        check_skip("blocks of this size leave no tail");
    return start + apart;
}

static void tail_of_the_first_slab(size_t size)
{
    free_never(tail(size));
}

static void tail_after_many(size_t size)
{
    char *wild = tail(size);
    last_start_after_many(size);
    free_never(wild);
}

const struct misuse never_misuses[] = {
    {"never-beside", never_beside},
    {"never-far", never_far},
    {"never-far-other-thread", never_far_by_another_thread},
    {"never-realloc", never_realloc},
    {"never-usable", never_usable},
    {"never-flushed", never_flushed},
    {"never-flushed-other-thread", never_flushed_by_another_thread},
    {"tail", tail_of_the_first_slab},
    {"tail-after-many", tail_after_many},
    {NULL, NULL},
};
