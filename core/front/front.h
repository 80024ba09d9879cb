/* SPDX-License-Identifier: MIT
 *
 * front: what every front cache is to the rest: a thread's ready blocks, by class. The build chooses one (-Dfront); its
 * folder holds front_box.h, which says what a bin is, with the inline part, and the sources.
 *
 * A zeroed bin is both empty and full, so that the first malloc and the first free of a thread take the slow path
 * without an "is it initialised" test. Class 0 is a bin that stays zero: foreign pointers, page runs and huge blocks
 * leave free() through the test of block starts, which a zeroed bin fails. A thread keeps what it frees, whoever
 * allocated it; ownership is settled in batches, when a bin is flushed.
 *
 * A front belongs to its thread alone; nobody else ever touches its bins (statistics read them, knowing that the answer
 * is exact only while the program is quiet). That is why the size of those that use room.c is bounded, for all classes
 * together: what it holds by HAKMEM_FRONT_BYTES or a quarter of the slabs that the thread owns, whichever is more (a
 * thread with a large heap of large blocks would else miss all the time), looked at every few flushes; what its bins
 * have room for by twice that, always. With more than four threads, and where memory was refused, it is less:
 * hk_front_limit.
 */
#ifndef HK_FRONT_FRONT_H
#define HK_FRONT_FRONT_H

#include "front_box.h"

#include "base/options.h"
#include "box/gate.h"
#include "box/profile.h"
#include "box/tls_sll.h"
#include "box/transfer.h"
#include "os/thread.h"
#include "pages/ss_arena.h"

struct hk_thread;

/* Is a block of that size one of a class now? A process of one thread has page runs above 32 KiB: there the lock of the
 * arena costs nothing, and the best fit saves memory. So has one with HAKMEM_MEMORY_LIMIT, where whole SuperSlabs
 * count, and one that was refused memory. */
static inline bool hk_front_has_class(size_t size)
{
    bool close = hk_opt(HK_OPT_MEMORY_LIMIT) != 0 || hk_arena_is_scarce();
    return size <= HK_MID_MAX || (size <= HK_WIDE_MAX && !hk_single_threaded() && !close);
}

/* What the fast paths use of a thread. The table first: its address is then the shortest, and malloc fits a cache line.
 * It begins at a cache line; who declares one says so, and not the type, whose size would then end at one: static TLS
 * is scarce. */
struct hk_front {
    uint8_t
        code_of[HK_TINY_MAX / 16 + 1]; /* doubled class of a tiny size; zero before first use: the bin of class 0,
                                          and of sizes of which several share a cache line before their first malloc */
    size_t reach[HK_SIGNALS]; /* one or none: the fast path serves sizes below it; 0 while the front is held, before
                                 first use and after the end */
    struct hk_bin
        bin[HK_CLASS_COUNT + 1] HK_ALIGNED(16); /* the last one, of HK_CODE_SECOND, stays zero, as the first */
    struct hk_thread *thread;                   /* NULL before first use; HK_THREAD_ENDED after the thread's end */
};

/* Late destructors of an ended thread allocate and free through the orphan heap: a front would never be flushed again.
 */
#define HK_THREAD_ENDED ((struct hk_thread *)1)

/* Where a thread's front is, chosen by -Dtls:
 *
 *   struct hk_front_place
 *       What a thread's record has for it.
 *   struct hk_front HK_TLS_SPACE *hk_front_self(void)
 *       This thread's, as the fast paths reach it. One of zeros before first use and after the end.
 *   struct hk_front *hk_front_mine(void)
 *       The same as a plain pointer.
 *   struct hk_front *hk_front_open(struct hk_front_place *place)
 *       A zeroed one for this thread.
 *   void hk_front_enter(struct hk_front *front)
 *       From now on this thread's.
 *   void hk_front_leave(struct hk_front *front)
 *       From now on it is not, and thread is HK_THREAD_ENDED in what hk_front_mine finds.
 */
#include "front_tls.h"

/* ---- the hold (-Dsignals=enabled; else nothing) ----
 *
 * Whoever changes the bins, or what lies behind them, holds the front meanwhile: a fast path for some instructions, a
 * slow one from before the gate until after it. Who finds it held is a signal handler that interrupted its own thread
 * there (or a thread without a record): fast paths leave, and slow ones are turned away as at the gate. So a handler
 * finds everything whole, or touches nothing. The word is its thread's and its handlers', and a handler leaves it as it
 * was: a load and a store are enough. Model: docs/models/signals.pml. */

