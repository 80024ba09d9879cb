/* SPDX-License-Identifier: MIT
 *
 * What interposer.c counts, for interposed.c.
 */
#ifndef HK_TEST_INTERPOSER_H
#define HK_TEST_INTERPOSER_H

/* clang-format makes something else of such a list each time. */
/* clang-format off */
#define INTERPOSED(X)                                                                                                 \
    X(syscall)                                                                                                        \
    X(clock_gettime) X(getrlimit) X(getrlimit64) X(prlimit64) X(mmap) X(mmap64) X(munmap) X(mprotect) X(mremap)       \
        X(madvise) X(mincore) X(getauxval) X(sched_getcpu) X(getcpu) X(getpid) X(open) X(open64) X(openat) X(fcntl64) \
            X(read) X(write) X(close) X(getenv) X(secure_getenv)
/* clang-format on */

enum interposer_name {
#define X(name) INTERPOSER_##name,
    INTERPOSED(X)
#undef X
        INTERPOSER_NAMES
};

#define INTERPOSER_CALLERS 1000

extern _Thread_local int interposer_in_allocation;          /* this thread is in a call of the malloc family */
extern _Atomic unsigned interposer_calls[INTERPOSER_NAMES]; /* by whomever */
extern _Atomic unsigned interposer_calls_inside;            /* while that was set */
extern void *interposer_callers[INTERPOSER_CALLERS];        /* return addresses */
extern _Atomic unsigned interposer_caller_count;

#endif
