/* SPDX-License-Identifier: MIT
 *
 * Blocks with an end, where the fast paths have none ready, and what is said of wrong ones.
 */
#include "front/hardened/hard_priv.h"

#include "front/block.h"
#include "front/guard.h"
#include "front/profiled.h"
#include "front/steps.h"
#include "front/wrong.h"

#include <errno.h>
#include <string.h>

#define HK_HARD_SLOT(size, n) {(size), HK_FILL_MIDDLE(size)},

const struct hk_hard_slot hk_hard_slots[HK_CLASS_COUNT] = {
    {0, 0}, HK_TINY_CLASSES(HK_HARD_SLOT, 0) HK_MID_CLASSES(HK_HARD_SLOT, 0) HK_WIDE_CLASSES(HK_HARD_SLOT, 0)};

static void *fail_for_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* ---- malloc ---- */

/* What the front just gave. The first block of a process may be a large one: nobody has made the
 * secret then. */
static struct hk_block find_given(void *ptr)
{
    unsigned cls = hk_registry_class(ptr);
    hk_secret_learn();
    if (HK_LIKELY(cls != 0))
        return (struct hk_block){HK_BLOCK_SLAB, ptr, hk_class_size(cls)};
    struct hk_block block = hk_block_find_large(ptr);
    return HK_LIKELY(block.kind != HK_BLOCK_NONE) ? block : hk_block_find_outside(ptr, "malloc"); /* a guarded one */
}

/* A block with more room than an end can say has a larger size. */
static void set_end(const struct hk_block *block, size_t size)
{
    size_t least = block->size - hk_min(block->size, HK_END_SLACK_MAX);
    hk_end_set(block->start, block->size, hk_max(size, least), hk_end_hash(hk_end_at(block->start, block->size)), 0);
}

void hk_hard_set_end(void *ptr, size_t size)
{
    struct hk_block block = find_given(ptr);
    set_end(&block, size);
}

void *hk_hard_is_of_new(void *ptr)
{
    if (HK_LIKELY(ptr != NULL)) {
        struct hk_block block = find_given(ptr);
        const uint64_t *end = hk_end_at(ptr, block.size);
        uint64_t hash = hk_end_hash(end), said = hk_end_read(end, hash);
        size_t size;
        if (hk_end_says(said) && hk_end_lives(said, block.size, &size))
            hk_end_set(ptr, block.size, size, hash, HK_END_OF_NEW);
    }
    return ptr;
}

static void tell_written(const void *block)
{
    hk_misuse(HK_MISUSE_WRITTEN, "malloc", block, NULL, hk_class_size(hk_registry_class(block)));
}

/* Is what the front gave as it was when it was freed? The mark is taken away. If not, it is lost. */
static bool is_as_it_was(const void *ptr)
{
    unsigned cls = hk_registry_class(ptr);
    size_t slot = hk_class_size(cls);
    if (!HK_FILL || cls == 0 || HK_LIKELY(hk_fill_is_whole(ptr, slot, HK_FILL_MIDDLE(slot), 0)))
        return true;
    tell_written(ptr);
    return false;
}

/* Makes it the program's; NULL stays NULL. */
static void *hand_out(void *ptr, size_t size)
{
    if (HK_UNLIKELY(ptr == NULL))
        return NULL;
    struct hk_block block = find_given(ptr);
    if (block.kind == HK_BLOCK_SLAB)
        ((uintptr_t *)ptr)[1] = 0;
    set_end(&block, size);
    return ptr;
}

/* There was no memory. Is it worth asking again? */
static bool is_more_now(void)
{
    return HK_DELAY && hk_hard_let_all_go();
}

void *hk_hard_malloc_roomy(size_t size, size_t roomy)
{
    void *ptr = hk_malloc_fast(hk_hard_wants(roomy), hk_malloc_slow);
    if (HK_UNLIKELY(ptr == NULL) && is_more_now())
        ptr = hk_malloc_fast(hk_hard_wants(roomy), hk_malloc_slow);
    while (HK_UNLIKELY(ptr != NULL && !is_as_it_was(ptr)))
        ptr = hk_malloc_fast(hk_hard_wants(roomy), hk_malloc_slow);
    return hand_out(ptr, size);
}

