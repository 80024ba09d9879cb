/* SPDX-License-Identifier: MIT
 *
 * profile: who has the memory. Decides which blocks are sampled, and keeps, for each stack that asked for some, what it
 * has now, had when most was live, and asked for in all.
 *
 * A block is sampled with a probability of 1 - exp(-bytes / interval): one point lies, on average, in each `interval`
 * bytes that a thread is given, and a block that has any is sampled. Counted with the reciprocal as its weight, sums
 * are right on average (docs/profile.md). With an interval of HK_PROFILE_ALL or less every block is, and sums are
 * exact.
 *
 * The caller marks a sampled block with what hk_profile_note returned (a tag), and gives that back when the block is
 * freed: a small block is of the side box, which has a word for it; large ones are in a table here, by address.
 *
 * One lock, rank profile, inside the gate; meta is taken inside. A thread's sampler is its own. Knows unwind, meta and
 * os; must not know what blocks are.
 */
#ifndef HK_BOX_PROFILE_H
#define HK_BOX_PROFILE_H

#include "base/atomic.h"
#include "base/bits.h"
#include "base/seen.h"
#include "os/lock.h"
#include "os/unwind.h"

#define HK_PROFILE_ALL 16u /* no block is smaller */
#define HK_PROFILE_DEPTH 96u
#define HK_PROFILE_NAME HK_THREAD_NAME

/* ---- which blocks ---- */

/* A thread's; zeroed before first use. */
struct hk_sampler {
    int64_t left;    /* bytes before the next point */
    uint64_t random; /* the state of a generator; 0: not seeded */
    uint32_t number; /* of the profile that `left` is for */
};

/* The number of the profile that is being made; 0: none. Relaxed: a call sooner or later. */
extern HK_HIDDEN _Atomic uint32_t hk_profile_number;

static inline bool hk_profile_is_on(void)
{
    return HK_UNLIKELY(hk_load_relaxed(&hk_profile_number) != 0);
}

/* Whether there ever was one: its blocks are followed. */
extern HK_HIDDEN _Atomic bool hk_profile_used;

static inline bool hk_profile_is_used(void)
{
    return HK_UNLIKELY(hk_load_relaxed(&hk_profile_used));
}

/* The rest of hk_profile_wants: a point was reached, or the sampler is for another profile. */
HK_NOINLINE bool hk_profile_draw(struct hk_sampler *s, size_t bytes);

/* A block of so many bytes may be one that is sampled: ask hk_profile_wants. Else, when it is handed out,
 * hk_profile_pass.
 */
static inline bool hk_profile_is_near(const struct hk_sampler *s, size_t bytes)
{
    return s->left < (int64_t)bytes || s->number != hk_load_relaxed(&hk_profile_number);
}

static inline void hk_profile_pass(struct hk_sampler *s, size_t bytes)
{
    s->left -= (int64_t)bytes;
}

/* A block of so many bytes is about to be handed out: is it sampled? */
static inline bool hk_profile_wants(struct hk_sampler *s, size_t bytes)
{
    if (HK_UNLIKELY(hk_profile_is_near(s, bytes)))
        return hk_profile_draw(s, bytes);
    hk_profile_pass(s, bytes);
    return false;
}

/* The least that can be sampled of n bytes in blocks of so many: by how much one counts. */
double hk_profile_weight(size_t bytes, size_t interval);

/* ---- what is kept ---- */

/* Where a block was asked for. */
struct hk_stack {
    unsigned depth;
    char thread[HK_PROFILE_NAME];   /* the thread's name */
    uintptr_t pc[HK_PROFILE_DEPTH]; /* innermost first; a record has only as many as there are */
};

/* Of the calling thread; `first` is where the program's call of malloc returns to, `self` as in hk_unwind. */
void hk_profile_look(struct hk_stack *stack, const void *first, struct hk_self *self);

/* A sampled block was handed out. The tag, never 0 but where there is no memory for records, or no profile: then the
 * block counts nowhere, and the profile says how many such there were. Inside the gate. */
