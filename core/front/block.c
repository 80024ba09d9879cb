/* SPDX-License-Identifier: MIT */
#include "front/block.h"

#include "box/guarded.h"
#include "box/side.h"
#include "front/inside.h"
#include "front/wrong.h"
#include "large/page_heap.h"

struct hk_block hk_block_find_large(const void *ptr)
{
    size_t size = hk_side_is_used() ? hk_side_size(ptr) : 0;
    if (size != 0)
        return (struct hk_block){HK_BLOCK_SIDE, (void *)(uintptr_t)ptr, size};
    return hk_page_heap_find(ptr);
}

static HK_NOINLINE void look_for_guarded(struct hk_block *block, const void *ptr)
{
    size_t size = hk_guarded_has(ptr) ? hk_guarded_bytes(ptr) : 0;
    if (size != 0)
        *block = (struct hk_block){HK_BLOCK_GUARDED, (void *)(uintptr_t)ptr, size};
}

/* Before a pointer is said to be wrong. Who is turned away may be a handler that interrupted who holds the lock. */
static HK_NOINLINE size_t look_for_huge_again(const void *ptr)
{
    struct hk_thread *thread = hk_front_thread();
    if (HK_UNLIKELY(!hk_front_go_in(thread)))
        return hk_huge_look_long(ptr);
    size_t size = hk_huge_size(ptr);
    hk_front_come_out(hk_front_pass(thread));
    return size;
}

struct hk_block hk_block_find_outside(const void *ptr, const char *verb)
{
    struct hk_block block = hk_block_find_large(ptr);
    if (HK_UNLIKELY(block.kind == HK_BLOCK_NONE)) {
        look_for_guarded(&block, ptr);
        if (block.kind != HK_BLOCK_NONE)
            return block;
        block.size = look_for_huge_again(ptr);
        block.kind = block.size != 0 ? HK_BLOCK_HUGE : HK_BLOCK_NONE;
        if (block.kind == HK_BLOCK_NONE)
            hk_wrong_unknown(ptr, verb);
    }
    return block;
}