/* The bin of a Mid class, of this thread; NULL: it has nothing. */
static HK_ALWAYS_INLINE void *take_mid(size_t wants)
{
    struct hk_front HK_TLS_SPACE *front = hk_front_self();
    void *block = NULL;
    if (HK_UNLIKELY(!hk_front_hold(front)))
        return NULL;
    unsigned code = hk_code_of_class(hk_class_of_mid(wants));
    bool found = hk_bin_pop(hk_front_bin(front, code), &block);
    hk_front_let_go(front);
    if (HK_TELEMETRY && found)
        hk_front_hits(front, code)->malloc_hits++;
    return found ? block : NULL;
}

/* As hk_malloc_slow; but whoever watches is to know who called, and not us. */
static void *malloc_for(const void *caller, size_t wants)
{
    uint32_t watchers = hk_front_watched_by();
    if (HK_LIKELY(watchers == 0) || wants >= HK_OPERAND(hk_front_ways.large_from))
        return hk_malloc_slow(wants);
    return watchers == HK_WATCH_PROFILE ? hk_profiled_malloc(wants, caller) : hk_watched_malloc(wants, caller);
}

void *hk_hard_malloc_slow(size_t size)
{
    if (HK_UNLIKELY(size > HK_SIZE_MOST))
        return fail_for_memory();
    if (hk_hard_wants(size) - (HK_TINY_MAX + 1) < HK_OPERAND(hk_front_ways.mid_sizes)) {
        void *block = take_mid(hk_hard_wants(size));
        if (HK_LIKELY(block != NULL))
            return hk_hard_hand_out(block, size, &hk_hard_slots[hk_class_of_mid(hk_hard_wants(size))], 0);
    }
    void *ptr = malloc_for(__builtin_return_address(0), hk_hard_wants(size));
    if (HK_UNLIKELY(ptr == NULL ? is_more_now() : !is_as_it_was(ptr)))
        return hk_hard_malloc_roomy(size, size);
    return hand_out(ptr, size);
}

void *hk_hard_written(void *block, size_t size)
{
    tell_written(block);
    return hk_hard_malloc_roomy(size, size);
}

/* A Mid or wide block that is known to be zero; NULL: take another. */
static void *take_virgin(size_t size)
{
    int saved = errno;
    void *ptr = hk_step_virgin(size);
    errno = saved;
    return ptr;
}

void *hk_hard_calloc(size_t size)
{
    size_t wants = hk_hard_wants(size);
    void *ptr = NULL;
    if (HK_UNLIKELY(size > HK_SIZE_MOST))
        return fail_for_memory();
    bool has_class = hk_front_has_class(wants);
    if (!has_class && (ptr = hk_calloc_slow(wants)) == NULL && is_more_now())
        ptr = hk_calloc_slow(wants);
    if (has_class && wants > HK_TINY_MAX && !hk_profile_is_on())
        ptr = take_virgin(wants);
    if (ptr == NULL && has_class) {
        ptr = hk_hard_malloc(size, hk_hard_malloc_slow, 0);
        return ptr != NULL ? memset(ptr, 0, size) : NULL;
    }
    if (ptr != NULL)
        hk_hard_set_end(ptr, size); /* no page but the last one is touched */
    return ptr;
}

void *hk_hard_aligned(size_t align, size_t size)
{
    if (HK_UNLIKELY(size > HK_SIZE_MOST))
        return fail_for_memory();
    void *ptr = hk_malloc_aligned(align, hk_hard_wants(size));
    if (HK_UNLIKELY(ptr == NULL) && is_more_now())
        ptr = hk_malloc_aligned(align, hk_hard_wants(size));
    while (HK_UNLIKELY(ptr != NULL && !is_as_it_was(ptr)))
        ptr = hk_malloc_aligned(align, hk_hard_wants(size));
    return hand_out(ptr, size);
}

