/* SPDX-License-Identifier: MIT
 *
 * -Dss_arena=disabled: every SuperSlab is a mapping of its own, unmapped when it is given back. Page runs still come
 * from the arenas. The mappings are known by their starts; the table and the records are guarded by the arena lock.
 * Unmapping is done outside it. A unit that was unmapped is mapped again before a new one is taken from the space.
 */
#include "base/assert.h"
#include "base/list.h"
#include "base/options.h"
#include "os/os.h"
#include "pages/meta.h"
#include "pages/ss_arena_priv.h"
#include "pages/ss_arena_source.h"

#define BUCKETS 256u

/* As with ss_arena=enabled: small programs stay small under THP=always too. */
#define NO_HUGE_BYTES (64 * HK_MIB)

struct single {
    struct hk_node node; /* in its bucket, or in the list of unmapped ones */
    char *base;
};

static struct hk_list buckets[BUCKETS];
static struct hk_list unmapped;
static size_t bytes; /* in SuperSlabs */

static struct hk_list *bucket_of(const void *ptr)
{
    return &buckets[(uintptr_t)ptr / HK_SUPERSLAB_SIZE % BUCKETS];
}

/* The SuperSlab that an address lies in, or NULL. */
static struct single *find_single(const void *ptr)
{
    for (struct hk_node *node = bucket_of(ptr)->first; node != NULL; node = node->next) {
        struct single *s = HK_CONTAINER(node, struct single, node);
        if ((uintptr_t)ptr - (uintptr_t)s->base < HK_SUPERSLAB_SIZE)
            return s;
    }
    return NULL;
}

/* A unit behind all that there are; NULL: no memory. */
static struct single *map_new_single(void)
{
    size_t unit;
    struct single *s = hk_meta_alloc(sizeof *s); /* lost where what follows fails, which is rare */
    if (s == NULL || hk_space_extend(1, 1, &unit) == 0)
        return NULL;
    s->base = hk_space_address(unit);
    return s;
}

/* A unit that was unmapped; others may have mapped something there. */
static struct single *map_single_again(void)
{
    struct hk_node *node;
    while ((node = hk_list_pop(&unmapped)) != NULL) {
        struct single *s = HK_CONTAINER(node, struct single, node);
        bool taken;
        if (hk_space_return(((uintptr_t)s->base - hk_space_base) / HK_UNIT_SIZE, 1, &taken))
            return s;
        if (!taken) {
            hk_list_push(&unmapped, node);
            return NULL;
        }
    }
    return NULL;
}

static struct single *enter_single(void)
{
    struct single *s = map_single_again();
    if (s == NULL)
        s = map_new_single();
    if (s == NULL)
        return NULL;
    hk_list_push(bucket_of(s->base), &s->node);
    bytes += HK_SUPERSLAB_SIZE;
    hk_add_locked(&hk_arenas.live, HK_SUPERSLAB_SIZE);
    return s;
}

static void *take_single(unsigned node, uint32_t *clean)
{
    hk_lock(&hk_arenas.lock);
    const struct single *s = enter_single();
    char *base = s != NULL ? s->base : NULL;
    bool small = bytes <= NO_HUGE_BYTES;
    hk_unlock(&hk_arenas.lock);
    if (base == NULL)
        return NULL;
    hk_numa_prefer(base, HK_SUPERSLAB_SIZE, node);
    if (hk_opt(HK_OPT_THP) != 0)
        hk_os_hint_huge(base, HK_SUPERSLAB_SIZE);
    else if (small)
        hk_os_hint_no_huge(base, HK_SUPERSLAB_SIZE);
    *clean = UINT32_MAX;
    return base;
}

/* The caller has the locks of its heap and of the pool; and see hk_arena_grow. */
void *hk_arena_take_superslab(unsigned node, uint32_t *clean)
{
    *clean = 0;
    if (!hk_arena_within_limit(HK_SUPERSLAB_SIZE))
        return NULL;
    hk_large_calls_begin();
    void *base = take_single(node, clean);
    hk_large_calls_end();
    return base;
}

/* Where the map count is at its limit the unit cannot be unmapped: then at least its pages go, and it is left behind.
 */
static bool unmap_or_purge(const struct single *s)
{
    if (hk_os_unmap(s->base, HK_SUPERSLAB_SIZE))
        return true;
    hk_os_purge(s->base, HK_SUPERSLAB_SIZE);
    return false;
}

/* The caller has the lock of the heap that gave the last slab back: this choice of box has no other place for it. */
static void unmap_single(struct single *s)
{
    hk_large_calls_begin();
    bool unmapped_now = unmap_or_purge(s);
    hk_large_calls_end();
    if (!unmapped_now)
        return;
    hk_lock(&hk_arenas.lock);
    hk_list_push(&unmapped, &s->node);
    hk_unlock(&hk_arenas.lock);
}

size_t hk_arena_give_superslab(void *ptr, uint32_t clean)
{
    hk_lock(&hk_arenas.lock);
    struct single *s = find_single(ptr);
    bool ok = s != NULL && s->base == ptr;
    HK_ASSERT(ok);
    if (ok) {
        hk_list_remove(&s->node);
        bytes -= HK_SUPERSLAB_SIZE;
        hk_add_locked(&hk_arenas.live, -HK_SUPERSLAB_SIZE);
    }
    hk_unlock(&hk_arenas.lock);
    if (!ok)
        return 0;
    unmap_single(s);
    return (HK_SLABS - hk_count64(clean)) * HK_SLAB_SIZE;
}

struct hk_run hk_arena_find_superslab_locked(const void *ptr)
{
    const struct single *s = find_single(ptr);
    struct hk_run none = {HK_RUN_NONE, NULL, 0};
    struct hk_run run = {HK_RUN_SUPERSLAB, s != NULL ? s->base : NULL, HK_SUPERSLAB_SIZE / HK_PAGE};
    return s != NULL ? run : none;
}

size_t hk_arena_superslab_bytes_locked(void)
{
    return bytes;
}

void hk_arena_visit_superslabs_locked(void (*visit)(void *ctx, void *start, size_t size, enum hk_run_kind kind),
                                      void *ctx)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        for (struct hk_node *node = buckets[i].first; node != NULL; node = node->next)
            visit(ctx, HK_CONTAINER(node, struct single, node)->base, HK_SUPERSLAB_SIZE, HK_RUN_SUPERSLAB);
    }
}
