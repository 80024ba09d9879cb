/* SPDX-License-Identifier: MIT
 *
 * The TLS SLL between the bins and the slabs (-Dtls_sll=enabled).
 */
#include "front/back.h"

/* The most that one list holds, in bytes and in blocks. */
#define LIST_BYTES ((size_t)65536)
#define LIST_BLOCKS 256u

static unsigned longest_list(unsigned cls)
{
    return (unsigned)hk_min(LIST_BYTES / hk_class_size(cls), LIST_BLOCKS);
}

static void flush_list(struct hk_thread *thread, unsigned cls, unsigned n)
{
    struct hk_sll *list = &thread->back->list[cls];
    unsigned before = list->count; /* a corrupted list loses more than was asked for */
    void *blocks[LIST_BLOCKS];
    n = hk_sll_take_oldest(list, cls, blocks, n);
    hk_transfer_or_give(&thread->heap, cls, blocks, n);
    thread->back->bytes -= (before - list->count) * hk_class_size(cls);
}

/* Gives older lists to the slabs until there is room for so many bytes; false: there cannot be. */
static bool find_room_in_lists(struct hk_thread *thread, size_t bytes)
{
    struct hk_back *back = thread->back;
    size_t limit = hk_front_limit(thread);
    if (bytes > limit)
        return false;
    while (back->bytes + bytes > limit) { /* the limit may shrink with the heap; what is held does so faster */
        back->hand = back->hand % (HK_CLASS_COUNT - 1) + 1;
        if (back->list[back->hand].count != 0)
            flush_list(thread, back->hand, back->list[back->hand].count);
    }
    return true;
}

unsigned hk_back_list_take(struct hk_thread *thread, unsigned cls, void **top, unsigned n)
{
    struct hk_back *back = thread->back;
    struct hk_sll *list = &back->list[cls];
    unsigned before = list->count;
    unsigned got = hk_sll_take(list, cls, top, n);
    back->bytes -= (before - list->count) * hk_class_size(cls);
    return got != 0 ? got : hk_transfer_or_take(&thread->heap, cls, top, n);
}

unsigned hk_back_list_give(struct hk_thread *thread, unsigned cls, void **blocks, unsigned n)
{
    struct hk_back *back = thread->back;
    struct hk_sll *list = &back->list[cls];
    size_t bytes = n * hk_class_size(cls);
    list->cap = (uint16_t)longest_list(cls);
    if (thread->own.room.draining || n > list->cap || !find_room_in_lists(thread, bytes))
        return hk_transfer_or_give(&thread->heap, cls, blocks, n);
    if (list->count + n > list->cap)
        flush_list(thread, cls, (unsigned)hk_min(list->count, hk_max(list->count + n - list->cap, list->cap / 2u)));
    hk_sll_put(list, blocks, n);
    back->bytes += bytes;
    return hk_back_changes(blocks, n);
}

void hk_back_list_flush(struct hk_thread *thread)
{
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        if (thread->back->list[cls].count != 0)
            flush_list(thread, cls, thread->back->list[cls].count);
    }
}
