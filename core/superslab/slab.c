/* SPDX-License-Identifier: MIT */
#include "superslab/slab.h"

#include "base/telemetry.h"
#include "superslab/fill.h"

/* In classes up to this size, where a page has two starts or more, all on a page are marked as free when the first of
 * them go to a front: the page is about to be used anyway, and a wild free next to a live block is then found. */
#define MARK_PAGE 4096u
#define MARK_VIRGIN_MAX (MARK_PAGE / 2)

_Atomic uint32_t hk_slab_bound[HK_CLASS_COUNT + 1] HK_ALIGNED(HK_CACHE_LINE);

/* The record may have described another SuperSlab: no slab of this one has held a class. */
void hk_superslab_init(struct hk_superslab *ss, char *base)
{
    if (HK_TAIL || HK_LINKS || HK_SHUFFLE)
        hk_secret_learn();
    ss->base = base;
    ss->empty_mask = 0;
    if (HK_SHUFFLE)
        *ss->first = (uint8_t)hk_secret_draw(base, HK_SLABS);
    ss->unused_mask = UINT32_MAX;
    ss->purged_mask = 0;
    ss->refused_mask = 0;
    ss->sets = 0;
    hk_poke(&ss->huge, false);
    hk_slab_forget_pages(ss, UINT32_MAX, true);
    for (unsigned i = 0; i < HK_SLABS; i++) {
        ss->slab[i].index = (uint8_t)i;
        ss->slab[i].base = base + i * HK_SLAB_SIZE;
        hk_poke(&ss->slab[i].cls, 0);
        ss->slab[i].block_size = 0;
        hk_private_close(&ss->lists[i]);
    }
}

#define PAGES_PER_SLAB 16u

/* Telemetry: blocks [first, end) are handed out. */
static void count_pages(struct hk_slab *slab, uint32_t first, uint32_t end)
{
    struct hk_superslab *ss = hk_slab_superslab(slab);
    size_t page = first * (size_t)slab->block_size / (HK_SLAB_SIZE / PAGES_PER_SLAB);
    size_t last = (end * (size_t)slab->block_size - 1) / (HK_SLAB_SIZE / PAGES_PER_SLAB);
    unsigned fresh = 0;
    for (; page <= last; page++) {
        uint16_t *handed = &ss->handed[slab->index + page / PAGES_PER_SLAB];
        uint16_t bit = (uint16_t)(1u << page % PAGES_PER_SLAB);
        fresh += (*handed & bit) == 0;
        *handed |= bit;
    }
    hk_telemetry_add(hk_class_group(slab->cls), fresh);
}

struct hk_slab *hk_slab_open(struct hk_superslab *ss, unsigned index, unsigned cls, bool zero)
{
    struct hk_slab *slab = &ss->slab[index];
    HK_ASSERT(slab->state == HK_SLAB_FREE && hk_load_relaxed(&slab->remote) == 0);
    slab->free = NULL;
    slab->spare = NULL;
    hk_poke(&slab->used, 0);
    if (zero || slab->cls != cls) /* else they are marked still */
        slab->marked = 0;
    hk_poke(&slab->carved, 0);
    slab->capacity = hk_class_capacity(cls);
    slab->block_size = (uint32_t)hk_class_size(cls);
    hk_poke(&slab->cls, (uint8_t)cls);
    slab->slabs = (uint8_t)hk_class_slabs(cls);
    slab->zero = zero;
    for (unsigned i = 0; i < slab->slabs; i++)
        hk_poke(&ss->slab[index + i].head, (uint8_t)i);
    return slab;
}

unsigned hk_slab_give_up(struct hk_slab *slab, unsigned got)
{
    hk_corrupt_note(slab->base, slab->block_size);
    slab->free = NULL;
    slab->spare = NULL;
    hk_poke(&slab->carved, slab->capacity);
    hk_poke(&slab->used, slab->capacity);
    return got;
}

/* The starts that have to be marked before so many blocks are carved: all on the pages of these. */
static unsigned starts_up_to(const struct hk_slab *slab, unsigned carved)
{
    uint32_t end = ((carved - 1) * slab->block_size / MARK_PAGE + 1) * MARK_PAGE;
    return (unsigned)hk_min((end + slab->block_size - 1) / slab->block_size, slab->capacity);
}

/* Marks the start of a block; returns what stood there. The first on its page in one step: a page whose first use is a
 * read has two faults. */
static uintptr_t mark_start(uintptr_t *block, bool first)
{
    uintptr_t before = first ? hk_swap_acquire((_Atomic uintptr_t *)&block[1], 0) : block[1]; /* with nobody */
    block[1] = hk_free_mark(block);
    return before;
}

/* Does memory that was zero say that somebody freed a block there? It is in a bin, or it was in a list and lies with
 * the program now. */
static bool was_freed(const struct hk_slab *slab, const uintptr_t *block, uintptr_t second)
{
    return second == hk_free_mark(block) ||
           (block[0] != 0 && hk_registry_code(hk_link_of(block)) == hk_code_of_class(slab->cls));
}

static void mark_again(char *block, const char *end, size_t size)
{
    for (; block < end; block += size)
        ((uintptr_t *)(void *)block)[1] = hk_free_mark(block);
}

/* The same in a slab that is known to be zero. Returns where it stopped: at one that was freed already, or the end. */
static unsigned mark_virgin(const struct hk_slab *slab, unsigned i, unsigned end)
{
    for (; i < end; i++) {
        uint32_t offset = i * slab->block_size;
        uintptr_t *block = (uintptr_t *)(void *)(hk_slab_base(slab) + offset);
        uintptr_t second = mark_start(block, offset % MARK_PAGE < slab->block_size);
        if (HK_UNLIKELY(was_freed(slab, block, second))) {
            block[1] = second;
            hk_wild_note(block);
            break;
        }
    }
    return i;
}

