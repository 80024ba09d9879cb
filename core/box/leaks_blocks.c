/* SPDX-License-Identifier: MIT
 *
 * Which blocks live, and what memory is hakmem's own, asked of every box that has some.
 */
#include "box/leaks_priv.h"

#include "box/guarded.h"
#include "box/heap.h"
#include "box/pool.h"
#include "box/side.h"
#include "large/huge.h"
#include "large/walls.h"
#include "os/os.h"
#include "pages/meta.h"
#include "pages/ss_arena.h"

#include <string.h>

#define LIST_AT_FIRST (1 * HK_MIB)
#define LARGE 1u /* in place of a tag: it is to be looked up */

static void add(struct hk_leak_scan *s, struct hk_leak_list *list, struct hk_leak_block item)
{
    if ((list->count + 1) * sizeof item > list->mapped) {
        size_t more = hk_max(2 * list->mapped, LIST_AT_FIRST);
        void *larger = list->item != NULL ? hk_os_remap(list->item, list->mapped, more) : hk_os_map(more);
        if (larger == NULL) {
            s->failed = true;
            return;
        }
        list->item = larger;
        list->mapped = more;
    }
    list->item[list->count++] = item;
}

static void add_block(struct hk_leak_scan *s, const void *start, size_t size, uintptr_t tag)
{
    add(s, &s->blocks, (struct hk_leak_block){(uintptr_t)start, tag, size, HK_LEAK_UNSEEN});
    s->leaks->looked_at.blocks++;
    s->leaks->looked_at.bytes += size;
}

/* Neighbours become one. */
static void skip(struct hk_leak_scan *s, const void *start, size_t size)
{
    struct hk_leak_block *last = s->skipped.count != 0 ? &s->skipped.item[s->skipped.count - 1] : NULL;
    if (size == 0)
        return;
    if (last != NULL && last->start + last->size == (uintptr_t)start)
        last->size += size;
    else
        add(s, &s->skipped, (struct hk_leak_block){(uintptr_t)start, 0, size, 0});
}

/* ---- small blocks ---- */

/* What was handed out once, and does not carry the mark of a free block now: one that waits in a front does. */
static void add_blocks_of_slab(struct hk_leak_scan *s, const struct hk_slab *slab)
{
    for (uint32_t i = 0; i < hk_peek(&slab->carved) && !s->failed; i++) {
        const char *block = hk_slab_base(slab) + (size_t)i * slab->block_size;
        if (!hk_slab_is_marked(block))
            add_block(s, block, slab->block_size, 0);
    }
}

static void add_superslab(void *ctx, struct hk_superslab *ss)
{
    struct hk_leak_scan *s = ctx;
    for (unsigned i = 0; i < HK_SLABS;) {
        const struct hk_slab *slab = &ss->slab[i];
        bool owned = ((ss->empty_mask | ss->unused_mask) >> i & 1) == 0 && slab->state != HK_SLAB_FREE;
        if (owned)
            add_blocks_of_slab(s, slab);
        i += owned ? hk_max(slab->slabs, 1) : 1;
    }
}

static void add_side_block(void *ctx, void *start, size_t size, uintptr_t tag)
{
    add_block(ctx, start, size, tag);
}

static void add_unclear(void *ctx, void *start, size_t size)
{
    struct hk_leak_scan *s = ctx;
    add(s, &s->unclear, (struct hk_leak_block){(uintptr_t)start, 0, size, 0});
}

/* ---- large blocks, and mappings ---- */

static void add_run(void *ctx, void *start, size_t size, enum hk_run_kind kind)
{
    struct hk_leak_scan *s = ctx;
    skip(s, start, size);
    if (kind == HK_RUN_LIVE)
        add_block(s, start, size - hk_wall_in(start, size), LARGE);
}

static void add_huge(void *ctx, void *start, size_t size)
{
    skip(ctx, start, size);
    add_block(ctx, start, size, LARGE);
}

/* Under no lock: the profile has one. */
static void tag_large_blocks(struct hk_leak_scan *s)
{
    for (size_t i = 0; i < s->blocks.count; i++) {
        struct hk_leak_block *block = &s->blocks.item[i];
        if (block->tag == LARGE)
            block->tag = hk_profile_look_up((const void *)block->start);
    }
}

static void skip_region(void *ctx, void *start, size_t size)
{
    skip(ctx, start, size);
}

static void skip_chunk(void *ctx, void *start, size_t size, size_t used)
{
    skip(ctx, start, size);
}

