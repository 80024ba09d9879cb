/* SPDX-License-Identifier: MIT
 *
 * Pieces of memory by powers of two. A free piece waits in the stack of its size; what no stack has is cut from a
 * chunk, or is a mapping of its own. Nothing is unmapped, so a stale pointer to a piece can be read.
 */
#include "box/side.h"

#include "base/bits.h"
#include "base/held.h"
#include "os/os.h"
#include "pages/ss_arena.h"

#include <errno.h>

#define CHUNK HK_MIB
#define CUT_MOST (CHUNK / 4) /* larger pieces have a mapping of their own */
#define CHUNK_MOST (64 * CHUNK)
#define PURGED (CHUNK / 64)     /* pieces from here on give their pages back while they wait, and are charged by use */
#define WARM_MOST (CHUNK / 8)   /* but for so much of them: what is sampled comes and goes (docs/decisions/0030) */
#define WARM_PIECE (CHUNK / 16) /* the largest of these */
#define PIECE_BITS 7            /* log2 of the smallest piece */
#define SIZES (48u - PIECE_BITS)

/* At the start of a mapping. */
struct hk_side_chunk {
    struct hk_side_chunk *next; /* constant once the chunk is in the list */
    size_t size;                /* of the mapping */
    _Atomic size_t used;        /* bytes cut off, from its start */
};

struct piece {
    struct piece *next; /* in its stack; of whoever has taken that */
    size_t bytes;       /* of the piece, a power of two; constant */
};

/* Before a block, somewhere in its piece. */
struct head {
    struct piece *piece;
    size_t size;            /* what the block may hold */
    _Atomic uintptr_t mark; /* mark_of(block) while it is live */
    uintptr_t tag;          /* hk_side_tag */
};
_Static_assert(sizeof(struct hk_side_chunk) <= 64 && sizeof(struct piece) % 16 == 0 && sizeof(struct head) % 16 == 0,
               "blocks are aligned");

struct hk_side_chunk *_Atomic hk_side_chunks;
struct hk_side_note *_Atomic hk_side_notes;
static _Atomic size_t live_blocks, live_bytes; /* relaxed: statistics */
static _Atomic size_t cut_bytes;               /* of the chunks that pieces are cut from; relaxed: a measure */
hk_seen hk_side_seen[1] = {&live_bytes};
_Static_assert(offsetof(struct hk_side_chunk, next) == 0 && offsetof(struct hk_side_chunk, size) == 8, "as seen");

/* Free pieces by size: the first one's address, and how often one was taken, so that a stack that has the same first
 * piece again is not mistaken for the same stack. (To take the whole stack for a moment needs no such number; but
 * whoever looks meanwhile cuts a new piece, and a process that forks among threads grew for ever.) */
static _Atomic uint64_t stacks[SIZES];
static _Atomic uint64_t warm[SIZES]; /* the same of those that have kept their pages, and are still charged */
static _Atomic size_t warm_bytes;    /* in these; relaxed: a measure */

/* Pieces lie at multiples of 64, below 2^48: mmap gives nothing above without being asked. */
#define TURN_BITS 22
#define TURNS (((uint64_t)1 << TURN_BITS) - 1)

static uintptr_t mark_of(const void *block)
{
    return (uintptr_t)block ^ (uintptr_t)0x5fd1a3b7c2e94d68;
}

static struct head *head_of(const void *block)
{
    return (struct head *)(void *)((char *)(uintptr_t)block - sizeof(struct head));
}

/* ---- pieces ---- */

static uint64_t stack_of(const struct piece *first, uint64_t turn)
{
    return (uint64_t)(uintptr_t)first << (TURN_BITS - 6) | (turn & TURNS);
}

static struct piece *first_of(uint64_t stack)
{
    return (struct piece *)(uintptr_t)(stack >> TURN_BITS << 6);
}

