/* SPDX-License-Identifier: MIT
 *
 * Sleeping on a word of memory, which may be shared with another process.
 */
#ifndef HAKMEM_TRACE_FUTEX_H
#define HAKMEM_TRACE_FUTEX_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Returns when woken, when the word is not `value`, or after about a second. */
static inline void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    struct timespec second = {.tv_sec = 1};
    syscall(SYS_futex, word, FUTEX_WAIT, value, &second, NULL, 0);
}

static inline void futex_wake(_Atomic uint32_t *word, int32_t count)
{
    syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}

#endif
