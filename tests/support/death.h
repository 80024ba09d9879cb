/* SPDX-License-Identifier: MIT
 *
 * Runs a function in a child process and says how the child ended and what it wrote to stderr.
 */
#ifndef HK_TEST_DEATH_H
#define HK_TEST_DEATH_H

#include <stddef.h>

struct death {
    int status;      /* as waitpid gives it */
    unsigned lines;  /* lines on stderr, an unfinished last one counted */
    char text[8192]; /* what was written to stderr, cut to this size */
};

/* The child calls body(context) and ends with status 0 when body returns. It leaves no core file, and SIGALRM ends it
 * after 20 seconds. Allocates nothing. */
void death_run(struct death *death, void (*body)(void *), void *context);

/* "exit status 3", "signal 6" ... in a static buffer. */
const char *death_describe(const struct death *death);

#endif
