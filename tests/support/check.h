/* SPDX-License-Identifier: MIT
 *
 * Checks for test programs that are no cmocka programs: a failed check prints one line and ends the process with
 * status 1. Nothing here allocates, so it works in constructors, after fork and when memory has run out.
 */
#ifndef HK_TEST_CHECK_H
#define HK_TEST_CHECK_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TEST_SKIPPED 77

/* Prints "FILE:LINE: TEXT" to stderr and ends the whole process with status 1. */
__attribute__((noreturn, format(printf, 3, 4))) void check_failed(const char *file, int line, const char *format, ...);

/* Prints why the test cannot run here and ends the process with status 77. */
__attribute__((noreturn, format(printf, 1, 2))) void check_skip(const char *format, ...);

/* Ends the process where the library could not be opened: with status 77 where the C library takes none with static
 * thread-local memory after the start (musl). `error`: what dlerror said. */
void check_opened(const void *library, const char *error);

/* From now on check_failed aborts: libFuzzer keeps the input then. */
void check_aborts(void);

/* One line on stdout without stdio. */
__attribute__((format(printf, 1, 2))) void check_note(const char *format, ...);

/* When the process still runs after that many seconds: prints the stacks of its threads on stderr and ends it with
 * status 1. A hang is a failure. (TEST_SLOWNESS times as long.) Takes the place of the last call; a child of fork has
 * none until it calls it. A program that hangs with all signals blocked does not hear it: `./hakmem test` sees that
 * from outside. */
void check_watchdog(unsigned seconds);

/* alarm, for TEST_SLOWNESS (of the environment: so many times as long as here things take) times as long. */
void check_alarm(unsigned seconds);

/* Of n like steps as many as take the time here that all take elsewhere, one at least: n / TEST_SLOWNESS. */
size_t check_fewer(size_t n);

#define CHECK(cond)                                                  \
    do {                                                             \
        if (!(cond))                                                 \
            check_failed(__FILE__, __LINE__, "not true: %s", #cond); \
    } while (0)

#define CHECKF(cond, ...)                                  \
    do {                                                   \
        if (!(cond))                                       \
            check_failed(__FILE__, __LINE__, __VA_ARGS__); \
    } while (0)

#ifdef __cplusplus
}
#endif

#endif
