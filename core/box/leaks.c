/* SPDX-License-Identifier: MIT
 *
 * Which blocks are reached from the roots, and which of the others are reached from one of them.
 */
#include "box/leaks.h"

#include "box/leaks_priv.h"
#include "box/pool.h"
#include "large/huge.h"
#include "os/file.h"
#include "os/os.h"
#include "pages/meta.h"
#include "pages/ss_arena.h"

#include <string.h>

/* ---- what is done with a pointer ---- */

static void go_on_with(struct hk_leak_scan *s, struct hk_leak_block *block, enum hk_leak_state state)
{
    block->state = state;
    s->waiting[s->waits++] = (size_t)(block - s->blocks.item);
}

static void reach(struct hk_leak_scan *s, uintptr_t word)
{
    struct hk_leak_block *block = hk_leaks_block_at(s, word);
    if (block != NULL && block->state == HK_LEAK_UNSEEN)
        go_on_with(s, block, HK_LEAK_REACHED);
}

static void point(struct hk_leak_scan *s, uintptr_t word)
{
    struct hk_leak_block *block = hk_leaks_block_at(s, word);
    if (block != NULL && block->state == HK_LEAK_UNSEEN && block != &s->blocks.item[s->current])
        block->state = HK_LEAK_POINTED;
}

/* What was begun at as long as nothing else was left, and turns out to lie behind the ring that this begins at, is
 * indirect, too. */
static void follow(struct hk_leak_scan *s, uintptr_t word)
{
    struct hk_leak_block *block = hk_leaks_block_at(s, word);
    if (block == NULL)
        return;
    if (block->state == HK_LEAK_POINTED)
        go_on_with(s, block, HK_LEAK_INDIRECT);
    else if (block->state == HK_LEAK_DIRECT && block != &s->blocks.item[s->current])
        block->state = HK_LEAK_INDIRECT;
}

/* Each block is put down once, so there is room for all. */
static void work_off(struct hk_leak_scan *s, hk_leak_use *use)
{
    while (s->waits != 0) {
        struct hk_leak_block block = s->blocks.item[s->waiting[--s->waits]];
        hk_leaks_words_of(s, &block, use);
    }
}

/* ---- what is to be ignored ---- */

static bool is_ignored(const struct hk_leak_scan *s, const struct hk_stack *stack)
{
    for (size_t i = 0; i < s->ignored->count && stack != NULL; i++) {
        const struct hk_stack *other = s->ignored->stack[i];
        if (other->depth == stack->depth && memcmp(other->pc, stack->pc, stack->depth * sizeof *stack->pc) == 0)
            return true;
    }
    return false;
}

static void ignore_wanted(struct hk_leak_scan *s)
{
    for (size_t i = 0; i < s->blocks.count && s->ignored->count != 0; i++) {
        struct hk_leak_block *block = &s->blocks.item[i];
        if (block->state != HK_LEAK_UNSEEN || !is_ignored(s, hk_profile_stack_of(block->tag)))
            continue;
        s->leaks->ignored.blocks++;
        s->leaks->ignored.bytes += block->size;
        block->state = HK_LEAK_IGNORED;
    }
    for (size_t i = 0; i < s->blocks.count && s->leaks->ignored.blocks != 0; i++) {
        if (s->blocks.item[i].state == HK_LEAK_IGNORED)
            go_on_with(s, &s->blocks.item[i], HK_LEAK_REACHED);
    }
    work_off(s, reach);
}

/* ---- what is leaked ---- */

/* Begins at each leaked block of that state in turn. */
static void lose(struct hk_leak_scan *s, enum hk_leak_state state)
{
    for (s->current = 0; s->current < s->blocks.count; s->current++) {
        if (s->blocks.item[s->current].state != state)
            continue;
        go_on_with(s, &s->blocks.item[s->current], HK_LEAK_DIRECT);
        work_off(s, follow);
    }
}

static void classify(struct hk_leak_scan *s)
{
    for (s->current = 0; s->current < s->blocks.count; s->current++) {
        const struct hk_leak_block *block = &s->blocks.item[s->current];
        if (block->state == HK_LEAK_UNSEEN || block->state == HK_LEAK_POINTED)
            hk_leaks_words_of(s, block, point);
    }
    lose(s, HK_LEAK_UNSEEN);
    lose(s, HK_LEAK_POINTED); /* what is left lies in a ring, or behind one */
}

/* ---- all ---- */

static void drop(struct hk_leak_scan *s)
{
    struct hk_leak_list *lists[] = {&s->blocks, &s->skipped, &s->unclear};
    for (unsigned i = 0; i < HK_COUNT(lists); i++) {
        if (lists[i]->item != NULL)
            hk_os_unmap(lists[i]->item, lists[i]->mapped);
    }
    if (s->other != NULL)
        hk_os_unmap(s->other, s->other_mapped);
    hk_maps_drop(&s->maps);
    if (s->pages >= 0)
        hk_file_close(s->pages);
}

struct wanted {
    struct hk_leaks *leaks;
    const struct hk_leak_ignored *ignored;
};

static void look_for_leaks(void *ctx, const struct hk_still *still)
{
    const struct wanted *wanted = ctx;
    struct hk_leaks *leaks = wanted->leaks;
    struct hk_leak_scan s = {.leaks = leaks, .ignored = wanted->ignored, .still = still, .pages = hk_pages_open()};
    /* A sandbox may refuse the question what can be read: then there would be no roots. */
    if (!hk_unwind_can_read((uintptr_t)&s.lowest) || !hk_maps_read(&s.maps)) {
        leaks->refusal = HK_STILL_NO_MAPS;
    } else if (hk_leaks_collect(&s)) {
        hk_leaks_roots(&s, reach);
        work_off(&s, reach);
        ignore_wanted(&s);
        classify(&s);
        leaks->refusal = hk_leaks_rows(&s) ? HK_STILL_DONE : HK_STILL_NO_MEMORY;
    } else {
        leaks->refusal = HK_STILL_NO_MEMORY;
    }
    drop(&s);
}

bool hk_leaks_find(struct hk_leaks *leaks, const struct hk_leak_ignored *ignored)
{
    struct wanted wanted = {leaks, ignored};
    struct hk_still still;
    *leaks = (struct hk_leaks){.refusal = HK_STILL_DIED};
    leaks->found.interval = hk_profile_recorded();
    enum hk_still_refusal refusal = hk_stand_still(look_for_leaks, &wanted, &still);
    if (refusal != HK_STILL_DONE) {
        leaks->refusal = refusal;
        leaks->error = still.error;
    }
    return leaks->refusal == HK_STILL_DONE;
}

void hk_leaks_recover(void)
{
    hk_lock_reset(hk_pool_lock());
    hk_lock_reset(hk_arena_lock());
    hk_lock_reset(hk_huge_lock());
    hk_lock_reset(hk_meta_lock());
    hk_lock_reset(hk_profile_lock());
}
