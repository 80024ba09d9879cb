/* SPDX-License-Identifier: MIT */
#include "record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST 65536u

/* A function that was entered; 0 (a rank that no lock has): the latest was left; else below HK_RANKS: a lock of
 * that rank was taken. */
static uintptr_t steps[MOST];
static unsigned count;

static _Thread_local struct {
    bool on;
    unsigned depth; /* functions that were entered and not left */
    unsigned taken[HK_RANKS];
} mine;

void __cyg_profile_func_enter(void *function, void *from);
void __cyg_profile_func_exit(void *function, void *from);

static void add(uintptr_t step)
{
    if (count == MOST)
        abort(); /* a walk of so many steps is a loop */
    steps[count++] = step;
}

/* held.c is instrumented, too. */
static void note_locks(bool add_them)
{
    mine.on = false;
    for (unsigned rank = 0; rank < HK_RANKS; rank++) {
        unsigned taken = hk_held_taken((enum hk_rank)rank);
        if (add_them && taken != mine.taken[rank])
            add(rank);
        mine.taken[rank] = taken;
    }
    mine.on = true;
}

void __cyg_profile_func_enter(void *function, void *from)
{
    (void)from;
    if (!mine.on)
        return;
    add((uintptr_t)function);
    mine.depth++;
}

void __cyg_profile_func_exit(void *function, void *from)
{
    (void)from;
    if (!mine.on)
        return;
    add(0);
    if ((uintptr_t)function == (uintptr_t)hk_held_take || (uintptr_t)function == (uintptr_t)hk_held_tried)
        note_locks(true);
    if (--mine.depth == 0)
        record_end();
}

void record_begin(void)
{
    count = 0;
    mine.depth = 0;
    note_locks(false);
}

void record_end(void)
{
    mine.on = false;
}

bool record_has(uintptr_t function)
{
    for (unsigned i = 0; i < count; i++) {
        if (steps[i] == function)
            return true;
    }
    return false;
}

void record_failed(const char *what, const char *file, int line)
{
    record_end();
    fprintf(stderr, "%s:%d: not true: %s\n", file, line, what);
    exit(1);
}

#define NAME(rank) [HK_RANK_##rank] = #rank

static const char *const names[HK_RANKS] = {
    NAME(NONE),  NAME(FILE), NAME(SWEEPING), NAME(RECORDS), NAME(HEAP),     NAME(ORPHANS), NAME(POOL),
    NAME(ARENA), NAME(HUGE), NAME(MAKING),   NAME(ARRAY),   NAME(LEARNING), NAME(META),
};

const char *record_rank(enum hk_rank rank)
{
    return names[rank];
}

void record_show(void)
{
    for (unsigned i = 0; i < count; i++) {
        if (steps[i] == 0)
            printf("out\n");
        else if (steps[i] < HK_RANKS)
            printf("lock %s\n", names[steps[i]]);
        else
            printf("in %" PRIxPTR "\n", steps[i] - (uintptr_t)record_show); /* wherever the program was loaded */
    }
}
