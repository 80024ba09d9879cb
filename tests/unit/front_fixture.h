/* SPDX-License-Identifier: MIT
 *
 * front_fixture: the fast paths as functions, and what the tests of the front box want to know about a thread's bins.
 * Uses EXPECT: for children.
 */
#ifndef HK_TEST_FRONT_FIXTURE_H
#define HK_TEST_FRONT_FIXTURE_H

#include "unit.h"

#include "front/fast.h"
#include "front/front.h"
#include "front/block.h"
#include "front/slow.h"

/* As the public entries: any size, NULL and ENOMEM. */
void *front_malloc(size_t size);
void front_free(void *ptr);

/* front_malloc that must succeed; the block is aligned and large enough. */
void *front_take(size_t size);

/* This thread's record. */
struct hk_thread *front_self(void);

/* Bytes in this thread's bins, or those that threads share. */
size_t front_held(void);

/* Slabs that are neither EMPTY nor UNUSED, in the whole pool, after what waits between fronts went to them, and heaps
 * were swept. */
unsigned front_owned_slabs(void);

/* From now on there may be other threads, so that wide sizes have classes. */
void front_be_threaded(void);

/* So many blocks of another thread, which stays until the process ends: its slabs allow this thread's front nothing. */
void front_borrow(void **blocks, unsigned n, size_t size);

/* This thread's bins against what the header of its front says. */
void front_check(void);

/* ---- reports ---- */

/* From now on each line on stderr and each abort checks that no lock is held, by the calling thread or another: stderr
 * is a pipe that nobody reads, and the line's SIGPIPE comes in the middle of the report. Makes the process one of
 * several threads, so that locks are taken at all. An abort then allocates, frees and ends the child with
 * FRONT_REPORTED. */
void front_watch_reports(void);
#define FRONT_REPORTED 42

/* Lines that were checked so far. */
unsigned front_reports(void);

/* ---- fronts that use room.c ---- */

/* The same, and what the bins have room for against the budget. */
void front_check_budget(void);

/* Bytes in this thread's bins alone: what a list behind them holds has a bound of its own. */
size_t front_held_in_bins(void);

/* The first class of a group. There is one in each of C1, C3, C5 and C7, and in Mid (8), with every choice of classes.
 */
unsigned front_first_of(unsigned group);

/* A bin that is in use against what the chosen front says of it; in front_box_<choice>.c. */
void front_check_bin(const struct hk_thread *thread, unsigned cls);

/* For test_front_off.c: sets the option that leaves a group of tiny classes without bins; in front_box_<choice>.c. */
void front_turn_off(unsigned group);
void front_turn_all_off(void);

#endif
