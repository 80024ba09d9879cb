/* SPDX-License-Identifier: MIT
 *
 * front_box, percpu: ready blocks belong to processors and not to threads: as many caches as there are processors,
 * however many threads share them. A processor has a shelf, and on it for each class an array of ready blocks, last in
 * first out. A thread's bin only knows where shelves are.
 *
 * No lock and no atomic operation: a pop and a push are restartable sequences (os/rseq.h; the instructions are in
 * section.h). Each finds out which processor it runs on, works on that one's shelf, and changes it by its last
 * instruction; a thread that is preempted, moved, or interrupted by a signal before that begins anew. So a shelf is
 * changed by one thread at a time, a signal handler may use it, and who sleeps in the middle holds nobody up.
 *
 * Who wants a shelf for itself, to empty it, takes it out of the table in which sequences look it up, on its processor
 * by a sequence too, from elsewhere by a swap; then the kernel must restart those under way (shelf.c). From then on
 * they find a shelf of zeros, which is empty and full.
 *
 * Where there are no sequences a thread is its own only processor: the same instructions on a table of one entry.
 *
 * Included by front/front.h only. Must not know heaps, nor how much a shelf may hold: shelf.h and percpu.c do.
 */
#ifndef HK_FRONT_BOX_H
#define HK_FRONT_BOX_H

#include "front/room.h"
#include "front/slots.h"
#include "os/rseq.h"

#include <assert.h>

struct hk_thread;

/* One class's blocks on a shelf. */
struct hk_head {
    void **cur;              /* the newest block is *cur; base is "none" */
    uint16_t empty16;        /* low 16 bits of cur when there is none; never changes */
    _Atomic uint16_t full16; /* and when there is no room; grows by compare-and-swap, by whoever runs here or did so a
                                moment ago. Who has the shelf for itself takes room away */
    uint32_t none;
};

struct hk_shelf {
    struct hk_head head[HK_CLASS_COUNT]; /* that of class 0 is never used */
    struct hk_thread *home;              /* from whose heap the blocks come, and to which they go */
    struct hk_thread *taker;             /* who has taken it away, while somebody has */
    /* As in struct hk_room. Several threads may be at them at once, and the last one is right: a drain comes a little
     * early or late. Relaxed. */
    _Atomic unsigned scattered;
    _Atomic size_t freed;
    _Atomic bool draining;
    void *slots[HK_FRONT_SLOTS];
};

struct hk_bin {
    struct hk_shelf *_Atomic *table; /* where the shelf of each processor is now; NULL: this thread has no bins (yet) */
    uint32_t inverse;                /* hk_class_inverse: block starts are told from interior pointers by it */
    uint32_t at;                     /* of the class's head on a shelf, in bytes */
};

/* The same of a class. */
unsigned hk_percpu_most(unsigned cls);

/* section.h knows these. */
static_assert(offsetof(struct hk_head, cur) == 0 && offsetof(struct hk_head, empty16) == 8 &&
                  offsetof(struct hk_head, full16) == 10 && sizeof(void *) == 8,
              "a head as the sequences have it");
static_assert(offsetof(struct hk_rseq, cpu_id) == 4 && offsetof(struct hk_rseq, section) == 8,
              "an area as the sequences have it");

/* This front's part of a thread's record: where there are no sequences its table (hk_shelf_processors). */
struct hk_front_own {
    struct hk_shelf *_Atomic table[2];
};

/* Where the next block goes: the push finds out. */
struct hk_spot {
    char nothing;
};

/* For the processor that is built for, in a folder of its own:
 *
 *   bool hk_section_pop(struct hk_shelf *_Atomic *table, uintptr_t at, void **block)
 *       Takes the newest block of a class; false: there is none.
 *   bool hk_section_push(struct hk_shelf *_Atomic *table, uintptr_t at, void *block)
 *       Puts a block there; false: no room.
 *   unsigned hk_section_pop_many(struct hk_shelf *_Atomic *table, uintptr_t at, void **blocks, unsigned n)
 *       The newest n, or as many as there are: returns how many. The newest comes last.
 *   unsigned hk_section_push_many(struct hk_shelf *_Atomic *table, uintptr_t at, void *const *blocks, unsigned n)
 *       As many of n as there is room for: returns how many. The last one is the newest then.
 *   unsigned hk_section_take(struct hk_shelf *_Atomic *table, struct hk_shelf *none, struct hk_shelf **shelf)
 *       Puts `none` into the table, and tells for which processor, and what was there: as nobody who runs there is in a
 *       sequence, nobody is at work on that. An atomic swap, because those who run elsewhere swap too.
 */
#include "section.h"

/* Takes the newest block; false: there is none. */
static HK_ALWAYS_INLINE bool hk_bin_pop(struct hk_bin HK_TLS_SPACE *bin, void **block)
{
    struct hk_shelf *_Atomic *table = bin->table;
    return HK_LIKELY(table != NULL) && HK_LIKELY(hk_section_pop(table, bin->at, block));
}

/* A hint: the thread may be elsewhere when it is used. */
static inline bool hk_bin_is_empty(const struct hk_bin HK_TLS_SPACE *bin)
{
    struct hk_shelf *_Atomic *table = bin->table;
    if (table == NULL)
        return true;
    char *shelf = (char *)hk_load_acquire(&table[hk_rseq_processor()]); /* pairs with hk_shelf_put_back */
    const struct hk_head *head = (const void *)(shelf + bin->at);
    return (uint16_t)(uintptr_t)hk_peek(&head->cur) == head->empty16;
}

/* False: this thread has no bins. Whether there is room hk_bin_push knows. */
static HK_ALWAYS_INLINE bool hk_bin_has_room(struct hk_bin HK_TLS_SPACE *bin, const struct hk_thread *thread,
                                             const void *block, struct hk_spot *spot)
{
    return HK_LIKELY(bin->table != NULL);
}

static HK_ALWAYS_INLINE bool hk_bin_push(struct hk_bin HK_TLS_SPACE *bin, struct hk_spot spot, void *block)
{
    return HK_LIKELY(hk_section_push(bin->table, bin->at, block));
}

#endif
