/* SPDX-License-Identifier: MIT
 *
 * Shelves: their making, and who has one.
 */
#include "front/percpu/shelf.h"

#include "pages/meta.h"

/* A processor has a record as a thread has: what statistics and sweeps find, by its heap. */
struct processor {
    struct hk_thread record;
    struct hk_shelf shelf;
};

_Atomic unsigned hk_shelf_processors;

/* All threads' table; NULL: each has its own. Written once, before hk_shelf_processors. */
static struct hk_shelf *_Atomic *shared;
hk_seen hk_percpu_seen[2] = {&shared, &hk_shelf_processors};

/* What sequences find in the place of a shelf that is not there: it is empty, and full. Nothing is ever written to it.
 */
static struct hk_head none[HK_CLASS_COUNT];
#define NONE ((struct hk_shelf *)(void *)none)

/* How many were made. */
static _Atomic unsigned made;

/* The thread that learns, or makes a shelf; 0: nobody does. Who finds another one goes without. */
static _Atomic uintptr_t maker;

static bool begin_making(void)
{
    uintptr_t nobody = 0;
    return hk_cas_acquire(&maker, &nobody, hk_thread_self()); /* pairs with end_making */
}

static void end_making(void)
{
    hk_store_release(&maker, 0); /* pairs with begin_making */
}

/* False: no memory. By the maker. */
static bool learn_processors(void)
{
    unsigned n = hk_rseq_start();
    if (n != 0) {
        struct hk_shelf *_Atomic *table = hk_meta_alloc(2 * sizeof *table * n);
        if (table == NULL)
            return false;
        for (unsigned i = 0; i < n; i++)
            hk_store_relaxed(&table[i], NONE); /* the release below */
        shared = table;
    }
    hk_store_release(&hk_shelf_processors, n != 0 ? n : 1); /* pairs with the acquire in hk_shelf_give_bins */
    return true;
}

/* Once per process. */
static HK_SLOW_PATH bool start_shelves(void)
{
    if (!begin_making())
        return false;
    bool done = hk_load_relaxed(&hk_shelf_processors) != 0 || learn_processors();
    end_making();
    return done;
}

void hk_shelf_clear(struct hk_shelf *shelf, unsigned cls)
{
    struct hk_head *head = &shelf->head[cls];
    hk_poke(&head->cur, head->cur - hk_shelf_count(shelf, cls));
    hk_store_relaxed(&head->full16, head->empty16); /* whoever puts it back releases it */
}

/* A thread's own shelf, from whoever had its record before. */
static void put_own_in_order(struct hk_thread *thread)
{
    struct hk_shelf *_Atomic *table = thread->own.table;
    struct hk_shelf *shelf = hk_load_relaxed(&table[1]); /* this thread's */
    for (unsigned cls = 1; shelf != NULL && cls < HK_CLASS_COUNT; cls++)
        hk_shelf_clear(shelf, cls);
    hk_store_relaxed(&table[0], shelf != NULL ? shelf : NONE); /* as above */
}

void hk_shelf_give_bins(struct hk_thread *thread)
{
    unsigned processors = hk_load_acquire(&hk_shelf_processors); /* pairs with the release in learn_processors */
    if (processors == 0 && !start_shelves())
        return;
    struct hk_shelf *_Atomic *table = shared != NULL ? shared : thread->own.table;
    if (shared == NULL)
        put_own_in_order(thread);
    else if (hk_rseq_processor() >= hk_load_relaxed(&hk_shelf_processors)) /* learnt above */
        return;
    struct hk_bin *bin = thread->front->bin;
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        bin[cls].inverse = hk_class_inverse[cls];
        bin[cls].at = (uint32_t)offsetof(struct hk_shelf, head) + cls * (uint32_t)sizeof(struct hk_head);
    }
    hk_fence_signal(); /* a handler that comes here may use a bin: without a table it has none, else all of it */
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++)
        hk_poke(&bin[cls].table, table);
}

static void lay_out(struct hk_shelf *shelf, struct hk_thread *home)
{
    void **slot = shelf->slots;
    shelf->home = home;
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        struct hk_head *head = &shelf->head[cls];
        head->cur = slot;
        head->empty16 = (uint16_t)(uintptr_t)slot;
        hk_store_relaxed(&head->full16, head->empty16); /* hk_shelf_make releases it */
        slot += hk_percpu_most(cls) + 1;
    }
}

