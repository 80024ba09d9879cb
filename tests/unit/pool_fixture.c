/* SPDX-License-Identifier: MIT */
#include "pool_fixture.h"

#include "os/secret.h"

#include "pages/ss_arena.h"

/* Which slab comes first is left to chance with -Dshuffle=enabled, but not here. */
unsigned hk_secret_draw(const void *at, unsigned bound)
{
    (void)at;
    return 0;
}

unsigned class_of_span(unsigned n)
{
    unsigned cls = SINGLE;
    while (hk_class_slabs(cls) != n)
        cls++;
    return cls;
}

static struct hk_slab *acquire_from(unsigned cls, bool fills)
{
    struct hk_slab *slab = hk_pool_acquire(cls, OWNER, fills);
    EXPECT(slab != NULL);
    EXPECT(slab->cls == cls && slab->slabs == hk_class_slabs(cls) && slab->used == 0 && slab->head == 0);
    EXPECT(hk_slab_owner(slab) == OWNER);
    for (unsigned i = 0; i < slab->slabs; i++) {
        char *inside = hk_slab_base(slab) + i * HK_SLAB_SIZE + 99;
        EXPECT(hk_registry_code(inside) == (i == 0 ? hk_code_of_class(cls) : HK_CODE_SECOND));
        EXPECT(hk_registry_class(inside) == cls);
        EXPECT(hk_slab_of(inside) == slab);
    }
    EXPECT(!slab->zero || unit_is_zero(hk_slab_base(slab), slab->slabs * HK_SLAB_SIZE));
    for (size_t at = 0; at < slab->slabs * HK_SLAB_SIZE; at += 16384) /* it goes back by the slab */
        memset(hk_slab_base(slab) + at, 0xcc, 64);
    slab->state = HK_SLAB_ACTIVE; /* as its heap does */
    return slab;
}

struct hk_slab *acquire(unsigned cls)
{
    return acquire_from(cls, false);
}

struct hk_slab *acquire_to_fill(void)
{
    return acquire_from(SINGLE, true);
}

void release(struct hk_slab *slab)
{
    char *base = hk_slab_base(slab);
    hk_slab_reset(slab);
    hk_pool_release(slab);
    EXPECT(hk_registry_code(base) == 0);
}

static void add_superslab(void *ctx, struct hk_superslab *ss)
{
    struct overview *o = ctx;
    o->superslabs++;
    o->empty += (unsigned)__builtin_popcount(ss->empty_mask);
    o->unused += (unsigned)__builtin_popcount(ss->unused_mask);
    o->owned += HK_SLABS - (unsigned)__builtin_popcount(ss->empty_mask | ss->unused_mask);
    for (unsigned n = 1; n <= HK_SPAN_MAX; n++) {
        unsigned at = hk_find_run32(ss->empty_mask, n);
        char *base = ss->base + at * HK_SLAB_SIZE;
        if (at < HK_SLABS && (o->lowest[n] == NULL || base < o->lowest[n]))
            o->lowest[n] = base;
    }
}

struct overview look(void)
{
    struct overview o = {0};
    EXPECT(hk_pool_check());
    hk_pool_visit(add_superslab, &o);
    EXPECT(hk_pool_empty_bytes() == o.empty * HK_SLAB_SIZE);
    EXPECT(hk_arena_live() == o.superslabs * HK_SUPERSLAB_SIZE);
    return o;
}

size_t purge_slabs(uint32_t now, uint32_t delay_ms, size_t keep, enum hk_pool_part part)
{
    _Atomic size_t *slabs = part == HK_POOL_ALL ? &hk_pool_empty_slabs : &hk_pool_empty_mid;
    size_t given = 0, bytes;
    for (unsigned refusals = 0; (bytes = *slabs * HK_SLAB_SIZE) > keep && refusals < 200;) {
        bool refused = false;
        size_t piece = hk_pool_purge(now, delay_ms, hk_min(bytes - keep, HK_PURGE_MOST), part, &refused);
        EXPECT(!refused || piece == 0);
        given += piece;
        refusals += refused;
        if (piece == 0 && !refused)
            break;
    }
    return given;
}
