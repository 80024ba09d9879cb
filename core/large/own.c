/* SPDX-License-Identifier: MIT
 *
 * Blocks of any size: which kind they are, and how they are found, taken and freed.
 */
#include "large/own_priv.h"

#include "large/huge.h"

bool hk_own_may_have(struct hk_own *heap, size_t bytes)
{
    size_t held = hk_own_held(heap);
    if (HK_LIKELY(bytes <= heap->limit && held <= heap->limit - bytes))
        return true;
    heap->limited = true;
    return false;
}

void hk_own_count_refusal(struct hk_own *heap)
{
    hk_lock(&heap->lock);
    hk_poke_add(&heap->refused, 1);
    hk_unlock(&heap->lock);
}

void *hk_own_take(struct hk_own *heap, struct hk_own_want *want)
{
    void *block = NULL;
    want->zero = true;
    want->limited = want->refused = false;
    if (want->size > PTRDIFF_MAX || want->align > PTRDIFF_MAX)
        return NULL;
    hk_own_free_waiting(heap);
    if (hk_own_is_huge(want->align, want->size))
        return hk_own_take_huge(heap, want);
    hk_lock(&heap->lock);
    heap->limited = false;
    if (hk_own_is_piece(want->align, want->size))
        block = hk_own_take_piece(heap, want);
    else if (!heap->broken)
        block = hk_own_take_large(heap, want);
    want->limited = heap->limited;
    want->refused = heap->limited || heap->broken;
    hk_unlock(&heap->lock);
    return block;
}

/* ---- what a pointer is ---- */

_Atomic size_t hk_own_mappings, hk_own_waiting;

/* The heap that has a mapping, or NULL; nobody looks while no heap has any. */
static struct hk_own *owner_of_huge(const void *ptr)
{
    uintptr_t tag = 0;
    if ((uintptr_t)ptr % HK_PAGE == 0 && hk_load_relaxed(&hk_own_mappings) != 0) /* the caller's was counted before */
        hk_huge_tag(ptr, &tag);
    return tag % 2 == 0 ? (struct hk_own *)tag : NULL; /* else it waits, see hk_own_later_tag */
}

static struct hk_block find_huge(const void *ptr)
{
    size_t size = owner_of_huge(ptr) != NULL ? hk_huge_look_long(ptr) : 0;
    return (struct hk_block){size != 0 ? HK_BLOCK_OWN : HK_BLOCK_NONE, (void *)(uintptr_t)ptr, size};
}

struct hk_block hk_own_find(const void *ptr)
{
    struct hk_own_run *run = hk_own_run_at(ptr);
    struct hk_block block = {HK_BLOCK_NONE, (void *)(uintptr_t)ptr, 0};
    if (run == NULL)
        return find_huge(ptr);
    size_t offset = (size_t)((const char *)ptr - (const char *)run);
    if ((uintptr_t)ptr % 16 != 0 || offset < run->first + HK_OWN_HEAD || !hk_own_is_live(hk_own_head_of(ptr)))
        return block;
    block.kind = HK_BLOCK_OWN;
    block.size = run->large ? hk_peek(&run->bytes) - offset : hk_own_usable(hk_own_piece_of(ptr), ptr);
    return block;
}

struct hk_own *hk_own_of(const struct hk_block *block)
{
    struct hk_own_run *run = hk_own_run_at(block->start);
    return run != NULL ? run->heap : owner_of_huge(block->start);
}

static struct hk_own_finding find_around(const struct hk_own_run *run, const void *ptr)
{
    size_t offset = (size_t)((const char *)ptr - (const char *)run), at = run->first, bytes;
    struct hk_own_finding found = {HK_MISUSE_INVALID, ptr, 0};
    if (run->large && run->live != 0)
        return (struct hk_own_finding){HK_MISUSE_INTERIOR, hk_own_block_of(hk_own_head_at(run, at)),
                                       run->bytes - at - HK_OWN_HEAD};
    for (; at <= offset && at < run->cut; at += bytes) {
        struct hk_own_head *head = hk_own_head_at(run, at);
        bytes = head->bytes;
        if (bytes < HK_OWN_PIECE_LEAST)
            break;
        if (offset - at < bytes && !hk_own_is(head, HK_OWN_FREE))
            return (struct hk_own_finding){HK_MISUSE_INTERIOR, hk_own_block_of(head), bytes - HK_OWN_HEAD};
    }
    return found;
}