/* By the maker. */
static struct hk_shelf *make_shelf(struct hk_thread *thread)
{
    struct hk_shelf *shelf;
    if (shared == NULL) {
        shelf = hk_meta_alloc(sizeof *shelf);
        if (shelf != NULL)
            lay_out(shelf, thread);
        return shelf;
    }
    struct processor *p = hk_meta_alloc(sizeof *p);
    if (p == NULL)
        return NULL;
    lay_out(&p->shelf, &p->record);
    hk_heap_begin_shared(&p->record.heap);
    return &p->shelf;
}

HK_SLOW_PATH struct hk_shelf *hk_shelf_make(struct hk_thread *thread)
{
    struct hk_shelf *_Atomic *table = hk_shelf_table(thread);
    unsigned processors = hk_load_relaxed(&hk_shelf_processors), at = hk_rseq_processor(); /* came with the table */
    if (at >= processors || !begin_making())
        return NULL;
    struct hk_shelf *shelf = hk_load_relaxed(&table[processors + at]); /* the maker's */
    if (shelf == NULL && (shelf = make_shelf(thread)) != NULL) {
        hk_store_relaxed(&made, hk_load_relaxed(&made) + 1); /* the maker's */
        hk_store_release(&table[processors + at], shelf);    /* pairs with hk_shelf_of */
        hk_store_release(&table[at], shelf); /* pairs with hk_shelf_take_away, and sequences, which reach it by it */
    }
    end_making();
    return shelf;
}

void hk_shelf_grow(struct hk_shelf *shelf, unsigned cls, unsigned cap)
{
    struct hk_head *head = &shelf->head[cls];
    uint16_t full = hk_load_relaxed(&head->full16); /* as below */
    while ((uint16_t)(full - head->empty16) / sizeof(void *) < cap)
        if (hk_cas_relaxed(&head->full16, &full, (uint16_t)(head->empty16 + cap * sizeof(void *)))) /* room is there */
            break;
}

/* ---- who has one ---- */

struct hk_shelf *hk_shelf_take_here(struct hk_thread *thread, unsigned *processor)
{
    struct hk_shelf *shelf;
    *processor = hk_section_take(hk_shelf_table(thread), NONE, &shelf); /* pairs with hk_shelf_put_back */
    if (shelf == NONE)
        return NULL;
    hk_poke(&shelf->taker, thread);
    return shelf;
}

bool hk_shelf_take_away(struct hk_thread *thread, unsigned processor)
{
    struct hk_shelf *_Atomic *table = hk_shelf_table(thread);
    struct hk_shelf *shelf = hk_load_relaxed(&table[processor]); /* a look: most processors never had one */
    if (shelf == NONE || (shelf = hk_swap_acquire(&table[processor], NONE)) == NONE) /* pairs with hk_shelf_put_back */
        return false;
    hk_poke(&shelf->taker, thread);
    return true;
}

bool hk_shelf_settle(void)
{
    return shared == NULL || hk_rseq_restart();
}

struct hk_shelf *hk_shelf_taken(const struct hk_thread *thread, unsigned processor)
{
    struct hk_shelf *shelf = hk_shelf_of(hk_shelf_table(thread), processor);
    return shelf != NULL && hk_peek(&shelf->taker) == thread ? shelf : NULL;
}

void hk_shelf_put_back(struct hk_thread *thread, unsigned processor)
{
    struct hk_shelf *_Atomic *table = hk_shelf_table(thread);
    struct hk_shelf *shelf = hk_shelf_of(table, processor);
    hk_poke(&shelf->taker, NULL);
    hk_store_release(&table[processor], shelf); /* pairs with hk_shelf_take_away, and sequences, which reach it by it */
}

void hk_percpu_fork_child(const struct hk_thread *mine)
{
    uintptr_t who = hk_load_relaxed(&maker); /* there is one thread */
    if (who != hk_thread_self())
        hk_store_relaxed(&maker, 0);
    for (unsigned i = 0; shared != NULL && i < hk_load_relaxed(&hk_shelf_processors); i++) { /* as above */
        struct hk_shelf *shelf = hk_shelf_of(shared, i);
        if (shelf == NULL || shelf->taker == NULL || shelf->taker == mine)
            continue;
        shelf->taker = NULL;
        hk_store_relaxed(&shared[i], shelf); /* as above */
    }
}

/* ---- for statistics ---- */

const struct hk_shelf *hk_shelf_of_record(struct hk_thread *record)
{
    if (record->heap.shared)
        return &HK_CONTAINER(record, struct processor, record)->shelf;
    return shared == NULL ? hk_load_acquire(&record->own.table[1]) : NULL; /* pairs with the release in hk_shelf_make */
}

unsigned hk_percpu_shelves(void)
{
    return shared != NULL ? hk_load_relaxed(&made) : 0; /* a figure */
}
