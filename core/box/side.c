/* SPDX-License-Identifier: MIT */
#include "box/side.h"

#include "base/bits.h"
#include "os/os.h"
#include "superslab/ss_arena.h"

#define CHUNK HK_MIB
#define UNIT ((size_t)16) /* of what a chunk has handed out */

/* An emptied chunk gives back what it touched beyond this: those that were made for large blocks. */
#define KEEP CHUNK

/* At the start of a mapping. `word` is all that changes: blocks handed out and not freed << 32 | units handed out since
 * the chunk was last without a block. Mappings stay. */
struct hk_side_chunk {
    struct hk_side_chunk *next; /* constant once the chunk is in the list */
    size_t size;                /* of the mapping */
    _Atomic uint64_t word;
};

/* Before a block. */
struct head {
    size_t size;
    _Atomic uintptr_t mark; /* mark_of(block) while the block is live */
};
_Static_assert(sizeof(struct head) == UNIT, "a block is as aligned as what precedes it");

struct hk_side_chunk *_Atomic hk_side_chunks;
struct hk_side_note *_Atomic hk_side_notes;

#define LIVE_ONE ((uint64_t)1 << 32)
#define UNITS_MAX (((uint64_t)1 << 32) - 1)

static uintptr_t mark_of(const void *block)
{
    return (uintptr_t)block ^ (uintptr_t)0x5fd1a3b7c2e94d68;
}

static struct head *head_of(const void *block)
{
    return (struct head *)(void *)((char *)(uintptr_t)block - sizeof(struct head));
}

/* The first place behind `units` for an aligned block; NULL: the chunk is too small. */
static char *place_in(struct hk_side_chunk *chunk, uint64_t units, size_t align, size_t size)
{
    uintptr_t from = (uintptr_t)chunk + units * UNIT + sizeof(struct head), end = (uintptr_t)chunk + chunk->size;
    uintptr_t start = hk_align_up(from, align);
    return start >= from && start <= end && end - start >= size ? (char *)start : NULL;
}

static uint64_t units_to(const struct hk_side_chunk *chunk, const char *end)
{
    return hk_align_up((size_t)(end - (const char *)chunk), UNIT) / UNIT;
}

static char *take_from(struct hk_side_chunk *chunk, size_t align, size_t size)
{
    uint64_t word = hk_load_acquire(&chunk->word), after; /* pairs with give_back: what was purged is purged */
    char *block;
    do {
        uint64_t units = word & UNITS_MAX;
        block = place_in(chunk, units != 0 ? units : units_to(chunk, (char *)(chunk + 1)), align, size);
        if (block == NULL)
            return NULL;
        after = ((word & ~UNITS_MAX) + LIVE_ONE) | units_to(chunk, block + size);
    } while (!hk_cas_weak_acquire(&chunk->word, &word, after)); /* as the load */
    return block;
}

static struct hk_side_chunk *new_chunk(size_t align, size_t size)
{
    size_t overhead = sizeof(struct hk_side_chunk) + sizeof(struct head) + align, bytes;
    if (__builtin_add_overflow(size, overhead, &bytes) || bytes > PTRDIFF_MAX)
        return NULL;
    bytes = hk_align_up(hk_max(bytes, CHUNK), hk_os_page_size());
    if (bytes / UNIT > UNITS_MAX || !hk_arena_charge(bytes))
        return NULL;
    struct hk_side_chunk *chunk = hk_os_map(bytes);
    if (chunk == NULL) {
        hk_arena_uncharge(bytes);
        return NULL;
    }
    chunk->size = bytes;
    return chunk;
}

static void *hand_out(char *block, size_t size)
{
    head_of(block)->size = size;
    hk_store_relaxed(&head_of(block)->mark, mark_of(block)); /* the block is handed over by the program */
    return block;
}

