/* SPDX-License-Identifier: MIT
 *
 * unit: what the unit tests share: cmocka with the headers it needs, random numbers, and code that must run in a
 * process of its own (a fresh box, an expected abort).
 */
#ifndef HK_TEST_UNIT_H
#define HK_TEST_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

/* For children and for threads, where cmocka's assertions cannot be used: prints a line and ends the process. */
#define EXPECT(x) ((x) ? (void)0 : unit_failed(#x, __FILE__, __LINE__))

__attribute__((noreturn)) void unit_failed(const char *what, const char *file, int line);

/* How a child ended, and what it wrote to stderr. */
struct unit_child {
    int status; /* of waitpid */
    size_t length;
    char text[8192];
};

/* How many times as long as here things take: TEST_SLOWNESS of the environment, for emulated machines. Else 1. */
unsigned unit_slowness(void);

/* Of many like cases one in so many is looked at: TEST_STRIDE of the environment, for builds beside others. Else 1. */
unsigned unit_stride(void);

/* Runs body(arg) in a fork; a child that returns ends with status 0. Killed after 50 seconds. */
void unit_run(struct unit_child *child, void (*body)(void *), void *arg);

/* The same; fails the test when the child does not end with status 0, and shows what it said. */
void unit_passes(void (*body)(void *), void *arg);

/* The same; returns the exit status, and fails the test when the child was killed or ended with status 1 (EXPECT). */
int unit_status(void (*body)(void *), void *arg);

/* fork, in a child: an alarm is not inherited, and who never ends would be waited for. */
pid_t unit_fork(void);

/* Skips the test where something is not there: what the lacks_ functions of support/needs.h say. */
void unit_needs(const char *lack);

/* A number in 0 ... n - 1. The state is any number but 0. */
static inline uint64_t unit_random(uint64_t *state, uint64_t n)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (*state * 0x2545f4914f6cdd1dULL >> 16) % n;
}

/* Fills a block: of one above 16 KiB the beginning, and the end of each 256 KiB and of all. Pages are dear. */
void unit_fill(void *ptr, size_t size, unsigned char mark);

/* True when all is there that unit_fill wrote to a block of `filled` bytes that has at least `size` by now. */
bool unit_is_filled(const void *ptr, size_t size, size_t filled, unsigned char mark);

/* The process has two threads, and then one again: from now on locks are taken. For children. */
void unit_second_thread(void);

/* Runs body((void *)1) ... body((void *)n) in threads of their own, at most 16, and waits for them. For children. */
void unit_in_threads(unsigned n, void *(*body)(void *));

/* All bytes of the range are zero. */
bool unit_is_zero(const void *ptr, size_t size);

#endif