static void push_piece(_Atomic uint64_t *of_sizes, struct piece *piece)
{
    _Atomic uint64_t *stack = &of_sizes[hk_log2(piece->bytes) - PIECE_BITS];
    uint64_t seen = hk_load_relaxed(stack);
    do {
        hk_poke(&piece->next, first_of(seen));
    } while (!hk_cas_weak_release(stack, &seen, stack_of(piece, seen))); /* pairs with pop_piece */
}

/* Another may have taken the first piece and may write to it: then `next` is anything, and the swap fails. */
static struct piece *pop_piece(_Atomic uint64_t *of_sizes, size_t bytes)
{
    _Atomic uint64_t *stack = &of_sizes[hk_log2(bytes) - PIECE_BITS];
    uint64_t seen = hk_load_acquire(stack); /* pairs with push_piece, as does the swap */
    struct piece *piece;
    do {
        piece = first_of(seen);
    } while (piece != NULL && !hk_cas_weak_acquire(stack, &seen, stack_of(hk_peek(&piece->next), seen + 1)));
    return piece;
}

/* A mapping, in the list with `used` bytes cut off; NULL: no memory, or over the limit. */
static struct hk_side_chunk *new_chunk(size_t size, size_t used)
{
    if (!hk_arena_charge(size))
        return NULL;
    struct hk_side_chunk *chunk = hk_os_map(size);
    if (chunk == NULL) {
        hk_arena_uncharge(size);
        return NULL;
    }
    chunk->size = size;
    hk_store_relaxed(&chunk->used, used); /* before anybody sees it */
    chunk->next = hk_load_relaxed(&hk_side_chunks);
    while (!hk_cas_weak_release(&hk_side_chunks, &chunk->next, chunk)) { /* pairs with first_chunk */
    }
    return chunk;
}

static struct hk_side_chunk *first_chunk(void)
{
    return hk_load_acquire(&hk_side_chunks); /* pairs with new_chunk */
}

/* Cuts off a chunk that has room; NULL: it has not. */
static struct piece *cut_from(struct hk_side_chunk *chunk, size_t bytes)
{
    size_t used = hk_load_relaxed(&chunk->used);
    while (chunk->size - used >= bytes) {
        if (hk_cas_relaxed(&chunk->used, &used, used + bytes)) /* fresh memory: nothing is handed over */
            return (struct piece *)(void *)((char *)chunk + used);
    }
    return NULL;
}

/* A quarter of what there is, so that there are few to look through however much it is. */
static struct hk_side_chunk *add_chunk(void)
{
    size_t size = hk_align_down(hk_load_relaxed(&cut_bytes) / 4, CHUNK);
    size = hk_min(hk_max(size, CHUNK), CHUNK_MOST);
    struct hk_side_chunk *chunk = new_chunk(size, 64);
    if (chunk == NULL && size > CHUNK)
        chunk = new_chunk(size = CHUNK, 64);
    if (chunk != NULL)
        hk_add_relaxed(&cut_bytes, size);
    return chunk;
}

static struct piece *cut_piece(size_t bytes)
{
    struct piece *piece = NULL;
    for (struct hk_side_chunk *chunk = first_chunk(); chunk != NULL && piece == NULL; chunk = chunk->next)
        piece = cut_from(chunk, bytes);
    while (piece == NULL) { /* others may be faster */
        struct hk_side_chunk *chunk = add_chunk();
        if (chunk == NULL)
            return NULL;
        piece = cut_from(chunk, bytes);
    }
    return piece;
}

static struct piece *map_piece(size_t bytes)
{
    struct hk_side_chunk *chunk = new_chunk(hk_align_up(bytes + 64, hk_os_page_size()), bytes + 64);
    return chunk != NULL ? (struct piece *)(void *)((char *)chunk + 64) : NULL;
}

static struct piece *take_warm(size_t bytes)
{
    struct piece *piece = bytes >= PURGED && bytes <= WARM_PIECE ? pop_piece(warm, bytes) : NULL;
    if (piece != NULL)
        hk_sub_relaxed(&warm_bytes, bytes);
    return piece;
}

