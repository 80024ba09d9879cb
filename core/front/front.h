/* SPDX-License-Identifier: MIT
 *
 * front (v2): per thread and class an array of ready blocks, last in first out.
 *
 * A bin has 16 bytes, four to a cache line. A zeroed bin is both empty and full, so that the first malloc and the first
 * free of a thread take the slow path without an "is it initialised" test. Class 0 is a bin that stays zero: NULL,
 * foreign pointers, page runs and huge blocks leave free() through the branch of a full bin. A thread keeps what it
 * frees, whoever allocated it; ownership is settled in batches, when a bin is flushed.
 *
 * A front belongs to its thread alone; nobody else ever touches its bins (statistics read them, knowing that the answer
 * is exact only while the program is quiet). That is why its size is bounded, for all classes together: what it holds
 * by HAKMEM_FRONT_BYTES or an eighth of the slabs that the thread owns, whichever is more (a thread with a large heap
 * of large blocks would else miss all the time), looked at every few flushes; what its bins have room for by twice
 * that, always.
 */
#ifndef HK_FRONT_FRONT_H
#define HK_FRONT_FRONT_H

#include "box/heap.h"

struct hk_bin {
    void **cur;       /* the newest block is *cur; base is "none" */
    uint16_t empty16; /* low 16 bits of cur when the bin is empty */
    uint16_t
        full16; /* low 16 bits of cur when the bin is full; arrays are shorter than 64 KiB, so equality is enough */
    uint32_t inverse; /* hk_class_inverse: block starts are told from interior pointers by it */
};

struct hk_thread;

/* The thread-local part. */
struct hk_front {
    struct hk_bin bin[HK_CLASS_COUNT];
    uint8_t code_of[HK_TINY_MAX / 16 + 1]; /* doubled class of a tiny size; zero before first use: the bin of class 0 */
    struct hk_thread *thread;              /* NULL before first use; HK_THREAD_ENDED after the thread's end */
} HK_ALIGNED(HK_CACHE_LINE);

extern HK_HIDDEN HK_TLS struct hk_front hk_front_tls;

/* Late destructors of an ended thread allocate and free through the orphan heap: a front would never be flushed again.
 */
#define HK_THREAD_ENDED ((struct hk_thread *)1)

/* What slow paths know about a bin. */
struct hk_cache {
    void **base;     /* the array; base[0] is never used. NULL before the class is first used */
    uint16_t cap;    /* blocks it may hold now */
    uint16_t max;    /* and ever */
    uint16_t misses; /* refills and flushes, halved each time the budget's hand passes */
    uint64_t refills, flushes;
    uint64_t refilled, flushed; /* blocks moved */
};

#define HK_FRONT_SLOTS 2624u /* pointers for all arrays of a thread; test_front checks that the sum of `max` fits */

/* The rest of a thread's record, in metadata memory, found by its heap: records are reused by later threads. */
struct hk_thread {
    struct hk_heap heap;
    struct hk_front *front; /* of the living thread, else NULL */
    size_t bytes;           /* sum over classes of cap * size; at most twice hk_front_limit */
    unsigned scattered;     /* flushes of blocks from many slabs, less refills: is the thread only freeing? */
    bool draining;          /* it is: bins are kept nearly empty */
    unsigned flushes;       /* counts to the next look at what the front really holds */
    unsigned hand;          /* next class whose cap the budget looks at */
    unsigned slots_used;
    struct hk_cache cache[HK_CLASS_COUNT];
    void *slots[HK_FRONT_SLOTS];
};

static inline struct hk_thread *hk_thread_of(struct hk_heap *heap)
{
    return HK_CONTAINER(heap, struct hk_thread, heap);
}

/* Blocks in a bin of a thread. A record keeps its arrays when a later thread reuses it, so the bin says whether it is
 * in use. */
static inline unsigned hk_front_count(const struct hk_thread *thread, unsigned cls)
{
    void **cur = thread->front != NULL ? thread->front->bin[cls].cur : NULL;
    return cur != NULL ? (unsigned)(cur - thread->cache[cls].base) : 0;
}

/* The most blocks of a class that a bin may ever hold. */
unsigned hk_front_max(unsigned cls);

/* Bytes that the front may hold. */
size_t hk_front_limit(const struct hk_thread *thread);

/* A class that the budget gives no bin worth having: its blocks go straight to and from the slabs. */
static inline bool hk_front_is_bypassed(const struct hk_thread *thread, unsigned cls)
{
    return thread->cache[cls].cap < 2;
}

/* This thread's record, made on first use; NULL: no memory, or the thread has ended. May come back to malloc. */
HK_SLOW_PATH struct hk_thread *hk_front_attach(void);

/* For fork: the outermost lock. */
struct hk_lock *hk_front_start_lock(void);

/* The record if there is one. */
static inline struct hk_thread *hk_front_thread(void)
{
    struct hk_thread *thread = hk_front_tls.thread;
    return thread == HK_THREAD_ENDED ? NULL : thread;
}

/* Empties all bins of this thread into the slabs. */
void hk_front_flush_all(struct hk_thread *thread);

/* Fills an empty bin and returns one block of it, or NULL: no memory. */
void *hk_front_refill(struct hk_thread *thread, unsigned cls);

/* Makes room in a full bin, which may be one that was never used; it may end up bypassed. */
void hk_front_make_room(struct hk_thread *thread, unsigned cls);

/* Makes bins smaller where the heap, and with it the budget, has become smaller; ends every slow path that may have
 * given a slab away. */
void hk_front_trim(struct hk_thread *thread);

/* Counts a miss of a bin, and now and then asks for more room. */
void hk_front_missed(struct hk_thread *thread, unsigned cls);

#endif
