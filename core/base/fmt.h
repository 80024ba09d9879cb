/* SPDX-License-Identifier: MIT
 *
 * fmt: text for a file descriptor without stdio, without an allocation, and without the C library: no write of it is a
 * cancellation point, and errno stays.
 *
 * A struct hk_fmt lives on its user's stack and belongs to that thread alone. Knows sys.
 */
#ifndef HK_BASE_FMT_H
#define HK_BASE_FMT_H

#include "base/compiler.h"

struct hk_fmt {
    int fd;         /* where full buffers go */
    bool failed;    /* a write did not succeed; later text is dropped */
    size_t used;    /* bytes of buf that wait */
    char buf[1000]; /* small enough for a signal stack */
};

void hk_fmt_start(struct hk_fmt *f, int fd);

/* printf's subset: %s %d %u %zu %lu %lld %llu %x %zx %p %c %% with width, '-' and '0'. %p prints 0x and hexadecimal
 * digits. */
void hk_fmt(struct hk_fmt *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes what waits. False when any write has failed. */
bool hk_fmt_end(struct hk_fmt *f);

#endif