/* Marks starts up to `end`. False: one of them is in use already. */
static HK_NOINLINE bool mark_starts(struct hk_slab *slab, unsigned end)
{
    char *base = hk_slab_base(slab);
    size_t size = slab->block_size;
    unsigned first = slab->marked;
    slab->marked = (uint16_t)end;
    if (slab->zero)
        return mark_virgin(slab, first, end) == end;
    mark_again(base + first * size, base + end * size, size);
    return true;
}

/* Blocks up to `carved` are about to be handed out. */
static void raise_bound(const struct hk_slab *slab, unsigned carved)
{
    _Atomic uint32_t *bound = &hk_slab_bound[slab->cls];
    uint32_t last = (carved - 1) * slab->block_size, before = hk_load_relaxed(bound);
    if (HK_UNLIKELY(last >= HK_SLAB_SIZE)) /* the last start in the first slab of the span */
        last = (uint32_t)(HK_SLAB_SIZE - 1) / slab->block_size * slab->block_size;
    uint32_t needed = last * hk_class_inverse[slab->cls] + 1;
    while (HK_UNLIKELY(before < needed) && !hk_cas_relaxed(bound, &before, needed)) {
    }
}

/* What is left of blocks that lay there before: nobody has these yet. (Of the smallest it is the mark; they have no
 * end.) */
static void clear_ends(const struct hk_slab *slab, void **top, unsigned n)
{
    if (slab->zero || slab->block_size == HK_BLOCK_MIN)
        return;
    for (unsigned i = 0; i < n; i++) {
        if (HK_FILL)
            hk_fill(top[-(ptrdiff_t)i], slab->block_size, HK_FILL_MIDDLE(slab->block_size));
        else
            hk_end_clear(top[-(ptrdiff_t)i], slab->block_size);
    }
}

/* With -Dfill every block in a bin has a mark. */
static void mark_mid(const struct hk_slab *slab, void **top, unsigned n)
{
    for (unsigned i = 0; slab->block_size > MARK_VIRGIN_MAX && i < n; i++)
        ((uintptr_t *)top[-(ptrdiff_t)i])[1] = hk_free_mark(top[-(ptrdiff_t)i]);
}

/* There is a virgin block. */
static HK_ALWAYS_INLINE unsigned take_virgin(struct hk_slab *slab, void **top, unsigned n)
{
    unsigned got = (unsigned)hk_min(n, slab->capacity - slab->carved), carved = slab->carved + got;
    size_t size = slab->block_size;
    char *block = hk_slab_base(slab) + slab->carved * size;
    if (carved > slab->marked && size <= MARK_VIRGIN_MAX &&
        HK_UNLIKELY(!mark_starts(slab, starts_up_to(slab, carved)))) {
        hk_poke_add(&slab->used, slab->capacity - slab->carved);
        hk_poke(&slab->carved, slab->capacity);
        return 0;
    }
    raise_bound(slab, carved);
    hk_poke(&slab->carved, carved);
    if (HK_TELEMETRY)
        count_pages(slab, carved - got, carved);
    for (unsigned i = 0; i < got; i++, block += size)
        top[-(ptrdiff_t)i] = block;
    if (HK_TAIL)
        clear_ends(slab, top, got);
    return got;
}

unsigned hk_slab_take(struct hk_slab *slab, void **top, unsigned n)
{
    unsigned got = 0;
    for (;;) {
        void *block = slab->free;
        for (void *next; block != NULL && got < n; block = next, got++) {
            if (HK_UNLIKELY(!hk_slab_link_is_sane(slab, block)))
                return hk_slab_give_up(slab, got);
            top[-(ptrdiff_t)got] = block;
            next = hk_link_of(block);
            hk_link_leave(block, slab->block_size);
        }
        slab->free = block;
        if (got == n || slab->spare == NULL)
            break;
        slab->free = slab->spare;
        slab->spare = NULL;
    }
    /* Where nothing was ever written none waits in a bin without a mark. Else most blocks have one: they were free. */
    unsigned more = slab->block_size <= MARK_VIRGIN_MAX || !slab->zero ? n - got : got == 0;
    if (more != 0 && slab->carved < slab->capacity) {
        unsigned virgin = take_virgin(slab, top - got, more);
        if (HK_FILL)
            mark_mid(slab, top - got, virgin);
        got += virgin;
    }
    hk_poke_add(&slab->used, got);
    return got;
}

void *hk_slab_take_zero(struct hk_slab *slab)
{
    void *block;
    if (!slab->zero || slab->carved == slab->capacity || take_virgin(slab, &block, 1) == 0)
        return NULL;
    hk_poke_add(&slab->used, 1);
    if (slab->block_size <= MARK_VIRGIN_MAX) /* else its page stays untouched */
        hk_slab_unmark(block);
    return block;
}

void hk_slab_put_chain(struct hk_slab *slab, void *first, unsigned n)
{
    HK_ASSERT(slab->used >= n);
    if (slab->free == NULL) {
        slab->free = first;
    } else if (slab->spare == NULL) {
        slab->spare = first;
    } else {
        void *last = first;
        for (unsigned i = 1; i < n; i++) {
            last = hk_link_of(last);
            if (HK_UNLIKELY(!hk_slab_link_is_sane(slab, last))) {
                hk_corrupt_note(slab->base, slab->block_size);
                return;
            }
        }
        hk_link_to(last, slab->spare);
        slab->spare = first;
    }
    hk_poke_sub(&slab->used, n);
}