/* For a block of `size` bytes. False: it is too large for the fast path (without -Dsignals=enabled the caller looks),
 * or the front is held. */
static HK_ALWAYS_INLINE bool hk_front_hold_for(struct hk_front HK_TLS_SPACE *front, size_t size)
{
    if (!HK_SIGNALS)
        return true;
    if (HK_UNLIKELY(size >= *front->reach))
        return false;
    *front->reach = 0;
    hk_fence_signal(); /* before anything is looked at that handlers change too */
    return true;
}

static HK_ALWAYS_INLINE bool hk_front_hold(struct hk_front HK_TLS_SPACE *front)
{
    return hk_front_hold_for(front, 0);
}

/* All is whole; or the front was just made. */
static HK_ALWAYS_INLINE void hk_front_let_go(struct hk_front HK_TLS_SPACE *front)
{
    if (!HK_SIGNALS)
        return;
    hk_fence_signal(); /* after all that was changed */
    *front->reach = HK_TINY_MAX + 1;
}

/* The bin of a doubled class (hk_registry_lookup). */
static HK_ALWAYS_INLINE struct hk_bin HK_TLS_SPACE *hk_front_bin(struct hk_front HK_TLS_SPACE *front, unsigned code)
{
    return (struct hk_bin HK_TLS_SPACE *)((char HK_TLS_SPACE *)front->bin + code * (sizeof(struct hk_bin) / 2));
}

/* What a thread moved between its front and the slabs, per class; for statistics, which read it at any time. */
struct hk_front_metrics {
    uint64_t refills, flushes;  /* batches */
    uint64_t refilled, flushed; /* blocks in them */
};

/* Telemetry: how often a thread's front had a block or room, and how often it had not. What never asks the front
 * (calloc of virgin memory) counts as a miss. */
struct hk_front_hits {
    uint64_t malloc_hits, malloc_misses;
    uint64_t free_hits, free_misses;
};

/* With -Dtls_sll=enabled, between the bins and the slabs: what a full bin gives away waits here for an empty one. */
struct hk_back {
    size_t bytes;  /* in all lists; at most hk_front_limit when the last batch came */
    unsigned hand; /* class of the list that was flushed last for the sake of that limit */
    struct hk_sll list[HK_CLASS_COUNT];
};

/* The rest of a thread's record, in metadata memory, found by its heap: records are reused by later threads. */
struct hk_thread {
    struct hk_heap heap;
    struct hk_front *front;        /* of the living thread, else NULL; its thread's, and who may count (`seen`) */
    struct hk_front *_Atomic seen; /* the same, for who counts blocks: where it is not NULL under the heap's lock, the
                                      bins stay where they are until that is given back. Then they may be unmapped */
    struct hk_pass pass;           /* of whoever has the record */
    uint32_t ticks;                /* hk_purge_tick_short; its thread's */
    int *error;                    /* its thread's errno, looked up once */
    uint32_t refusals;             /* how many of all threads' the front was emptied for (inside.h); its thread's */
    struct hk_sampler sampler;     /* which of its blocks are sampled; its thread's */
    struct hk_self self;           /* of sampled blocks: who asks; its thread's */
    uint8_t opened;      /* a bit for each class below a cache line that it has used; its thread's, and who ends a
                            profile looks */
    uint16_t guard;      /* front/guard.h */
    uint8_t guard_looks; /* slow paths that could have had a guarded block; its thread's */
    struct hk_front_metrics metrics[HK_CLASS_COUNT];
    struct hk_front_hits hits[HK_TELEMETRY * HK_CLASS_COUNT]; /* none without telemetry */
    struct hk_front_own own;
    struct hk_front_place place;     /* for hk_front_open */
    struct hk_back back[HK_TLS_SLL]; /* one or none */
};

static inline struct hk_thread *hk_thread_of(struct hk_heap *heap)
{
    return HK_CONTAINER(heap, struct hk_thread, heap);
}

/* Where the fast paths count, if they do: the bin of `code` had what they wanted, so the front has a thread. */
static HK_ALWAYS_INLINE struct hk_front_hits *hk_front_hits(struct hk_front HK_TLS_SPACE *front, unsigned code)
{
    return &front->thread->hits[code / 2];
}

/* ---- what a front does; slow paths ---- */

/* Of -Dfront=percpu alone. */
void hk_percpu_flush_own(struct hk_thread *thread);
struct hk_heap *hk_percpu_heap(struct hk_thread *thread);
unsigned hk_percpu_shelves(void);
void hk_percpu_fork_child(const struct hk_thread *mine);
extern HK_HIDDEN hk_seen hk_percpu_seen[2]; /* the table of all shelves, if there is one, and how many it has */