void *hk_side_alloc(size_t align, size_t size)
{
    char *block;
    size = hk_max(size, 1);
    if (size > PTRDIFF_MAX || align > PTRDIFF_MAX)
        return NULL;
    struct hk_side_chunk *chunk = hk_load_acquire(&hk_side_chunks); /* pairs with the release below */
    for (; chunk != NULL; chunk = chunk->next) {
        if ((block = take_from(chunk, align, size)) != NULL)
            return hand_out(block, size);
    }
    chunk = new_chunk(align, size);
    if (chunk == NULL)
        return NULL;
    block = take_from(chunk, align, size);
    chunk->next = hk_load_relaxed(&hk_side_chunks);
    while (!hk_cas_weak_release(&hk_side_chunks, &chunk->next, chunk)) { /* pairs with the loads of the list */
    }
    return hand_out(block, size);
}

static struct hk_side_chunk *chunk_of(const void *ptr)
{
    struct hk_side_chunk *chunk = hk_load_acquire(&hk_side_chunks); /* pairs with hk_side_alloc */
    while (chunk != NULL && (uintptr_t)ptr - (uintptr_t)chunk >= chunk->size)
        chunk = chunk->next;
    return chunk;
}

bool hk_side_has(const void *ptr)
{
    return chunk_of(ptr) != NULL;
}

/* Could a block start there, so that its head may be read? */
static bool is_place(const struct hk_side_chunk *chunk, const void *ptr)
{
    return chunk != NULL && (uintptr_t)ptr % UNIT == 0 &&
           (uintptr_t)ptr - (uintptr_t)chunk >= sizeof(*chunk) + sizeof(struct head);
}

size_t hk_side_size(const void *ptr)
{
    if (!is_place(chunk_of(ptr), ptr) || hk_load_relaxed(&head_of(ptr)->mark) != mark_of(ptr)) /* the caller's block */
        return 0;
    return head_of(ptr)->size;
}

/* The last block of a chunk takes its pages with it, while the chunk still counts as having one: all that was handed
 * out before is free then, and what others take meanwhile lies behind it. */
static void give_back(struct hk_side_chunk *chunk)
{
    uint64_t word = hk_load_relaxed(&chunk->word), after;
    do {
        uint64_t units = word & UNITS_MAX;
        bool last = word >> 32 == 1;
        size_t used = hk_align_down(units * UNIT, hk_os_page_size());
        if (last && used > KEEP)
            hk_os_purge((char *)chunk + KEEP, used - KEEP); /* refused: the pages stay */
        after = last ? 0 : word - LIVE_ONE;
    } while (!hk_cas_weak_release(&chunk->word, &word, after)); /* pairs with take_from */
}

bool hk_side_free(void *ptr)
{
    struct hk_side_chunk *chunk = chunk_of(ptr);
    uintptr_t live = mark_of(ptr);
    if (!is_place(chunk, ptr) || !hk_cas_relaxed(&head_of(ptr)->mark, &live, 0)) /* one of two frees wins */
        return false;
    give_back(chunk);
    return true;
}

void hk_side_defer(void *ptr)
{
    struct hk_side_note *note = hk_side_alloc(16, sizeof *note);
    if (note == NULL)
        return;
    note->ptr = ptr;
    note->next = hk_load_relaxed(&hk_side_notes);
    while (!hk_cas_weak_release(&hk_side_notes, &note->next, note)) { /* pairs with hk_side_take_deferred */
    }
}

struct hk_side_note *hk_side_take_deferred(void)
{
    return hk_swap_acquire(&hk_side_notes, NULL); /* pairs with hk_side_defer */
}

void hk_side_visit(void (*visit)(void *ctx, void *start, size_t size, size_t blocks), void *ctx)
{
    struct hk_side_chunk *chunk = hk_load_acquire(&hk_side_chunks); /* pairs with hk_side_alloc */
    for (; chunk != NULL; chunk = chunk->next)
        visit(ctx, chunk, chunk->size, (size_t)(hk_load_relaxed(&chunk->word) >> 32)); /* a statistic */
}
