/* SPDX-License-Identifier: MIT
 *
 * assert: three kinds of wrong. HK_ASSERT is an error of ours, compiled in with -Dcheck=fast or full. HK_EXPENSIVE
 * walks structures, with full only. hk_misuse is the program's error and always there.
 *
 * Any thread, any time; prints without an allocation. Knows options and fmt.
 */
#ifndef HK_BASE_ASSERT_H
#define HK_BASE_ASSERT_H

#include "base/compiler.h"
#include "config.h"

_Noreturn HK_SLOW_PATH void hk_assert_failed(const char *what, const char *file, int line);

#define HK_ASSERT(x) ((void)(!HK_CHECK_FAST || HK_LIKELY(x) || (hk_assert_failed(#x, __FILE__, __LINE__), 0)))
#define HK_EXPENSIVE(x) ((void)(!HK_CHECK_FULL || HK_LIKELY(x) || (hk_assert_failed(#x, __FILE__, __LINE__), 0)))

enum hk_misuse {
    HK_MISUSE_DOUBLE_FREE, /* the block is free already */
    HK_MISUSE_INVALID,     /* no block of ours */
    HK_MISUSE_INTERIOR,    /* points into the block at `block` */
    HK_MISUSE_CORRUPT,     /* a free block's link was overwritten; `ptr` is the slab */
};

/* Prints the one line and aborts; with HAKMEM_MISUSE=warn it returns and the caller ignores the call. `verb` is the
 * entry that was called ("free"), `size` the block's bytes where they are known. */
HK_SLOW_PATH void hk_misuse(enum hk_misuse kind, const char *verb, const void *ptr, const void *block, size_t size);

#endif