/* For statistics: a batch of n blocks came or went. Its thread. */
static inline void hk_front_count_refill(struct hk_thread *thread, unsigned cls, unsigned n)
{
    hk_poke_add(&thread->metrics[cls].refills, 1);
    hk_poke_add(&thread->metrics[cls].refilled, n);
}

static inline void hk_front_count_flush(struct hk_thread *thread, unsigned cls, unsigned n)
{
    hk_poke_add(&thread->metrics[cls].flushes, 1);
    hk_poke_add(&thread->metrics[cls].flushed, n);
}

/* Blocks of a class in a thread's front, the list behind it included; 0 when the thread has ended. Any thread; takes
 * the heap's lock. */
unsigned hk_front_count(struct hk_thread *thread, unsigned cls);

/* This thread's front has no block of the class at hand. */
static inline bool hk_front_is_empty(const struct hk_thread *thread, unsigned cls)
{
    return hk_bin_is_empty(hk_front_bin(hk_front_self(), hk_code_of_class(cls))) &&
           (!HK_TLS_SLL || thread->back->list[cls].count == 0);
}

/* A class that the front does not keep: its blocks go straight to and from the slabs. */
bool hk_front_is_bypassed(const struct hk_thread *thread, unsigned cls);

static inline bool hk_front_is_unopened(const struct hk_thread *thread, unsigned cls)
{
    return cls <= HK_TINY_LAST && thread->front->code_of[hk_class_size(cls) / 16] == 0;
}

/* Before the first block of a class of which several share a cache line: what the thread was given by others and freed
 * goes to where it came from, or it would write beside them all the time. Fronts with bins. */
HK_SLOW_PATH void hk_front_open_class(struct hk_thread *thread, unsigned cls);

/* Fills an empty bin and returns one block of it, or NULL: no memory. */
void *hk_front_refill(struct hk_thread *thread, unsigned cls);

/* Puts a checked and marked block of this slab where there is room: into its bin, which may be full or was never used,
 * or into the slab. */
void hk_front_put(struct hk_thread *thread, struct hk_slab *slab, void *block);

/* Bytes that the front may hold. */
size_t hk_front_limit(const struct hk_thread *thread);

/* Empties all bins of this thread, and those that it shares: into the arrays between fronts, and the slabs. */
void hk_front_flush_all(struct hk_thread *thread);

/* Those alone that nobody else uses: at the end of the thread, or when another one has emptied what they share. */
static inline void hk_front_flush_own(struct hk_thread *thread)
{
    if (HK_FRONT_PERCPU)
        hk_percpu_flush_own(thread);
    else
        hk_front_flush_all(thread);
}

/* The heap that this thread's blocks come from. */
static inline struct hk_heap *hk_front_heap(struct hk_thread *thread)
{
    return HK_FRONT_PERCPU ? hk_percpu_heap(thread) : &thread->heap;
}

/* Processors whose bins threads share; 0: each thread has its own. For statistics. */
static inline unsigned hk_front_processors(void)
{
    return HK_FRONT_PERCPU ? hk_percpu_shelves() : 0;
}

/* Makes the record of a thread that ended, or stayed behind in the parent of a fork in whatever it was doing, ready for
 * this one. Its bins are zeroed elsewhere. */
void hk_front_reset(struct hk_thread *thread);

/* ---- begin and end of a thread ---- */

/* Makes this thread's record; NULL: no memory, turned away at the gate, or the thread has ended. May come back to
 * malloc; not inside the gate. */
HK_SLOW_PATH struct hk_thread *hk_front_attach(void);

/* In the child of a fork: nobody but this thread is starting the process. */
void hk_front_fork_child(void);

/* The record if there is one. */
static inline struct hk_thread *hk_front_thread(void)
{
    struct hk_thread *thread = hk_front_mine()->thread;
    return thread == HK_THREAD_ENDED ? NULL : thread;
}

/* The record, made if need be, and the pass of a thread that may have none. */
static inline struct hk_thread *hk_front_thread_or_new(void)
{
    struct hk_thread *thread = hk_front_thread();
    return HK_LIKELY(thread != NULL) ? thread : hk_front_attach();
}

static inline struct hk_pass *hk_front_pass(struct hk_thread *thread)
{
    return thread != NULL ? &thread->pass : NULL;
}

#endif
