/* SPDX-License-Identifier: MIT
 *
 * profiled: what the front does while a profile is made (box/profile.h). Included by front/ANY.c,
 * front/hardened/ANY.c, api/profile_ANY.c
 * and api/profile_ANY.h only.
 *
 * While none is made this costs nothing on the fast paths: a profile takes every code out of the threads' tables, so
 * that malloc finds no bin and takes the slow path, which counts. free is as before. A sampled block up to 32 KiB is of
 * the side box, where every free takes the slow way anyhow; a larger one is an ordinary one whose address is noted.
 *
 * A thread's table is written by its thread, and for this purpose by others, who hold the lock of its heap. Must not
 * know what is done with a profile.
 */
#ifndef HK_FRONT_PROFILED_H
#define HK_FRONT_PROFILED_H

#include "box/leaks.h"
#include "front/front.h"
#include "front/wrong.h"
#include "pages/ss_arena.h"
#include "superslab/block.h"

/* Operands of tests that slow paths make anyhow: so a profile that is not made costs them nothing. Written by who
 * begins and who ends one; whoever sees some of it late leaves a block uncounted, no more. */
struct hk_front_ways {
    size_t mid_sizes;     /* so many sizes above HK_TINY_MAX have bins that are asked at once; none while one is made */
    size_t large_from;    /* what is as large is a run or a mapping, and not looked at; nothing while one is made */
    size_t classes_below; /* what is smaller, and aligned, is of a class; nothing while one is made */
};
extern HK_HIDDEN struct hk_front_ways hk_front_ways;
#define HK_MID_SIZES (HK_MID_MAX - HK_TINY_MAX)

/* Who wants to see the mallocs that take the slow path: the profile while one is made, and who guards blocks from then
 * on. Relaxed: before a code is taken away it is said here. */
#define HK_WATCH_PROFILE 1u
#define HK_WATCH_GUARD 2u
extern HK_HIDDEN _Atomic uint32_t hk_front_watchers;

static inline uint32_t hk_front_watched_by(void)
{
    return hk_load_relaxed(&hk_front_watchers);
}

static inline void hk_front_watch(uint32_t who)
{
    hk_or_relaxed(&hk_front_watchers, who);
}

/* Puts into the new table of this thread what belongs there now. After hk_heap_begin once more: see hk_front_watch. */
void hk_front_set_codes(struct hk_thread *thread);

/* The same of a class that this thread opens (hk_front_open_class). */
void hk_front_note_opened(struct hk_thread *thread, unsigned cls);

/* For front/guard_ANY.c and front/guard.c. This thread's table is whole again, but while a profile is made. */
void hk_front_write_codes(struct hk_thread *thread);

/* The same where it is not. */
void hk_front_mend_codes(struct hk_thread *thread);

/* Takes all codes out of another thread's table; the lock of its heap is held. */
void hk_front_clear_codes(struct hk_front *front);

/* The ways of Mid sizes: they come to the slow path's end, or no longer, but while a profile is made. */
void hk_front_close_ways(void);
void hk_front_open_ways(void);

/* What is asked for. */
struct hk_wish {
    size_t size, align;
    const void *first; /* where the program's call returns to, or one of ours nearer to it */
};

/* Bytes of the block that it gets: of its class, or whole pages. */
static inline size_t hk_front_bytes(size_t size, size_t align)
{
    if (HK_LIKELY(align <= 16) && hk_front_has_class(size))
        return hk_class_size(hk_class_of(size));
    if (size <= HK_MID_MAX && align <= HK_PAGE)
        return hk_class_size(hk_class_of_aligned(size, align));
    return hk_align_up(hk_max(size, 1), HK_PAGE);
}

/* malloc and the like while a profile is made: they count, and perhaps sample. `first` as in struct hk_wish. NULL and
 * ENOMEM. */
void *hk_profiled_malloc(size_t size, const void *first);
void *hk_profiled_aligned(size_t align, size_t size, const void *first);
void *hk_profiled_calloc(size_t size, const void *first);

/* A sampled block of a class, in place of an ordinary one; NULL: there is none. `thread` is outside the gate. */
void *hk_front_take_sampled(struct hk_thread *thread, const struct hk_wish *wish);

/* A larger block, just taken, is a sampled one. */
void hk_front_note_sampled(struct hk_thread *thread, const struct hk_wish *wish, void *ptr);

/* A guarded block, just taken, is a sampled one if the profile wants it; and the profile forgets it. */
void hk_front_note_guarded(struct hk_thread *thread, const struct hk_wish *wish, void *ptr);
void hk_front_forget_guarded(uintptr_t tag);

/* Frees a block of the side box, which a profile may know; keeps errno. Outside the gate. */
void hk_front_free_side(void *ptr);

/* A large block that may have been sampled is about to be freed. Inside the gate. */
void hk_front_forget_large(const struct hk_block *block);

/* hk_page_heap_resize, or with 0 for `roomy` hk_page_heap_shrink, where a profile was made: what is resized is another
 * block from then on, asked for by who resizes it. Inside the gate. */
void *hk_front_resize_profiled(const struct hk_block *block, size_t size, size_t roomy);

/* ---- the profile, by whoever asks; not in a handler. ---- */

/* False: no memory, or called in fork or in a handler. `tell`: of wrong uses (front/wrong.h). */
bool hk_front_profile_begin(size_t interval, hk_wrong_teller *tell);
void hk_front_profile_end(void);
bool hk_front_profile_read(struct hk_profile_result *result);

/* Looks for what nobody can reach. False: leaks->refusal says why not; also in a handler that interrupted malloc. */
bool hk_front_find_leaks(struct hk_leaks *leaks, const struct hk_leak_ignored *ignored);

#endif
