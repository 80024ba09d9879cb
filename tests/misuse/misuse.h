/* SPDX-License-Identifier: MIT
 *
 * A misuse runs in a child process. Before the wrong call it writes down, in memory shared with the parent, what the
 * allocator is to say about it; the parent checks how the child ended and what it wrote.
 */
#ifndef HK_TEST_MISUSE_H
#define HK_TEST_MISUSE_H

#include <stddef.h>
#include <stdint.h>

#include "entries.h"

/* The forms of the message; several may be right. */
enum {
    /* hakmem: double free of 0x... (48-byte block), or: realloc of the free block 0x... (48-byte block) */
    SAYS_DOUBLE = 1,
    SAYS_INVALID = 2,  /* hakmem: free of an invalid pointer 0x... (not a block of this allocator) */
    SAYS_INTERIOR = 4, /* hakmem: free of an interior pointer 0x... (inside the 48-byte block at 0x...) */
    SAYS_CORRUPT = 8,  /* hakmem: corrupted free list in the 48-byte slab at 0x... (write after free) */
    MAY_GO_ON = 16,    /* nothing is said and the process lives */
    ANY_BLOCK = 32,    /* the block named in the message is not known to the test */
    /* Those of -Dtail and -Dfill: */
    SAYS_PAST = 64,     /* hakmem: write past the end of 0x... */
    SAYS_BEFORE = 128,  /* hakmem: write before the start of 0x... */
    SAYS_WRITTEN = 256, /* hakmem: write after free into 0x... */
    SAYS_SIZE = 512,    /* hakmem: free of 0x... as 47 bytes, which was asked for as 48 bytes */
    MAY_FAULT = 1024,   /* what lies there may be no memory at all */
    /* hakmem: double free of 0x..., or: hak_heap_free (free) of an invalid pointer (the free block) 0x... */
    SAYS_OF_HEAP = 2048,
};

struct expected {
    unsigned says;
    const char *verb;  /* "free", "realloc" or "malloc_usable_size" */
    uintptr_t pointer; /* what the wrong call got */
    uintptr_t block;   /* start of the block around it, for SAYS_INTERIOR */
    size_t block_size; /* its usable size */
    unsigned lines;    /* 0 = one line and SIGABRT; else that many lines and a normal end (HAKMEM_MISUSE=warn) */
};

/* One misuse; `size` is that of the blocks it uses. Calls expect() right before the wrong call. */
struct misuse {
    const char *name;
    void (*body)(size_t size);
};

extern const struct misuse invalid_misuses[], never_misuses[], double_misuses[], other_misuses[], end_misuses[];

extern const struct entries *e;
extern struct expected *expected;

/* The next call with this pointer is wrong. */
void expect(unsigned says, const char *verb, const void *pointer);

/* The same, and the block it belongs to or belonged to is known. */
void expect_block(unsigned says, const char *verb, const void *pointer, const void *block, size_t block_size);

/* A live block of that size with its first and last byte written. */
void *take(size_t size);

/* Runs body(argument) in a thread and waits until it has ended. */
void in_a_thread(void *(*body)(void *), void *argument);

#endif