/* Is there the head of a block that was freed, and not handed out since? */
static bool was_freed(const void *ptr)
{
    struct hk_own_head *head = hk_own_head_of(ptr);
    return hk_own_is(head, HK_OWN_FREE) || hk_own_is(head, HK_OWN_LATER) || hk_own_is(head, HK_OWN_ALIGNED_LATER);
}

struct hk_own_finding hk_own_find_wrong(const void *ptr)
{
    struct hk_own_finding found = {HK_MISUSE_INVALID, NULL, 0};
    struct hk_own_run *run = hk_own_run_at(ptr);
    if (run == NULL)
        return found;
    size_t offset = (size_t)((const char *)ptr - (const char *)run);
    if (offset % 16 == 0 && offset > run->first && was_freed(ptr))
        return (struct hk_own_finding){HK_MISUSE_DOUBLE_FREE, ptr, 0};
    hk_lock(&run->heap->lock);
    found = find_around(run, ptr);
    hk_unlock(&run->heap->lock);
    return found;
}

/* ---- free ---- */

/* False: somebody else was faster. The heap's lock. */
static bool free_locked(struct hk_own *heap, void *start)
{
    struct hk_own_run *run = hk_own_run_at(start);
    if (run == NULL || run->heap != heap || !hk_own_is_live(hk_own_head_of(start)))
        return false;
    if (HK_UNLIKELY(heap->broken)) /* its lists are not whole */
        hk_own_set(hk_own_head_of(start), HK_OWN_FREE);
    else if (run->large)
        hk_own_free_large(run);
    else
        hk_own_free_piece(run, start);
    return true;
}

bool hk_own_free(const struct hk_block *block)
{
    struct hk_own *heap = hk_own_of(block);
    if (heap == NULL)
        return false;
    hk_own_free_waiting(heap);
    if (hk_own_run_at(block->start) == NULL)
        return hk_own_free_huge(heap, block->start, (uintptr_t)heap);
    hk_lock(&heap->lock);
    bool freed = free_locked(heap, block->start);
    hk_unlock(&heap->lock);
    return freed;
}

/* ---- freed without the lock ---- */

static bool mark_later(struct hk_own *heap, void *start)
{
    struct hk_own_head *head = hk_own_head_of(start);
    if (hk_own_run_at(start) == NULL) {
        bool mine = hk_huge_swap_tag(start, (uintptr_t)heap, hk_own_later_tag(heap));
        hk_add_relaxed(&hk_own_waiting, mine);
        return mine;
    }
    return hk_own_change(head, HK_OWN_LIVE, HK_OWN_LATER) || hk_own_change(head, HK_OWN_ALIGNED, HK_OWN_ALIGNED_LATER);
}

bool hk_own_free_later(const struct hk_block *block)
{
    struct hk_own *heap = hk_own_of(block);
    if (heap == NULL || !mark_later(heap, block->start))
        return false;
    void **link = block->start;
    *link = hk_load_relaxed(&heap->later);
    while (!hk_cas_weak_release(&heap->later, link, block->start)) { /* pairs with free_all_waiting */
    }
    return true;
}

/* A mapping is put into the list `mappings` instead. The heap's lock. */
static void free_one_waiting(struct hk_own *heap, void *start, void **mappings)
{
    struct hk_own_head *head = hk_own_head_of(start);
    if (hk_own_run_at(start) == NULL) {
        *(void **)start = *mappings;
        *mappings = start;
        return;
    }
    if (!hk_own_change(head, HK_OWN_LATER, HK_OWN_LIVE))
        hk_own_change(head, HK_OWN_ALIGNED_LATER, HK_OWN_ALIGNED);
    free_locked(heap, start);
}

static HK_NOINLINE void free_all_waiting(struct hk_own *heap)
{
    void *next, *mappings = NULL;
    hk_lock(&heap->lock);
    void *start = hk_swap_acquire(&heap->later, NULL); /* pairs with hk_own_free_later */
    for (; start != NULL; start = next) {
        next = *(void **)start;
        free_one_waiting(heap, start, &mappings);
    }
    hk_unlock(&heap->lock);
    for (; mappings != NULL; mappings = next) {
        next = *(void **)mappings;
        hk_own_free_huge(heap, mappings, hk_own_later_tag(heap));
    }
}

void hk_own_free_waiting(struct hk_own *heap)
{
    if (HK_UNLIKELY(hk_load_relaxed(&heap->later) != NULL)) /* a hint: the next call sees it */
        free_all_waiting(heap);
}
