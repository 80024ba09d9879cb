/* SPDX-License-Identifier: MIT
 *
 * hak_heap_: heaps of one's own. An object of its own: a program that makes none has nothing of it when it is linked
 * statically.
 */
#include "api/entry.h"
#include "front/owned.h"
#include "front/wrong.h"
#include "hakmem/hakmem.h"

HK_LINK_LIFECYCLE;

static struct hk_own *own_of(const hak_heap *heap)
{
    return (struct hk_own *)(uintptr_t)heap;
}

/* NULL is the caller's hak_heap_new that failed; what else is no heap is a misuse. */
static bool is_heap(const hak_heap *heap, const char *verb)
{
    if (HK_LIKELY(heap != NULL && hk_own_is_heap(own_of(heap))))
        return true;
    if (heap != NULL)
        hk_misuse(HK_MISUSE_HEAP, verb, heap, NULL, 0);
    errno = EINVAL;
    return false;
}

static void *take(hak_heap *heap, struct hk_own_want *want)
{
    return HK_TAIL ? hk_hard_own_take(own_of(heap), want) : hk_front_own_take(own_of(heap), want);
}

hak_heap *hak_heap_new(size_t limit)
{
    return (hak_heap *)hk_front_own_new(limit);
}

int hak_heap_destroy(hak_heap *heap)
{
    if (heap == NULL)
        return 0;
    return hk_front_own_destroy(own_of(heap)) ? 0 : -1;
}

void *hak_heap_malloc(hak_heap *heap, size_t size)
{
    struct hk_own_want want = {.align = 16, .size = size};
    return is_heap(heap, "hak_heap_malloc") ? take(heap, &want) : NULL;
}

void *hak_heap_calloc(hak_heap *heap, size_t count, size_t size)
{
    struct hk_own_want want = {.align = 16};
    if (!is_heap(heap, "hak_heap_calloc"))
        return NULL;
    if (__builtin_mul_overflow(count, size, &size))
        size = SIZE_MAX;
    want.size = size;
    void *ptr = take(heap, &want);
    if (ptr != NULL && !want.zero)
        memset(ptr, 0, size);
    return ptr;
}

void *hak_heap_aligned_alloc(hak_heap *heap, size_t alignment, size_t size)
{
    struct hk_own_want want = {.align = hk_max(alignment, 16), .size = size};
    if (!is_heap(heap, "hak_heap_aligned_alloc"))
        return NULL;
    if (!hk_is_pow2(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    return take(heap, &want);
}

/* A live block of the heap; else HK_BLOCK_NONE, without a message. */
static struct hk_block find_in(const hak_heap *heap, const void *ptr)
{
    struct hk_block block = hk_own_find(ptr);
    if (block.kind == HK_BLOCK_OWN && hk_own_of(&block) != own_of(heap))
        block = (struct hk_block){HK_BLOCK_NONE, NULL, 0};
    return block;
}

/* The same with a message. A block of malloc is none of the heap, and is not looked for. */
static struct hk_block find_or_tell(const hak_heap *heap, const void *ptr, const char *verb)
{
    struct hk_block block = {HK_BLOCK_NONE, NULL, 0};
    if (!is_heap(heap, verb))
        return block;
    block = find_in(heap, ptr);
    if (HK_UNLIKELY(block.kind == HK_BLOCK_NONE))
        hk_wrong_in_heap(ptr, verb);
    return block;
}

void hak_heap_free(hak_heap *heap, void *ptr)
{
    int saved = errno;
    struct hk_block block = {HK_BLOCK_NONE, NULL, 0};
    if (ptr != NULL)
        block = find_or_tell(heap, ptr, "hak_heap_free");
    if (HK_TAIL && block.kind == HK_BLOCK_OWN)
        hk_hard_own_free(&block, "hak_heap_free");
    else if (HK_LIKELY(block.kind == HK_BLOCK_OWN))
        hk_free_large(&block);
    errno = saved;
}

void *hak_heap_realloc(hak_heap *heap, void *ptr, size_t size)
{
    if (ptr == NULL)
        return hak_heap_malloc(heap, size);
    if (size == 0) {
        hak_heap_free(heap, ptr);
        return NULL;
    }
    struct hk_block block = find_or_tell(heap, ptr, "hak_heap_realloc");
    if (block.kind == HK_BLOCK_OWN)
        return HK_TAIL ? hk_hard_resize(ptr, size) : hk_resize(ptr, size);
    errno = EINVAL;
    return NULL;
}

size_t hak_heap_usable_size(const hak_heap *heap, const void *ptr)
{
    if (ptr == NULL || !is_heap(heap, "hak_heap_usable_size"))
        return 0;
    struct hk_block block = find_in(heap, ptr);
    return HK_TAIL && block.kind == HK_BLOCK_OWN ? hk_hard_size(ptr, "hak_heap_usable_size") : block.size;
}

#define STATS_FIRST (offsetof(struct hak_heap_stats, limit_refusals) + sizeof(uint64_t))

int hak_heap_stats(hak_heap *heap, struct hak_heap_stats *stats)
{
    struct hk_own_sums sums;
    if (!is_heap(heap, "hak_heap_stats"))
        return -1;
    if (stats == NULL || stats->size < STATS_FIRST) {
        errno = EINVAL;
        return -1;
    }
    if (!hk_front_own_count(own_of(heap), &sums))
        return -1;
    stats->live_blocks = sums.live_blocks;
    stats->live_bytes = sums.live_bytes;
    stats->held_bytes = sums.held_bytes + sums.large_bytes;
    stats->peak_held_bytes = sums.peak_bytes;
    stats->limit = sums.limit == SIZE_MAX ? 0 : sums.limit;
    stats->limit_refusals = sums.refused;
    return 0;
}
