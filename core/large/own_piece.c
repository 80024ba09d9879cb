/* SPDX-License-Identifier: MIT
 *
 * Pieces: how they are cut, freed and taken again.
 */
#include "large/own_priv.h"

#include "base/assert.h"

#define SHORT_MOST HK_SLAB_SIZE /* a run is no longer while the heap is small */
#define LONG_MOST ((size_t)2 * HK_MIB)

static struct hk_own_head *head_of_free(struct hk_node *node)
{
    return hk_own_head_of(HK_CONTAINER(node, struct hk_own_free, node));
}

static struct hk_node *link_of(struct hk_own_head *head)
{
    return &((struct hk_own_free *)hk_own_block_of(head))->node;
}

static size_t room_of(const struct hk_own_run *run)
{
    return run->bytes - run->cut;
}

/* ---- runs for pieces ---- */

static struct hk_own_run *new_run(struct hk_own *heap, size_t bytes)
{
    struct hk_own_run *run = hk_own_run_new(heap, bytes, HK_PAGE, HK_OWN_START - HK_OWN_HEAD);
    if (run != NULL)
        hk_own_run_enter(run);
    return run;
}

/* Where there is no room for the length that the policy wants, as much as this piece needs. */
static struct hk_own_run *add_run(struct hk_own *heap, size_t piece)
{
    size_t least = hk_align_up(piece + HK_OWN_START - HK_OWN_HEAD, HK_PAGE);
    size_t held = heap->run_bytes;
    size_t wish = hk_max(hk_min(held, SHORT_MOST), hk_min(held / 8, LONG_MOST));
    wish = hk_max(hk_align_up(wish, HK_PAGE), least);
    if (wish > heap->limit - hk_min(heap->limit, hk_own_held(heap)))
        wish = least;
    if (!hk_own_may_have(heap, wish))
        return NULL;
    struct hk_own_run *run = new_run(heap, wish);
    return run == NULL && wish > least ? new_run(heap, least) : run;
}

static bool is_first(const struct hk_own_run *run)
{
    return (const char *)run + HK_OWN_START == (const char *)run->heap;
}

/* Does a link lead to where a link of this heap may stand? */
static bool is_place(const struct hk_own *heap, const void *place)
{
    struct hk_own_run *run = hk_own_run_at(place);
    return run != NULL && run->heap == heap && (uintptr_t)place % sizeof(void *) == 0;
}

/* A free piece leaves its list. A program that wrote to it has written over the links, which may lead anywhere then:
 * the heap takes and gives no more. */
static bool leave_free(struct hk_own *heap, struct hk_own_head *head)
{
    struct hk_node *node = link_of(head);
    if (HK_LIKELY(hk_own_is(head, HK_OWN_FREE) && is_place(heap, node->at) && *node->at == node &&
                  (node->next == NULL || (is_place(heap, node->next) && node->next->at == &node->next)))) {
        hk_list_remove(node);
        return true;
    }
    hk_corrupt_note(node, hk_max(head->bytes, HK_OWN_PIECE_LEAST));
    heap->broken = true;
    return false;
}

/* Takes every piece of a run out of the lists, and cuts it anew. */
static void reset_run(struct hk_own_run *run)
{
    for (size_t at = run->first, bytes; at < run->cut; at += bytes) {
        struct hk_own_head *head = hk_own_head_at(run, at);
        bytes = head->bytes;
        if (bytes < HK_OWN_PIECE_LEAST || !leave_free(run->heap, head))
            return;
    }
    run->cut = run->first;
    run->zero = false;
}

/* The run that was cut from is an ordinary one from now on: it goes if it is empty. */
static void cut_from(struct hk_own *heap, struct hk_own_run *run)
{
    struct hk_own_run *before = heap->cutting;
    heap->cutting = run;
    if (before->live == 0 && !is_first(before)) {
        reset_run(before);
        hk_own_run_leave(before);
    }
}

/* Nothing lives in it. What was cut since is walked once: as many blocks were freed. It goes back while the run that is
 * cut from has half as much room: so many blocks are cut there before another run is needed. */
static void run_is_empty(struct hk_own_run *run)
{
    struct hk_own *heap = run->heap;
    reset_run(run);
    if (run == heap->cutting || heap->broken)
        return;
    if (room_of(run) / 2 > room_of(heap->cutting))
        cut_from(heap, run);
    else if (!is_first(run))
        hk_own_run_leave(run);
}

/* ---- pieces; the heap's lock ---- */

static struct hk_own_head *take_free(struct hk_own *heap, unsigned cls)
{
    struct hk_node *node = heap->free[cls].first;
    if (node == NULL)
        return NULL;
    return leave_free(heap, head_of_free(node)) ? head_of_free(node) : NULL;
}

static struct hk_own_head *cut(struct hk_own *heap, size_t bytes, bool *zero)
{
    struct hk_own_run *run = heap->cutting;
    if (room_of(run) < bytes) {
        run = add_run(heap, bytes);
        if (run == NULL)
            return NULL;
        if (room_of(run) - bytes >= room_of(heap->cutting))
            cut_from(heap, run);
    }
    struct hk_own_head *head = hk_own_head_at(run, run->cut);
    run->cut += (uint32_t)bytes;
    *zero = run->zero;
    head->bytes = (uint32_t)bytes;
    return head;
}

/* The start of an aligned block, with a head of its own where that is not the piece's. */
static void *align_block(struct hk_own_head *head, size_t align)
{
    char *block = hk_own_block_of(head);
    char *start = (char *)hk_align_up((uintptr_t)block, align);
    hk_own_set(head, start == block ? HK_OWN_LIVE : HK_OWN_OUTER);
    if (start != block) {
        hk_own_head_of(start)->bytes = (uint32_t)(start - block);
        hk_own_set(hk_own_head_of(start), HK_OWN_ALIGNED);
    }
    return start;
}

void *hk_own_take_piece(struct hk_own *heap, struct hk_own_want *want)
{
    size_t need = hk_max(want->size + HK_OWN_HEAD + want->align - 16, HK_OWN_PIECE_LEAST);
    unsigned cls = hk_class_of(need);
    want->zero = false;
    struct hk_own_head *piece = take_free(heap, cls);
    if (piece == NULL && !heap->broken)
        piece = cut(heap, hk_class_size(cls), &want->zero);
    if (piece == NULL)
        return NULL;
    hk_own_run_at(piece)->live++;
    void *block = align_block(piece, want->align);
    hk_own_count_live(heap, hk_own_usable(piece, block), 1);
    return block;
}

struct hk_own_head *hk_own_piece_of(const void *block)
{
    struct hk_own_head *head = hk_own_head_of(block);
    if (hk_own_is(head, HK_OWN_ALIGNED))
        return hk_own_head_of((char *)(uintptr_t)block - head->bytes);
    return head;
}

void hk_own_free_piece(struct hk_own_run *run, void *block)
{
    struct hk_own *heap = run->heap;
    struct hk_own_head *piece = hk_own_piece_of(block);
    hk_own_count_live(heap, -hk_own_usable(piece, block), -(size_t)1);
    hk_own_set(hk_own_head_of(block), HK_OWN_FREE);
    hk_own_set(piece, HK_OWN_FREE);
    hk_list_push(&heap->free[hk_class_of(piece->bytes)], link_of(piece));
    if (--run->live == 0)
        run_is_empty(run);
}