/* What a front, a pool or a table keeps of blocks is no use of them. */
static void skip_own(struct hk_leak_scan *s)
{
    size_t size;
    uintptr_t from, to;
    const void *table = hk_profile_table(&size);
    hk_meta_visit(skip_region, s);
    hk_side_visit(skip_chunk, s);
    hk_guarded_visit(skip_region, s);
    if (table != NULL)
        skip(s, table, size);
    skip(s, (const void *)s->still->stack, HK_STILL_STACK);
    skip(s, s->still->thread, s->still->mapped);
    skip(s, &hk_space_base, sizeof hk_space_base);
    if (hk_registry_base_at() != NULL)
        skip(s, hk_registry_base_at(), sizeof(uintptr_t));
    if (hk_space_base > HK_TABLES)
        skip(s, (const void *)(hk_space_base - HK_TABLES), HK_TABLES);
    if (hk_unwind_own(&from, &to))
        skip(s, (const void *)from, to - from);
}

/* ---- sorting: by eleven bits at a time, from the lowest on ---- */

#define DIGIT_BITS 11u
#define DIGITS (1u << DIGIT_BITS)

static uintptr_t key_of(const struct hk_leak_block *block, bool by_tag)
{
    return by_tag ? block->tag : block->start;
}

/* Stable. False: they all have the same. */
static bool sort_by_digit(const struct hk_leak_list *list, struct hk_leak_block *to, unsigned shift, bool by_tag)
{
    static size_t place[DIGITS]; /* there is one scan at a time, and it would be much for a stack */
    memset(place, 0, sizeof place);
    for (size_t i = 0; i < list->count; i++)
        place[key_of(&list->item[i], by_tag) >> shift & (DIGITS - 1)]++;
    for (size_t i = 0, sum = 0; i < DIGITS; i++) {
        size_t n = place[i];
        if (n == list->count)
            return false;
        place[i] = sum;
        sum += n;
    }
    for (size_t i = 0; i < list->count; i++)
        to[place[key_of(&list->item[i], by_tag) >> shift & (DIGITS - 1)]++] = list->item[i];
    return true;
}

/* `other` has room for them all. */
void hk_leaks_sort(struct hk_leak_scan *s, struct hk_leak_list *list, bool by_tag)
{
    for (unsigned shift = 0; shift < 64; shift += DIGIT_BITS) {
        if (sort_by_digit(list, s->other, shift, by_tag))
            memcpy(list->item, s->other, list->count * sizeof *list->item);
    }
}

/* ---- all ---- */

/* The lists themselves are full of addresses. */
static void skip_lists(struct hk_leak_scan *s)
{
    const struct hk_leak_list *skipped = &s->skipped;
    const void *item;
    size_t mapped;
    skip(s, s->blocks.item, s->blocks.mapped);
    skip(s, s->unclear.item, s->unclear.mapped);
    skip(s, s->maps.text, s->maps.room);
    skip(s, s->maps.mapping, s->maps.mapped);
    do { /* until it does not grow by that */
        item = skipped->item;
        mapped = skipped->mapped;
        skip(s, item, mapped);
    } while (item != skipped->item || mapped != skipped->mapped);
    s->other_mapped = hk_max(s->blocks.mapped, mapped);
    s->other = hk_os_map(s->other_mapped);
    s->waiting = (size_t *)(void *)s->other;
    if (s->other == NULL)
        s->failed = true;
    else
        skip(s, s->other, s->other_mapped);
}

bool hk_leaks_collect(struct hk_leak_scan *s)
{
    struct hk_side_visitor side = {add_side_block, add_unclear, s};
    hk_pool_visit(add_superslab, s);
    hk_side_visit_blocks(&side);
    hk_guarded_visit_blocks(add_side_block, s);
    hk_arena_visit(add_run, s);
    hk_huge_visit(add_huge, s);
    tag_large_blocks(s);
    skip_own(s);
    skip_lists(s);
    if (s->failed || s->skipped.mapped > s->other_mapped)
        return false;
    hk_leaks_sort(s, &s->blocks, false);
    hk_leaks_sort(s, &s->skipped, false);
    if (s->blocks.count != 0) {
        const struct hk_leak_block *last = &s->blocks.item[s->blocks.count - 1];
        s->lowest = s->blocks.item[0].start;
        s->span = last->start + last->size - s->lowest;
    }
    return true;
}