/* ---- free ---- */

bool hk_hard_open(const struct hk_block *block, const char *verb, struct hk_hard_end *found)
{
    const uint64_t *end = hk_end_at(block->start, block->size);
    uint64_t word = hk_peek(end), said = hk_end_said(word, hk_end_hash(end));
    enum hk_misuse wrong;
    *found = (struct hk_hard_end){0, (said & HK_END_OF_NEW) != 0};
    if (HK_UNLIKELY(word == 0))
        wrong = HK_MISUSE_DOUBLE_FREE;
    else if (HK_UNLIKELY(!hk_end_says(said) || !hk_end_lives(said, block->size, &found->size) ||
                         !hk_end_holds(block->start, found->size, word)))
        wrong = HK_MISUSE_PAST_END;
    else if (block->kind == HK_BLOCK_SLAB && (uintptr_t)block->start % HK_SLAB_SIZE != 0 &&
             HK_UNLIKELY(!hk_end_before_is_whole(block->start, block->size)))
        wrong = HK_MISUSE_BEFORE;
    else
        return true;
    if (block->kind == HK_BLOCK_GUARDED)
        hk_front_wrong_guarded(block->start, verb);
    else
        hk_wrong_say(wrong, verb, block->start, NULL, block->size);
    return false;
}

static bool has_size(const struct hk_block *block, const struct hk_hard_end *end, size_t given, enum hk_hard_given how)
{
    bool is_known = how == HK_HARD_SIZED || (how == HK_HARD_DELETE && end->of_new);
    if (HK_LIKELY(!is_known || given == end->size) || block->size - end->size >= HK_END_SLACK_MAX)
        return true;
    hk_misuse_size(block->start, end->size, given);
    return false;
}

static void let_go(const struct hk_block *block)
{
    uintptr_t *word = block->start;
    if (block->kind == HK_BLOCK_OWN) {
        hk_end_clear(word, block->size);
        hk_free_large(block);
        return;
    }
    if (block->kind == HK_BLOCK_SLAB) {
        hk_hard_empty(word, block->size, HK_FILL_MIDDLE(block->size));
        word[1] = hk_free_mark(word);
        hk_free_checked(word, hk_registry_code(word));
        return;
    }
    if (HK_FILL && HK_DELAY) {
        hk_fill(word, block->size, HK_FILL_MIDDLE(block->size));
        word[1] = 0; /* of a slab it is the mark's */
    } else {
        hk_end_clear(word, block->size);
    }
    if (!HK_DELAY || !hk_hard_hold(block))
        hk_free_slow(word, 0);
}

void hk_hard_free_slow(void *ptr, size_t given, enum hk_hard_given how)
{
    struct hk_hard_end end;
    if (ptr == NULL)
        return;
    int saved = errno;
    struct hk_block block = hk_block_find(ptr, "free");
    if (block.kind != HK_BLOCK_NONE && hk_hard_open(&block, "free", &end) && has_size(&block, &end, given, how))
        let_go(&block);
    errno = saved;
}

size_t hk_hard_size(const void *ptr, const char *verb)
{
    struct hk_block block = hk_block_find(ptr, verb);
    struct hk_hard_end end;
    return block.kind != HK_BLOCK_NONE && hk_hard_open(&block, verb, &end) ? end.size : 0;
}

/* ---- heaps of one's own ---- */

void *hk_hard_own_take(struct hk_own *heap, struct hk_own_want *want)
{
    size_t size = want->size;
    if (HK_LIKELY(size <= HK_SIZE_MOST))
        want->size += HK_END_BYTES;
    void *ptr = hk_front_own_take(heap, want);
    if (HK_LIKELY(ptr != NULL))
        hk_hard_set_end(ptr, size);
    return ptr;
}

void hk_hard_own_free(const struct hk_block *block, const char *verb)
{
    struct hk_hard_end end;
    if (hk_hard_open(block, verb, &end))
        let_go(block);
}