static bool keep_warm(struct piece *piece)
{
    if (hk_add_relaxed(&warm_bytes, piece->bytes) + piece->bytes > WARM_MOST) {
        hk_sub_relaxed(&warm_bytes, piece->bytes);
        return false;
    }
    push_piece(warm, piece);
    return true;
}

static struct piece *take_piece(size_t bytes)
{
    struct piece *piece = take_warm(bytes);
    if (piece != NULL)
        return piece;
    piece = pop_piece(stacks, bytes);
    if (piece != NULL) {
        if (bytes < PURGED || hk_arena_charge(bytes))
            return piece;
        push_piece(stacks, piece);
        return NULL;
    }
    piece = bytes <= CUT_MOST ? cut_piece(bytes) : map_piece(bytes);
    if (piece != NULL)
        piece->bytes = bytes;
    return piece;
}

static void give_piece(struct piece *piece)
{
    size_t page = hk_os_page_size();
    if (piece->bytes >= PURGED && piece->bytes <= WARM_PIECE && keep_warm(piece))
        return;
    if (piece->bytes >= PURGED) {
        char *from = (char *)hk_align_up((uintptr_t)(piece + 1), page), *end = (char *)piece + piece->bytes;
        hk_large_calls_begin(); /* a handler may be here, whose thread holds a lock: nobody else frees the block */
        if (end - from >= (ptrdiff_t)page) /* else it has no whole page: they may have 64 KiB */
            hk_os_purge(from, hk_align_down((size_t)(end - from), page)); /* refused: the pages stay */
        hk_large_calls_end();
        hk_arena_uncharge(piece->bytes);
    }
    push_piece(stacks, piece);
}

/* ---- blocks ---- */

void *hk_side_alloc(size_t align, size_t size)
{
    size_t need, extra = sizeof(struct piece) + sizeof(struct head) + (align > 16 ? align : 0);
    size = hk_max(size, 1);
    if (align > PTRDIFF_MAX || __builtin_add_overflow(size, extra, &need) || need > (size_t)1 << 46)
        return NULL;
    size_t bytes = (size_t)1 << (hk_log2(hk_max(need, (size_t)1 << PIECE_BITS) * 2 - 1));
    struct piece *piece = take_piece(bytes);
    if (piece == NULL)
        return NULL;
    char *block = (char *)hk_align_up((uintptr_t)(piece + 1) + sizeof(struct head), align);
    head_of(block)->piece = piece;
    head_of(block)->size = (size_t)((char *)piece + bytes - block);
    head_of(block)->tag = 0;
    hk_store_relaxed(&head_of(block)->mark, mark_of(block)); /* the block is handed over by the program */
    ((uintptr_t *)(void *)block)[1] = 0;                     /* as page_heap.h says */
    hk_add_relaxed(&live_blocks, 1);
    hk_add_relaxed(&live_bytes, head_of(block)->size);
    return block;
}

static struct hk_side_chunk *chunk_of(const void *ptr)
{
    struct hk_side_chunk *chunk = first_chunk();
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
    return chunk != NULL && (uintptr_t)ptr % 16 == 0 &&
           (uintptr_t)ptr - (uintptr_t)chunk >= sizeof *chunk + sizeof(struct piece) + sizeof(struct head);
}

uintptr_t hk_side_tag(const void *ptr)
{
    return head_of(ptr)->tag;
}

void hk_side_mark(void *ptr, size_t size, uintptr_t tag)
{
    struct head *head = head_of(ptr);
    hk_sub_relaxed(&live_bytes, head->size - size);
    head->size = size;
    head->tag = tag;
}

size_t hk_side_size(const void *ptr)
{
    if (!is_place(chunk_of(ptr), ptr) || hk_load_relaxed(&head_of(ptr)->mark) != mark_of(ptr)) /* the caller's block */
        return 0;
    return head_of(ptr)->size;
}

