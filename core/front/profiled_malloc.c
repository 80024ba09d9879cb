/* SPDX-License-Identifier: MIT
 *
 * malloc while a profile is made: codes are gone, and every call comes here.
 */
#include "front/profiled.h"

#include "box/side.h"
#include "front/fast.h"
#include "front/inside.h"
#include "front/steps.h"

#include <errno.h>
#include <string.h>

/* What the fast paths do. NULL: the bin is empty, or is to be looked through first (hk_front_open_class). */
static void *pop_ready(const struct hk_thread *thread, unsigned cls)
{
    struct hk_front HK_TLS_SPACE *front = hk_front_self();
    void *block;
    if (HK_FRONT_BINS && hk_class_size(cls) < HK_CACHE_LINE && (thread->opened >> cls & 1) == 0)
        return NULL;
    if (HK_UNLIKELY(!hk_front_hold(front)))
        return NULL;
    bool found = hk_bin_pop(hk_front_bin(front, hk_code_of_class(cls)), &block);
    hk_front_let_go(front);
    if (!found)
        return NULL;
    if (HK_TELEMETRY)
        hk_front_hits(front, hk_code_of_class(cls))->malloc_hits++;
    hk_slab_unmark(block);
    return block;
}

void *hk_step_ready(struct hk_thread *thread, size_t size)
{
    if (!hk_front_has_class(size))
        return hk_step_sized(size);
    void *block = thread != NULL ? pop_ready(thread, hk_class_of(size)) : NULL;
    if (HK_LIKELY(block != NULL))
        return block;
    return size > HK_TINY_MAX ? hk_step_mid_missed(size) : hk_step_missed(size);
}

/* Counts a block that is asked for; is it sampled? */
static inline bool is_sampled(struct hk_thread *thread, const struct hk_wish *wish)
{
    return thread != NULL && wish->size <= HK_SIZE_MOST && wish->align <= HK_SIZE_MOST &&
           HK_UNLIKELY(hk_profile_wants(&thread->sampler, hk_front_bytes(wish->size, wish->align)));
}

/* A run or a mapping: of a size that no class has, or one that is sampled. */
static void *take_large(struct hk_thread *thread, const struct hk_wish *wish, bool sampled, bool *zero)
{
    struct hk_want w = {.size = wish->size, .align = hk_max(wish->align, HK_PAGE)};
    void *block = hk_step_through_gate(&w);
    if (block != NULL && sampled)
        hk_front_note_sampled(thread, wish, block);
    *zero = w.zero;
    return block;
}

static HK_NOINLINE void *take_sampled(struct hk_thread *thread, const struct hk_wish *wish)
{
    bool zero;
    if (wish->size > HK_MID_MAX)
        return take_large(thread, wish, true, &zero);
    void *block = hk_front_take_sampled(thread, wish);
    return block != NULL ? block : hk_step_ready(thread, wish->size);
}

/* All but the common case. */
static HK_NOINLINE void *malloc_counted(size_t size, const void *first)
{
    struct hk_thread *thread = hk_front_thread_or_new();
    struct hk_wish wish = {size, 16, first};
    if (is_sampled(thread, &wish))
        return take_sampled(thread, &wish);
    return hk_step_ready(thread, size);
}

/* A block that is not sampled and lies ready in its bin: what most calls are. */
void *hk_profiled_malloc(size_t size, const void *first)
{
    struct hk_thread *thread = hk_front_mine()->thread;
    unsigned cls;
    if (HK_LIKELY(size <= HK_TINY_MAX))
        cls = hk_tiny_class[(size + 15) / 16];
    else if (hk_front_has_class(size))
        cls = hk_class_of(size);
    else
        return malloc_counted(size, first);
    if (HK_UNLIKELY((uintptr_t)thread <= (uintptr_t)HK_THREAD_ENDED)) /* or NULL */
        return malloc_counted(size, first);
    if (HK_UNLIKELY(hk_profile_is_near(&thread->sampler, hk_class_size(cls))))
        return malloc_counted(size, first);
    void *block = pop_ready(thread, cls);
    if (HK_UNLIKELY(block == NULL))
        return malloc_counted(size, first);
    hk_profile_pass(&thread->sampler, hk_class_size(cls));
    return block;
}

/* Not zero yet, but where *zero says so. */
static void *take_for_calloc(struct hk_thread *thread, const struct hk_wish *wish, bool *zero)
{
    bool sampled = is_sampled(thread, wish);
    if (sampled ? wish->size > HK_MID_MAX : !hk_front_has_class(wish->size))
        return take_large(thread, wish, sampled, zero);
    int saved = errno;
    void *block = sampled ? hk_front_take_sampled(thread, wish) : NULL;
    if (block == NULL && wish->size > HK_TINY_MAX) {
        block = hk_step_virgin(wish->size);
        *zero = block != NULL;
    }
    errno = saved;
    return block != NULL ? block : hk_step_ready(thread, wish->size);
}

void *hk_profiled_calloc(size_t size, const void *first)
{
    struct hk_wish wish = {size, 16, first};
    bool zero = false;
    void *block = take_for_calloc(hk_front_thread_or_new(), &wish, &zero);
    return block != NULL && !zero ? memset(block, 0, size) : block;
}

void *hk_profiled_aligned(size_t align, size_t size, const void *first)
{
    struct hk_thread *thread = hk_front_thread_or_new();
    struct hk_wish wish = {size, align, first};
    bool sampled = is_sampled(thread, &wish), zero;
    unsigned cls = size <= HK_MID_MAX && align <= HK_PAGE ? hk_class_of_aligned(size, align) : 0;
    if (cls == 0)
        return take_large(thread, &wish, sampled, &zero);
    void *ptr = sampled ? hk_front_take_sampled(thread, &wish) : NULL;
    if (ptr == NULL)
        ptr = hk_step_ready(thread, hk_class_size(cls));
    if (HK_LIKELY((uintptr_t)ptr % align == 0)) /* NULL, too */
        return ptr;
    hk_free_outside(ptr); /* from the side box, whose blocks lie anywhere */
    return take_large(thread, &wish, false, &zero);
}
