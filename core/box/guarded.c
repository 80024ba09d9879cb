/* SPDX-License-Identifier: MIT
 *
 * Slots in a ring: the next one is looked for from where the last one was found, so that a freed slot waits for about a
 * round. Where many are live a round is short: who was freed a moment ago is passed over.
 */
#include "box/guarded.h"

#include "base/bits.h"
#include "os/os.h"
#include "pages/ss_arena.h"

#include <string.h>

#define PATTERN 0x9d  /* beside a block */
#define LOOKED_AT 64u /* slots, before none is free */
#define RARELY 16u    /* beyond half of the slots one in so many wishes is heard: who keeps blocks fills them all */

struct slot {
    _Atomic uint32_t state; /* enum hk_guarded_state */
    uint32_t freed_as;      /* which free of all that was; whose the slot is */
    uintptr_t start;
    size_t size;
    uintptr_t tag;
    struct hk_guarded_stack taken, freed;
};

_Atomic uintptr_t hk_guarded_base;
_Atomic size_t hk_guarded_size;

static struct slot *slots;      /* written before hk_guarded_size */
static size_t slot_count, page; /* as that */

/* Relaxed: a measure, and statistics. */
static _Atomic uint32_t turn, wishes, frees;
static _Atomic size_t live_blocks, live_bytes;
static _Atomic uint64_t taken, refused;

bool hk_guarded_start(size_t count)
{
    if (hk_load_relaxed(&hk_guarded_size) != 0)
        return true;
    size_t size = hk_os_page_size(), room = hk_align_up(count * sizeof(struct slot), size);
    char *base = hk_os_reserve_hidden((2 * count + 1) * size);
    struct slot *table = base != NULL ? hk_os_map(room) : NULL;
    if (table == NULL) {
        if (base != NULL)
            hk_os_unmap(base, (2 * count + 1) * size);
        return false;
    }
    slots = table;
    slot_count = count;
    page = size;
    hk_store_relaxed(&hk_guarded_base, (uintptr_t)base);
    hk_store_release(&hk_guarded_size, (2 * count + 1) * size); /* pairs with hk_guarded_take */
    return true;
}

size_t hk_guarded_most(void)
{
    return page;
}

size_t hk_guarded_page(void)
{
    return page;
}

/* ---- places ---- */

static char *page_of_slot(const struct slot *slot)
{
    return (char *)hk_load_relaxed(&hk_guarded_base) + (size_t)(2 * (slot - slots) + 1) * page;
}

/* Of an address in the reservation the number of its page: odd ones are slots. */
static size_t page_number(uintptr_t address)
{
    return (address - hk_load_relaxed(&hk_guarded_base)) / page;
}

/* The slot whose page a pointer lies on; NULL: a hidden page, or elsewhere. */
static struct slot *slot_at(const void *ptr)
{
    if (!hk_guarded_has(ptr))
        return NULL;
    size_t number = page_number((uintptr_t)ptr);
    return number % 2 == 1 ? &slots[number / 2] : NULL;
}

static enum hk_guarded_state state_of(const struct slot *slot)
{
    return hk_load_acquire(&slot->state); /* pairs with the releases below */
}

/* ---- taking ---- */

/* Half of those that wait, or have never been used, go first. */
static bool waited_enough(const struct slot *slot)
{
    size_t others = slot_count - hk_min(hk_load_relaxed(&live_blocks), slot_count);
    return hk_load_relaxed(&frees) - slot->freed_as >= others / 2;
}

/* The caller's from now on; NULL: none is free. */
static struct slot *take_slot(void)
{
    if (hk_load_relaxed(&live_blocks) > slot_count / 2 && hk_add_relaxed(&wishes, 1) % RARELY != 0)
        return NULL;
    for (unsigned i = 0; i < LOOKED_AT; i++) {
        struct slot *slot = &slots[hk_add_relaxed(&turn, 1) % slot_count];
        uint32_t state = state_of(slot);
        if (state != HK_GUARDED_UNUSED && (state != HK_GUARDED_FREED || !waited_enough(slot)))
            continue;
        if (hk_cas_acquire(&slot->state, &state, HK_GUARDED_TAKEN)) /* pairs with the release in hk_guarded_hide */
            return slot;
    }
    return NULL;
}

static void untake(struct slot *slot)
{
    hk_add_relaxed(&refused, 1);
    slot->size = 0;
    slot->freed_as = hk_load_relaxed(&frees);
    hk_store_release(&slot->state, HK_GUARDED_UNUSED); /* pairs with state_of */
}

static void set_pattern(const struct slot *slot)
{
    char *at = page_of_slot(slot), *start = (char *)slot->start, *end = start + slot->size;
    memset(at, PATTERN, (size_t)(start - at));
    memset(end, PATTERN, (size_t)(at + page - end));
}

void *hk_guarded_take(size_t size, const void *first)
{
    if (hk_load_acquire(&hk_guarded_size) == 0) /* pairs with hk_guarded_start */
        return NULL;
    struct slot *slot = take_slot();
    if (slot == NULL)
        return NULL;
    if (!hk_arena_charge(page)) {
        untake(slot);
        return NULL;
    }
    if (!hk_os_commit(page_of_slot(slot), page)) {
        hk_arena_uncharge(page);
        untake(slot);
        return NULL;
    }
    bool left = hk_load_relaxed(&turn) % 4 == 0;
    slot->start = (uintptr_t)page_of_slot(slot) + (left ? 0 : hk_align_down(page - size, 16));
    slot->size = size;
    slot->tag = 0;
    slot->freed.depth = slot->freed.thread = 0;
    hk_guarded_look(&slot->taken, first);
    set_pattern(slot);
    hk_add_relaxed(&live_blocks, 1);
    hk_add_relaxed(&live_bytes, size);
    hk_add_relaxed(&taken, 1);
    hk_store_release(&slot->state, HK_GUARDED_LIVE); /* pairs with state_of */
    return (void *)slot->start;
}