bool hk_side_free(void *ptr)
{
    int saved = errno;
    uintptr_t live = mark_of(ptr);
    if (!is_place(chunk_of(ptr), ptr) || !hk_cas_relaxed(&head_of(ptr)->mark, &live, 0)) /* one of two frees wins */
        return false;
    hk_sub_relaxed(&live_blocks, 1);
    hk_sub_relaxed(&live_bytes, head_of(ptr)->size);
    give_piece(head_of(ptr)->piece);
    errno = saved;
    return true;
}

/* ---- notes ---- */

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

/* ---- statistics ---- */

void hk_side_live(size_t *blocks, size_t *bytes)
{
    *blocks = hk_load_relaxed(&live_blocks);
    *bytes = hk_load_relaxed(&live_bytes);
}

void hk_side_visit(void (*visit)(void *ctx, void *start, size_t size, size_t used), void *ctx)
{
    for (struct hk_side_chunk *chunk = first_chunk(); chunk != NULL; chunk = chunk->next)
        visit(ctx, chunk, chunk->size, hk_load_relaxed(&chunk->used)); /* a statistic */
}

/* ---- all blocks ---- */

/* The live block in a piece, or NULL. Where it starts depends on how it was to be aligned. */
static void *block_in(struct piece *piece)
{
    uintptr_t least = (uintptr_t)(piece + 1) + sizeof(struct head), end = (uintptr_t)piece + piece->bytes;
    for (uintptr_t align = 16; align < piece->bytes; align *= 2) {
        void *block = (void *)hk_align_up(least, align);
        if ((uintptr_t)block + 16 > end)
            return NULL;
        if (hk_load_relaxed(&head_of(block)->mark) == mark_of(block) && head_of(block)->piece == piece)
            return block;
    }
    return NULL;
}

static bool is_piece(const struct piece *piece, size_t room)
{
    size_t bytes = piece->bytes;
    return bytes >= (size_t)1 << PIECE_BITS && bytes <= room && (bytes & (bytes - 1)) == 0;
}

static void visit_chunk(struct hk_side_chunk *chunk, const struct hk_side_visitor *visitor)
{
    size_t used = hk_load_relaxed(&chunk->used); /* nobody changes it meanwhile */
    for (size_t at = 64; at < used;) {
        struct piece *piece = (struct piece *)(void *)((char *)chunk + at);
        if (!is_piece(piece, used - at)) {
            visitor->unclear(visitor->ctx, piece, used - at);
            return;
        }
        void *block = block_in(piece);
        if (block != NULL)
            visitor->block(visitor->ctx, block, head_of(block)->size, head_of(block)->tag);
        at += piece->bytes;
    }
}

/* Pieces are only added meanwhile, each after the one before it; one of which no size is known yet has no block. */
const void *hk_side_around(const void *ptr, size_t *size)
{
    struct hk_side_chunk *chunk = chunk_of(ptr);
    size_t used = chunk != NULL ? hk_load_relaxed(&chunk->used) : 0;
    for (size_t at = 64; at < used;) {
        struct piece *piece = (struct piece *)(void *)((char *)chunk + at);
        if (!is_piece(piece, used - at))
            return NULL;
        at += piece->bytes;
        if ((const char *)ptr >= (char *)chunk + at)
            continue;
        const void *block = block_in(piece);
        *size = block != NULL ? head_of(block)->size : 0;
        return block != NULL && (uintptr_t)ptr - (uintptr_t)block < *size ? block : NULL;
    }
    return NULL;
}

uintptr_t hk_side_last_tag(const void *ptr)
{
    return is_place(chunk_of(ptr), ptr) ? head_of(ptr)->tag : 0;
}

void hk_side_visit_blocks(const struct hk_side_visitor *visitor)
{
    for (struct hk_side_chunk *chunk = first_chunk(); chunk != NULL; chunk = chunk->next)
        visit_chunk(chunk, visitor);
}
