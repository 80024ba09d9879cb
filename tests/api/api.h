/* SPDX-License-Identifier: MIT
 *
 * What every cmocka program of this folder includes. Each program runs three times: on the names of the C library
 * linked with libhakmem.a, on the hak_ names, and preloaded (tests/support/entries.h).
 */
#ifndef HK_TEST_API_H
#define HK_TEST_API_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "entries.h"
#include "pattern.h"
#include "proc.h"
#include "sizes.h"

/* A value no library sets errno to. */
#define ERRNO_MARK 4711

/* The table under test; set by main. */
extern const struct entries *e;

#define assert_aligned(block, alignment) assert_int_equal((uintptr_t)(block) & ((alignment)-1), 0)

/* The call gave NULL and set errno to `code`. */
#define assert_refused(call, code)      \
    do {                                \
        errno = ERRNO_MARK;             \
        void *refused_ = (call);        \
        int errno_ = errno;             \
        assert_null(refused_);          \
        assert_int_equal(errno_, code); \
    } while (0)

#endif
