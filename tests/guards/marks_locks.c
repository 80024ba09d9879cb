/* SPDX-License-Identifier: MIT
 *
 * Marks between which locks are counted, by rank: the allocator is that of the walks, which notes each one.
 */
#include "marks.h"

#include "../walks/record.h"
#include "base/held.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

static _Thread_local uint16_t before[HK_RANKS];
static _Atomic unsigned total[HK_RANKS];
static _Atomic bool begun; /* by some thread */
static pthread_key_t ends;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The counts wrap: a thread takes fewer than 65536 of a rank between its marks. */
void mark_begin(void)
{
    begun = true;
    for (unsigned rank = 0; rank < HK_RANKS; rank++)
        before[rank] = (uint16_t)hk_held_taken((enum hk_rank)rank);
}

void mark_end(void)
{
    for (unsigned rank = 0; rank < HK_RANKS; rank++)
        total[rank] += (uint16_t)(hk_held_taken((enum hk_rank)rank) - before[rank]);
}

static void end_of_thread(void *arg)
{
    (void)arg;
    mark_end();
}

/* The allocator's own key is older, so that its destructor has run. */
static void make_key(void)
{
    NEED(pthread_key_create(&ends, end_of_thread) == 0);
}

void mark_all(void)
{
    if (!begun)
        return;
    pthread_once(&once, make_key);
    pthread_setspecific(ends, total);
    mark_begin();
}

void mark_show(void)
{
    for (unsigned rank = 0; rank < HK_RANKS; rank++) {
        if (total[rank] != 0)
            printf("%s %u\n", record_rank((enum hk_rank)rank), total[rank]);
    }
}
