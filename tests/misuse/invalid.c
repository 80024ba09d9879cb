/* SPDX-License-Identifier: MIT
 *
 * Pointers that were never the start of a block.
 */
#include "misuse.h"

#include "check.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static _Alignas(65536) char static_bytes[262144];
static _Thread_local char thread_bytes[64];

static void wrong_free(const void *pointer)
{
    expect(SAYS_INVALID, "free", pointer);
    e->free((void *)pointer);
}

static void *mapped(size_t size, int protection)
{
    void *memory = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

/* As large as a block would be, and aligned as one. */
static void stack(size_t size)
{
    _Alignas(64) char bytes[262144];
    memset(bytes, 1, size);
    e->free(take(size));
    wrong_free(bytes);
}

static void in_static(size_t size)
{
    memset(static_bytes, 1, size);
    e->free(take(size));
    wrong_free(static_bytes);
}

static void thread_local_bytes(size_t size)
{
    e->free(take(size));
    wrong_free(thread_bytes);
}

static void code(size_t size)
{
    e->free(take(size));
    void *address;
    void (*function)(size_t) = code;
    memcpy(&address, &function, sizeof(address));
    wrong_free((void *)((uintptr_t)address & ~(uintptr_t)15));
}

static void foreign_mapping(size_t size)
{
    e->free(take(size));
    char *memory = mapped(size + 8 * 65536, PROT_READ | PROT_WRITE);
    wrong_free(memory);
}

/* Aligned to 2 MiB, as a SuperSlab would be, and full of what looks like links. */
static void foreign_superslab(size_t size)
{
    e->free(take(size));
    char *memory = mapped((size_t)6 << 20, PROT_READ | PROT_WRITE);
    memory = (char *)(((uintptr_t)memory + (2 << 20)) & ~(uintptr_t)((2 << 20) - 1));
    for (size_t at = 0; at < (size_t)2 << 20; at += sizeof(void *))
        memcpy(memory + at, &memory, sizeof(memory));
    wrong_free(memory);
}

static void program_break(size_t size)
{
    e->free(take(size));
    char *memory = sbrk(1 << 16);
    CHECK(memory != (void *)-1);
    wrong_free((void *)(((uintptr_t)memory + 63) & ~(uintptr_t)63));
}

static void unmapped(size_t size)
{
    e->free(take(size));
    char *memory = mapped((size_t)4 << 20, PROT_NONE);
    CHECK(munmap(memory, (size_t)4 << 20) == 0);
    wrong_free(memory + 4096);
}

static void never_before_any_block(size_t size)
{
    (void)size;
    wrong_free(static_bytes + 16);
}

static void non_canonical(size_t size)
{
    e->free(take(size));
    wrong_free((void *)UINT64_C(0x4141414141414140));
}

static void kernel_half(size_t size)
{
    e->free(take(size));
    wrong_free((void *)UINT64_C(0xffffffffffffff00));
}

/* The address of a live block with bits set that the hardware does not translate. */
static void live_with_high_bits(size_t size)
{
    void *block = take(size);
    wrong_free((void *)((uintptr_t)block | UINT64_C(0x7f00000000000000)));
}

static void small_integer(size_t size)
{
    e->free(take(size));
    wrong_free((void *)(uintptr_t)size);
}

static void realloc_stack(size_t size)
{
    char bytes[64] = {0};
    e->free(take(size));
    expect(SAYS_INVALID, "realloc", bytes);
    CHECK(!e->realloc(bytes, size));
}

static void realloc_unmapped(size_t size)
{
    e->free(take(size));
    expect(SAYS_INVALID, "realloc", (void *)0x10000);
    CHECK(!e->realloc((void *)0x10000, size));
}

static void usable_stack(size_t size)
{
    char bytes[64] = {0};
    e->free(take(size));
    expect(SAYS_INVALID, "malloc_usable_size", bytes);
    CHECK(!e->usable_size(bytes));
}

static void usable_unmapped(size_t size)
{
    e->free(take(size));
    expect(SAYS_INVALID, "malloc_usable_size", (void *)0x10000);
    CHECK(!e->usable_size((void *)0x10000));
}

/* Inside a live block. Several are live, so that a neighbour cannot be taken for the block. */
static char *expect_inside(size_t size, size_t offset, const char *verb)
{
    char *blocks[8];
    for (int i = 0; i < 8; i++)
        blocks[i] = take(size);
    char *block = blocks[4];
    expect_block(SAYS_INTERIOR, verb, block + offset, block, e->usable_size(block));
    return block + offset;
}

static void interior_1(size_t size)
{
    e->free(expect_inside(size, 1, "free"));
}

static void interior_8(size_t size)
{
    e->free(expect_inside(size, 8, "free"));
}

static void interior_16(size_t size)
{
    e->free(expect_inside(size, 16, "free"));
}

static void interior_middle(size_t size)
{
    e->free(expect_inside(size, size / 2, "free"));
}

/* The middle is on a page border: it looks most like the start of something. */
static void interior_page(size_t size)
{
    e->free(expect_inside(size, size / 8192 * 4096, "free"));
}

static void realloc_interior(size_t size)
{
    char *inside = expect_inside(size, size / 2, "realloc");
    CHECK(!e->realloc(inside, 100));
}

static void usable_interior(size_t size)
{
    char *inside = expect_inside(size, size / 2, "malloc_usable_size");
    CHECK(!e->usable_size(inside));
}

/* 16 bytes behind an 8-byte block another block begins, one that nobody owns. What to call that is a matter of taste;
 * it must be stopped. */
static void behind_a_small_block(size_t size)
{
    enum { COUNT = 64 };
    char *blocks[COUNT], *wrong = NULL;
    for (int i = 0; i < COUNT; i++)
        blocks[i] = take(size);
    for (int i = 0; i < COUNT && !wrong; i++) {
        wrong = blocks[i] + 16;
        for (int k = 0; k < COUNT; k++)
            wrong = blocks[k] == wrong ? NULL : wrong;
    }
    CHECK(wrong);
    expect(SAYS_INVALID | SAYS_INTERIOR | SAYS_DOUBLE | ANY_BLOCK, "free", wrong);
    e->free(wrong);
}

const struct misuse invalid_misuses[] = {
    {"stack", stack},
    {"static", in_static},
    {"thread-local", thread_local_bytes},
    {"code", code},
    {"foreign-mapping", foreign_mapping},
    {"foreign-superslab", foreign_superslab},
    {"program-break", program_break},
    {"unmapped", unmapped},
    {"before-any-block", never_before_any_block},
    {"non-canonical", non_canonical},
    {"kernel-half", kernel_half},
    {"high-bits", live_with_high_bits},
    {"small-integer", small_integer},
    {"realloc-stack", realloc_stack},
    {"realloc-unmapped", realloc_unmapped},
    {"usable-stack", usable_stack},
    {"usable-unmapped", usable_unmapped},
    {"interior-1", interior_1},
    {"interior-8", interior_8},
    {"interior-16", interior_16},
    {"interior-middle", interior_middle},
    {"interior-page", interior_page},
    {"realloc-interior", realloc_interior},
    {"usable-interior", usable_interior},
    {"behind-a-small-block", behind_a_small_block},
    {NULL, NULL},
};