uintptr_t hk_profile_note(const struct hk_stack *stack, size_t bytes);

/* One that was to be sampled could not be, for want of memory: it counts nowhere either. Inside the gate. */
void hk_profile_miss(void);

/* It was freed; 0 bytes: as many as the record says, where the block is not above 32 KiB. Inside the gate. */
void hk_profile_forget(uintptr_t tag, size_t bytes);

/* ---- large blocks ---- */

/* Counts of large sampled blocks by their addresses' hashes: a free of one that is none looks no further. Relaxed: who
 * has a block sees its count. */
#define HK_PROFILE_SIEVE 4096u
extern HK_HIDDEN _Atomic uint32_t hk_profile_sieve[HK_PROFILE_SIEVE];

static inline unsigned hk_profile_hash(const void *ptr)
{
    return (unsigned)((uintptr_t)ptr * 0x9e3779b97f4a7c15u >> 52);
}

static inline bool hk_profile_may_have(const void *ptr)
{
    return HK_UNLIKELY(hk_load_relaxed(&hk_profile_sieve[hk_profile_hash(ptr)]) != 0);
}

/* Remembers, or forgets, the tag of a large block. 0: it has none; false: no memory. Inside the gate. */
bool hk_profile_put(const void *ptr, uintptr_t tag, size_t bytes);
uintptr_t hk_profile_take(const void *ptr, size_t *bytes);

/* ---- looking ---- */

/* For who looks from outside the process (api/board.h): the table of records, how many slots it has, the profile's
 * number, the number of highs, samples, lost ones, when it began, sums of all, the interval, hk_profile_number, and the
 * form of a record: the offsets, 4 bytes each, of its sums, high, bytes, number, depth of the stack, thread's name, and
 * addresses. A record is never unmapped, and what it is of stays. */
extern HK_HIDDEN hk_seen hk_profile_seen[11];

/* The interval of the profile that is being made, or of the last one. */
size_t hk_profile_recorded(void);

/* Where a block with this tag was asked for; NULL: it is 0, or of an earlier profile. For ever. Inside the gate. */
const struct hk_stack *hk_profile_stack_of(uintptr_t tag);

/* The same of any word, which may be no tag at all. */
const struct hk_stack *hk_profile_stack_if(uintptr_t tag);

/* The tag of a large block, or 0; of one of the last that were freed, the same. Inside the gate. */
uintptr_t hk_profile_look_up(const void *ptr);
uintptr_t hk_profile_look_up_freed(const void *ptr);

/* The mapping that the addresses of large blocks stand in; NULL: there is none. Inside the gate. */
void *hk_profile_table(size_t *size);

/* ---- a profile's life ---- */

/* Forgets what was recorded, and samples from now on. False: no memory. Inside the gate. */
bool hk_profile_begin(size_t interval);

/* No block is sampled from now on; those that were are still followed. */
void hk_profile_end(void);

/* For fork. */
struct hk_lock *hk_profile_lock(void);

/* ---- what was found ---- */

struct hk_profile_sums {
    double live, live_bytes;   /* blocks and bytes now */
    double peak, peak_bytes;   /* when most bytes were live */
    double total, total_bytes; /* since the profile began */
};

struct hk_profile_row {
    const struct hk_stack *stack; /* only the first `depth` addresses are there; for ever */
    size_t bytes;                 /* of a block; of one above 32 KiB up to the next power of two */
    struct hk_profile_sums sums;
};

struct hk_profile_result {
    struct hk_profile_row *row; /* a mapping; hk_profile_drop */
    size_t rows, mapped;
    size_t interval;
    uint64_t samples, lost; /* blocks sampled, and those that count nowhere because there was no memory */
    struct hk_profile_sums sums;
    uint64_t began; /* seconds since 1970 */
};

/* Copies what there is, as it is at one moment. False: no memory. Inside the gate. */
bool hk_profile_read(struct hk_profile_result *result);
void hk_profile_drop(struct hk_profile_result *result);

#endif
