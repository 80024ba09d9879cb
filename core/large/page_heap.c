/* SPDX-License-Identifier: MIT */
#include "large/page_heap.h"

#include "superslab/size_class.h"

static size_t pages_for(size_t size)
{
    return hk_max((size + HK_PAGE - 1) / HK_PAGE, 1);
}

void *hk_page_heap_alloc(size_t size, size_t align, bool *zero)
{
    if (size <= HK_RUN_MAX && align <= HK_SUPERSLAB_SIZE) {
        uintptr_t *run = hk_arena_take(pages_for(size), hk_max(align, HK_PAGE), zero);
        if (run != NULL && !*zero)
            run[1] = 0;
        return run;
    }
    *zero = true;
    return hk_huge_alloc(size, align);
}

void *hk_page_heap_alloc_alone(size_t size, size_t align, bool *zero)
{
    if (size > HK_RUN_MAX || align > HK_SUPERSLAB_SIZE)
        return NULL; /* it would have been one */
    *zero = true;
    return hk_huge_alloc(hk_max(size, 1), align);
}

/* Else it is a mapping of its own, or nothing of ours. */
static bool is_run(const void *ptr)
{
    return hk_arena_pages_of_live(ptr) != 0;
}

bool hk_page_heap_free(void *ptr)
{
    return is_run(ptr) ? hk_arena_give(ptr) : hk_huge_free(ptr);
}

size_t hk_page_heap_size(const void *ptr)
{
    size_t pages = hk_arena_pages_of_live(ptr);
    return pages != 0 ? pages * HK_PAGE : hk_huge_size(ptr);
}

size_t hk_page_heap_size_of_live(const void *ptr)
{
    size_t pages = hk_arena_pages_of_live(ptr);
    return pages != 0 ? pages * HK_PAGE : hk_huge_size_of_live(ptr);
}

/* A huge block that shrinks stays a mapping of its own, unless it becomes a small part of what a run can be. */
void *hk_page_heap_resize(void *ptr, size_t size, size_t roomy)
{
    if (!is_run(ptr))
        return size > HK_RUN_MAX / 2 ? hk_huge_resize(ptr, size) : NULL;
    if (size <= HK_MID_MAX || size > HK_RUN_MAX)
        return NULL;
    return hk_arena_resize(ptr, pages_for(size), pages_for(hk_min(roomy, HK_RUN_MAX))) ? ptr : NULL;
}
