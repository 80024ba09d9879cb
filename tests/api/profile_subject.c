/* SPDX-License-Identifier: MIT
 *
 * What tests/api/profile_report.py knows the profile of. Prints what a block of each of three sizes takes; these fill
 * the room that they get, whatever the classes.
 */
#include "config.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define END (HK_TAIL ? 8 : 0) /* what of each is not the program's */
enum { TINY = 128 - END, DROPPED = 256 - END, OF_THREAD = 1024 - END, LARGE = 65536 - END };

/* Not static: their names are looked for. */
void subject_keep(void);
void subject_peak(void);
void subject_drop(void);
void *subject_thread(void *arg);

static void *kept[20000], *held[3000], *high[100];

__attribute__((noinline)) void subject_keep(void)
{
    for (unsigned i = 0; i < 20000; i++)
        kept[i] = malloc(TINY);
}

/* All of it at the peak, and none later. */
__attribute__((noinline)) void subject_peak(void)
{
    for (unsigned i = 0; i < 100; i++)
        high[i] = malloc(LARGE);
}

/* Never much at once, and before the peak. */
__attribute__((noinline)) void subject_drop(void)
{
    for (unsigned i = 0; i < 50000; i++)
        free(memset(malloc(DROPPED), 1, DROPPED));
}

__attribute__((noinline)) void *subject_thread(void *arg)
{
    prctl(PR_SET_NAME, "a-worker");
    for (unsigned i = 0; i < 3000; i++)
        held[i] = malloc(OF_THREAD);
    return arg;
}

int main(void)
{
    pthread_t thread;
    subject_keep();
    subject_drop();
    if (pthread_create(&thread, NULL, subject_thread, NULL) != 0 || pthread_join(thread, NULL) != 0)
        return 1;
    subject_peak();
    for (unsigned i = 0; i < 100; i++)
        free(high[i]);
    size_t dropped = malloc_usable_size(memset(malloc(DROPPED), 1, DROPPED));
    printf("%zu %zu %zu\n", malloc_usable_size(kept[0]) + END, dropped + END, malloc_usable_size(held[0]) + END);
    return 0;
}