/* ---- live blocks ---- */

/* The slot of a block that starts there, in that state; NULL: none does. */
static struct slot *slot_of(const void *ptr, enum hk_guarded_state state)
{
    struct slot *slot = slot_at(ptr);
    return slot != NULL && state_of(slot) == state && slot->start == (uintptr_t)ptr ? slot : NULL;
}

size_t hk_guarded_bytes(const void *ptr)
{
    const struct slot *slot = slot_of(ptr, HK_GUARDED_LIVE);
    return slot != NULL ? slot->size : 0;
}

uintptr_t hk_guarded_tag(const void *ptr)
{
    return slot_at(ptr)->tag;
}

void hk_guarded_mark(void *ptr, uintptr_t tag)
{
    slot_at(ptr)->tag = tag;
}

/* ---- freeing ---- */

bool hk_guarded_claim(void *ptr)
{
    struct slot *slot = slot_of(ptr, HK_GUARDED_LIVE);
    uint32_t live = HK_GUARDED_LIVE;
    if (slot == NULL || !hk_cas_acquire(&slot->state, &live, HK_GUARDED_GOING)) /* one of two frees wins */
        return false;
    hk_guarded_look(&slot->freed, NULL);
    hk_sub_relaxed(&live_blocks, 1);
    hk_sub_relaxed(&live_bytes, slot->size);
    return true;
}

const void *hk_guarded_damage(const void *ptr)
{
    const struct slot *slot = slot_at(ptr);
    const unsigned char *at = (const unsigned char *)page_of_slot(slot), *end = at + page;
    const unsigned char *start = (const unsigned char *)slot->start, *behind = start + slot->size;
    for (const unsigned char *p = behind; p < end; p++) { /* first what is next to the block's end */
        if (*p != PATTERN)
            return p;
    }
    for (const unsigned char *p = start; p-- > at;) {
        if (*p != PATTERN)
            return p;
    }
    return NULL;
}

/* In this order the system has no page to protect, which costs much on some. Where it cannot be hidden the slot is
 * never used again: what is touched there is not told, and does no harm. */
void hk_guarded_hide(void *ptr)
{
    struct slot *slot = slot_at(ptr);
    hk_os_purge(page_of_slot(slot), page); /* refused: it stays resident */
    bool hidden = hk_os_hide(page_of_slot(slot), page);
    hk_arena_uncharge(page);
    slot->freed_as = hk_add_relaxed(&frees, 1) + 1;
    if (hidden)
        hk_store_release(&slot->state, HK_GUARDED_FREED); /* pairs with state_of and take_slot */
}

/* ---- what is known ---- */

static bool was_used(const struct slot *slot)
{
    return state_of(slot) != HK_GUARDED_UNUSED || slot->size != 0;
}

/* Of a hidden page: the nearer neighbour that had a block. */
static const struct slot *neighbour_of(size_t number, uintptr_t address)
{
    const struct slot *before = number > 0 ? &slots[number / 2 - 1] : NULL;
    const struct slot *behind = number / 2 < slot_count ? &slots[number / 2] : NULL;
    bool near_start = (address - hk_load_relaxed(&hk_guarded_base)) % page < page / 2;
    const struct slot *nearer = near_start ? before : behind, *other = near_start ? behind : before;
    return nearer != NULL && was_used(nearer) ? nearer : other;
}

bool hk_guarded_find(uintptr_t address, struct hk_guarded_block *block)
{
    const struct slot *slot = slot_at((const void *)address);
    if (!hk_guarded_has((const void *)address))
        return false;
    if (slot == NULL)
        slot = neighbour_of(page_number(address), address);
    if (slot == NULL || !was_used(slot))
        return false;
    block->state = state_of(slot);
    block->start = slot->start;
    block->size = slot->size;
    block->taken = slot->taken;
    block->freed = slot->freed;
    return true;
}

void hk_guarded_look(struct hk_guarded_stack *stack, const void *first)
{
    hk_unwind_thread(stack->name);
    stack->thread = hk_unwind_thread_number();
    stack->depth = hk_unwind(stack->pc, HK_GUARDED_DEPTH, first, NULL);
}

/* ---- statistics ---- */

struct hk_guarded_sums hk_guarded_count(void)
{
    return (struct hk_guarded_sums){.slots = slot_count,
                                    .live_blocks = hk_load_relaxed(&live_blocks),
                                    .live_bytes = hk_load_relaxed(&live_bytes),
                                    .taken = hk_load_relaxed(&taken),
                                    .refused = hk_load_relaxed(&refused)};
}

void hk_guarded_visit(void (*visit)(void *ctx, void *start, size_t size), void *ctx)
{
    size_t size = hk_load_acquire(&hk_guarded_size); /* pairs with hk_guarded_start */
    if (size == 0)
        return;
    visit(ctx, (void *)hk_load_relaxed(&hk_guarded_base), size);
    visit(ctx, slots, hk_align_up(slot_count * sizeof *slots, page));
}

void hk_guarded_visit_blocks(void (*visit)(void *ctx, void *start, size_t size, uintptr_t tag), void *ctx)
{
    for (size_t i = 0; i < slot_count; i++) {
        if (state_of(&slots[i]) == HK_GUARDED_LIVE)
            visit(ctx, (void *)slots[i].start, slots[i].size, slots[i].tag);
    }
}
