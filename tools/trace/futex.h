/* SPDX-License-Identifier: MIT
 *
 * Sleeping on a word of memory, which may be shared with another process.
 */
#ifndef HAKMEM_TRACE_FUTEX_H
#define HAKMEM_TRACE_FUTEX_H

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Returns when woken, when the word is not `value`, after so many ms, or at once where the system refuses to sleep. */
static inline void futex_wait_ms(_Atomic uint32_t *word, uint32_t value, unsigned ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    syscall(SYS_futex, word, FUTEX_WAIT, value, &time, NULL, 0);
}

static inline void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    futex_wait_ms(word, value, 1000);
}

static inline void futex_wake(_Atomic uint32_t *word, int32_t count)
{
    syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}

/* A lock whose waiters sleep: one that spins, or gives up its turn, never gets it from a thread of a lower priority in
 * real time. Zero is free. */
struct futex_lock {
    _Atomic uint32_t word; /* 0 free, 1 held, 2 held and perhaps somebody sleeps */
};

static inline void futex_lock(struct futex_lock *lock)
{
    uint32_t none = 0;
    if (atomic_compare_exchange_strong_explicit(&lock->word, &none, 1, memory_order_acquire, memory_order_relaxed))
        return;
    int saved = errno;
    while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) != 0)
        futex_wait(&lock->word, 2);
    errno = saved;
}

static inline void futex_unlock(struct futex_lock *lock)
{
    int saved = errno;
    if (atomic_exchange_explicit(&lock->word, 0, memory_order_release) == 2)
        futex_wake(&lock->word, 1);
    errno = saved;
}

#endif
