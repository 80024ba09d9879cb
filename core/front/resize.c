/* SPDX-License-Identifier: MIT
 *
 * realloc: in place where that is possible, else by a copy. Where there is no memory for a smaller copy the block stays
 * where it is.
 */
#include "front/slow.h"

#include "large/huge.h"
#include "large/page_heap.h"
#include "box/purge.h"
#include "box/side.h"
#include "front/fast.h"

#include <errno.h>
#include <string.h>

/* Untouched room for a block that grows, so that growing step by step does not copy each time. */
static size_t with_headroom(size_t size)
{
    return size > HK_TINY_MAX ? size + size / 8 : size;
}

static void *move(void *ptr, size_t have, size_t size)
{
    size_t roomy = size > have ? with_headroom(size) : size;
    int saved = errno;
    void *to = hk_malloc_fast(roomy, hk_malloc_slow);
    if (to == NULL && roomy > size)
        to = hk_malloc_fast(size, hk_malloc_slow);
    if (to == NULL)
        return NULL;
    errno = saved;
    memcpy(to, ptr, hk_min(have, size));
    hk_free_fast(ptr);
    return to;
}

/* Page runs and mappings: in place when the neighbours allow it. Inside the gate. */
static void *resize_inside(void *ptr, size_t have, size_t size)
{
    if (size > have)
        return hk_page_heap_resize(ptr, size, with_headroom(size));
    if (have - size < have / 8)
        return ptr;
    void *to = hk_page_heap_resize(ptr, size, size);
    if (to != NULL)
        hk_purge_tick(); /* else the free of what is copied does that */
    return to;
}

/* NULL: by a copy. */
static void *resize_large(void *ptr, size_t have, size_t size)
{
    int saved = errno;
    struct hk_pass *pass = hk_front_pass(hk_front_thread());
    if (hk_side_is_used() && hk_side_has(ptr))
        return size <= have && size > have / 4 ? ptr : NULL;
    if (!hk_gate_enter(pass))
        return NULL;
    void *to = resize_inside(ptr, have, size);
    hk_gate_leave(pass);
    hk_corrupt_report();
    errno = saved;
    return to;
}

/* There is no memory for a smaller copy. What is behind `size` goes back as far as its box can do that without memory:
 * others may wait for it. */
static HK_SLOW_PATH void *shrink_where_it_is(void *ptr, size_t size)
{
    struct hk_pass *pass = hk_front_pass(hk_front_thread());
    if (hk_registry_code(ptr) != 0 || (hk_side_is_used() && hk_side_has(ptr)) || !hk_gate_enter(pass))
        return ptr;
    void *to = hk_huge_resize(ptr, size);
    size_t least = hk_max(size, HK_MID_MAX + 1);
    if (to == NULL)
        to = hk_page_heap_resize(ptr, least, least);
    hk_gate_leave(pass);
    return to != NULL ? to : ptr;
}

void *hk_resize(void *ptr, size_t size)
{
    int saved = errno;
    size_t have = hk_block_size(ptr, "realloc");
    if (have == 0) {
        errno = EINVAL;
        return NULL;
    }
    if (size > HK_SIZE_MOST) {
        errno = ENOMEM;
        return NULL;
    }
    bool small = hk_registry_code(ptr) != 0;
    if (size <= have && (have <= HK_MID_MAX ? size > have / 2 : small))
        return ptr;
    void *to = small ? NULL : resize_large(ptr, have, size);
    if (to == NULL)
        to = move(ptr, have, size);
    if (HK_UNLIKELY(to == NULL) && size <= have) {
        to = shrink_where_it_is(ptr, size);
        errno = saved;
    }
    return to;
}
