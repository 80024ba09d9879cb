/* SPDX-License-Identifier: MIT
 *
 * What tests/api/profile_report.py knows the profile of. Prints what a block of 100, 200 and 1000 bytes holds.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* Not static: their names are looked for. */
void subject_keep(void);
void subject_peak(void);
void subject_drop(void);
void *subject_thread(void *arg);

static void *kept[20000], *held[3000], *high[100];

__attribute__((noinline)) void subject_keep(void)
{
    for (unsigned i = 0; i < 20000; i++)
        kept[i] = malloc(100);
}

/* All of it at the peak, and none later. */
__attribute__((noinline)) void subject_peak(void)
{
    for (unsigned i = 0; i < 100; i++)
        high[i] = malloc(65536);
}

/* Never much at once, and before the peak. */
__attribute__((noinline)) void subject_drop(void)
{
    for (unsigned i = 0; i < 50000; i++)
        free(memset(malloc(200), 1, 200));
}

__attribute__((noinline)) void *subject_thread(void *arg)
{
    prctl(PR_SET_NAME, "a-worker");
    for (unsigned i = 0; i < 3000; i++)
        held[i] = malloc(1000);
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
    printf("%zu %zu %zu\n", malloc_usable_size(kept[0]), malloc_usable_size(memset(malloc(200), 1, 200)),
           malloc_usable_size(held[0]));
    return 0;
}
